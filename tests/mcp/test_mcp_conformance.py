"""The protocol's own conformance checks, run against the tracker.

The pre-release knows 2026-07-28 besides 2025-11-25, the version before it does not. It needs a
newer Node than Debian's, so one is named beside it.
"""

from __future__ import annotations

import json
import subprocess

import pytest
from token_bearer import bearing

TOOL = ["-p", "node@22.23.3", "-p", "@modelcontextprotocol/conformance@0.2.0-alpha.12"]
SECONDS = 300

SCENARIOS = {
    "server-initialize": {},
    "ping": {},
    "tools-list": {},
    "dns-rebinding-protection": {},
    "http-header-validation": {},
    "sep-2164-resource-not-found": {},
    "server-stateless": {
        "sep-2575-server-rejects-undeclared-capability": "calls a tool made for it that samples",
        "sep-2575-missing-capability-http-400": "the same tool",
        "sep-2575-http-server-no-independent-requests-on-stream": "calls a tool that elicits",
        "sep-2575-server-no-log-without-loglevel": "calls a tool that logs to its client",
    },
    "caching": {
        "sep-2549-prompts-list-caching-hints": "there are no prompts",
        "sep-2549-resources-list-caching-hints": "there are no resources",
        "sep-2549-resources-templates-list-caching-hints": "there are no resources",
    },
}
"""What applies, and of it the checks that do not, each with the reason.

Of the rest, ``tools-call-*``, ``json-schema-2020-12``, ``elicitation-*``, ``input-required-*`` and
``http-custom-header-*`` call tools of their own that a server under test has to offer;
``resources-*``, ``prompts-*``, ``completion-*``, ``logging-*`` and ``tasks-*`` are about what this
server neither offers nor claims to; ``server-sse-*`` and ``server-session-lifecycle`` are about
streams and sessions, and check nothing where there are none.
"""


@pytest.fixture(scope="module")
def reached(tracker):
    """The checks' client has no token to send."""
    with bearing(tracker.settings.tracker_url, tracker.token("read", "ingest")) as url:
        yield f"{url}/mcp"


@pytest.mark.needs("npx")
@pytest.mark.parametrize(("scenario", "inapplicable"), SCENARIOS.items(), ids=SCENARIOS)
def test_conformance(reached, tmp_path, scenario, inapplicable):
    command = ["npx", "--yes", *TOOL, "conformance", "server", "--url", reached]
    said = subprocess.run(
        [*command, "--scenario", scenario, "--output-dir", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    results = list(tmp_path.glob("*/checks.json"))
    assert results, said.stdout + said.stderr
    checks = json.loads(results[0].read_text(encoding="utf-8"))
    passed = {check["id"] for check in checks if check["status"] == "SUCCESS"}
    failed = {check["id"]: check for check in checks if check["status"] == "FAILURE"}
    assert passed
    assert failed.keys() == inapplicable.keys(), failed
