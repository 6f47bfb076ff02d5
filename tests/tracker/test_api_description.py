"""The description of the API is true: schemathesis asks a real server all that it describes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import validate
from starlette.routing import Route
from tracker_events import make_event, wire

from schemas.settings import Settings
from tracker.api import Api
from tracker.describe import FOLDER, documents
from tracker.ingest_api import BATCH_BOUNDS, IngestApi
from tracker.server import build, describe
from tracker.web.auth import load_keys, mint
from tracker.web.identity import Identity
from tracker.web.logs import log_file
from tracker.web.traffic import Distribution

ALL = ("read", "ingest", "operate", "admin")
EXAMPLES = 8
"""Requests of each kind for each operation; beside these the bounds of every field are tried."""

DOCUMENT = json.loads((FOLDER / "openapi.json").read_text())
UNDESCRIBED = {"/mcp"}
"""Paths that speak another protocol than this one."""


@pytest.fixture(scope="module")
def told(shared_server):
    """The server with something in it, and a token for all of it."""
    with shared_server.client("ingest") as client:
        for name in (f"s{number}" for number in range(10)):
            start = make_event(name, "session_start")
            command = make_event(name, at=1, data={"text": "ps()"}, exit_code=1)
            client.post("/api/v1/events", wire(start, command, make_event(name, "session_end")))
    keys = load_keys(Settings.load(shared_server.places, {}), "session-buddy")
    return shared_server, mint(keys, "session-buddy", "tests", ALL, 3600)


def test_the_server_answers_as_it_is_described(told, tmp_path):
    """No server error, no undocumented status, type or body; nothing invalid is taken.

    What is asked, and what is allowed, stands in ``schemathesis.toml`` beside this file.
    """
    server, token = told
    program = Path(sys.executable).with_name("schemathesis")
    done = subprocess.run(
        [
            *(program, "run", FOLDER / "openapi.json", "--no-color"),
            *("--max-examples", str(EXAMPLES)),
        ],
        cwd=Path(__file__).parent,
        env={
            **os.environ,
            "API_URL": server.url,
            "API_TOKEN": token,
            "API_FOLDER": str(tmp_path / "backups"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout
    count = sum(len(methods) for methods in DOCUMENT["paths"].values())
    assert f"Tested: {count}\n" in done.stdout
    # It warns when an operation has answered with hardly anything but refusals.
    assert "Missing test data" not in done.stdout
    assert "Schema validation mismatch" not in done.stdout
    assert server.healthy()
    assert "request failed" not in log_file("session-buddy", server.places).read_text()


def test_the_description_is_openapi():
    validate(DOCUMENT)


def test_the_files_are_up_to_date():
    written = {name: (FOLDER / name).read_text() for name in documents()}
    assert written == documents(), "run: python -m tracker.describe"


def test_a_server_answers_the_same_description(told):
    server, _ = told
    with server.client("read") as client:
        assert client.get("/openapi.json") == DOCUMENT


def test_it_needs_a_token_like_all_the_rest(told):
    public = {
        path
        for path, methods in DOCUMENT["paths"].items()
        for operation in methods.values()
        if operation["security"] == []
    }
    assert public == {"/health"}


def test_every_route_is_described(service, keyring):
    """Routes that are made of operations are; this finds one that is added past them."""
    places = service.settings.places
    places.etc.mkdir(parents=True)
    places.keyring.write_bytes(keyring.read_bytes())
    places.keyring.chmod(0o600)
    app = build(service, Identity.of_this_process("session-buddy", service.settings))
    paths = {getattr(route, "path", repr(route)) for route in app.routes}
    assert paths - UNDESCRIBED == set(DOCUMENT["paths"])
    for route in app.routes:
        if isinstance(route, Route) and route.path not in UNDESCRIBED:
            methods = {method.upper() for method in DOCUMENT["paths"][route.path]}
            assert route.methods - {"HEAD"} == methods, route.path


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does(service):
    identity = Identity.of_this_process("session-buddy", service.settings)
    ingest = IngestApi(service, Distribution(BATCH_BOUNDS))
    operations = describe(service, Api(service, identity), ingest).operations
    assert len({operation.name for operation in operations}) == len(operations)
    assert all(operation.summary for operation in operations)
    assert all(answer.told for operation in operations for answer in [operation.answer])
