"""The alert rules are valid, fire when they should, and name a runbook that exists."""

import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "alerts" / "session-tracking.rules.yml"


@pytest.mark.needs("promtool")
@pytest.mark.parametrize(
    "words", [["check", "rules", RULES.name], ["test", "rules", "session-tracking.test.yml"]]
)
def test_promtool_accepts_them(words):
    done = subprocess.run(
        ["promtool", *words], cwd=RULES.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_names_a_runbook_that_exists():
    rules = [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]
    for rule in rules:
        assert (ROOT / rule["annotations"]["runbook_url"]).is_file(), rule["alert"]
