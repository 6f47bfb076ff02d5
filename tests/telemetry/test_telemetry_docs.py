"""``docs/telemetry.md`` says what a real tracker tells, all of it and nothing else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from deployments import deployment
from prometheus_client.parser import text_string_to_metric_families
from telemetry_servers import Tracker

from schemas.settings import BY_NAME
from tracker.web.traffic import REASONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "telemetry.md").read_text()
METRIC = re.compile(
    r"^\| `((?:mahavishnu|session_buddy|process)_\w+)` \| (\w+) \| .+ \|$", re.MULTILINE
)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = deployment(tmp_path_factory.mktemp("documented"), monkeypatch)
        tracker = Tracker(made.settings, made.environ).start()
        yield tracker.scrape()
        tracker.end()


def test_every_metric_is_documented_with_its_type_and_none_that_is_not_there(scraped):
    told = {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in text_string_to_metric_families(scraped)
    }
    assert dict(METRIC.findall(PAGE)) == told


def test_every_reason_of_a_refusal_is_documented_with_its_status():
    [row] = [line for line in PAGE.splitlines() if "session_buddy_http_refused_total" in line]
    for status, reason in REASONS.items():
        assert re.search(rf"`{reason}` \([\d, ]*{status}", row), reason


def test_every_setting_of_tracing_is_documented_with_its_variable():
    known = {
        name: setting.env
        for name, setting in BY_NAME.items()
        if name.startswith("mahavishnu.observability.") and "metrics" not in name
    }
    rows = re.findall(r"^\| `(observability\.\w+)` \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert {f"mahavishnu.{name}": env for name, env in rows} == known


def test_every_step_of_a_life_and_every_span_is_documented():
    life = ast.parse((ROOT / "tracker" / "life.py").read_text())
    steps = {
        node.value
        for node in ast.walk(life)
        if isinstance(node, ast.Constant)
        and re.fullmatch(r"session_(?!id|end|start|type)\w+", str(node.value))
    }
    spans = set(
        re.findall(r'@traced\("([\w.]+)"\)', (ROOT / "tracker" / "sessions.py").read_text())
    )
    assert len(steps) >= 6
    assert len(spans) >= 6
    for name in steps | spans:
        assert f"`{name}`" in PAGE, name
