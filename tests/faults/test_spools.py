"""What waits on disk while no tracker answers: nothing is lost, and rubbish holds nothing up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.settings import Settings
from tests.deployments import COMMAND
from tests.tracker.tracker_servers import DEADLINE
from tracker.client.emitter import Emitter

COMMANDS = 500


@pytest.fixture
def down(new_server, places):
    """A server that does not run until it is started."""
    return new_server(places)


def session_buddy(server, *arguments):
    done = subprocess.run(
        [COMMAND, *arguments],
        env=server.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    return done


def events_of(server, session_id):
    found, after = [], ""
    with server.client("read") as client:
        while after is not None:
            path = f"/api/v1/sessions/{session_id}/events"
            page = client.get(path, limit=1000, after=after or None)
            found, after = found + page["events"], page["next"]
    return found


SHELL = """
import sys
from pathlib import Path
from schemas.places import Places
from schemas.settings import Settings
from tracker.client.emitter import Emitter
settings = Settings.load(Places.of_this_user())
emitter = Emitter({"component": "mahavishnu"}, settings)
print(emitter.session_id, flush=True)
emitter.start()
for number in range(%d):
    emitter.emit("command", {"text": f"command {number}"}, exit_code=0)
emitter.end()
"""


def test_a_tracker_that_is_down_for_a_whole_session_gets_all_of_it_in_order(down):
    shell = subprocess.run(
        [sys.executable, "-c", SHELL % COMMANDS],
        env=down.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert (shell.returncode, shell.stderr) == (0, "")
    waiting = json.loads(session_buddy(down, "spool", "status", "--format", "json").stdout)
    assert (waiting["events"], waiting["files"][0]["owner"]) == (COMMANDS + 2, "dead")

    down.start()
    assert f"{COMMANDS + 2} events delivered" in session_buddy(down, "spool", "flush").stdout
    events = events_of(down, shell.stdout.strip())
    assert [event["sequence"] for event in events] == list(range(COMMANDS + 2))
    texts = [event["data"]["text"] for event in events if event["event_type"] == "command"]
    assert texts == [f"command {number}" for number in range(COMMANDS)]
    with down.client("read") as client:
        session = client.get(f"/api/v1/sessions/{shell.stdout.strip()}")
    assert (session["status"], session["command_count"]) == ("ended", COMMANDS)


def line(number, **changes):
    event = {
        "event_id": f"good-{number}",
        "session_id": "good",
        "event_type": "command",
        "timestamp": f"2026-11-23T09:00:{number:02}+00:00",
        "sequence": number,
        "data": {"text": f"good {number}"},
    }
    return json.dumps({**event, **changes}).encode() + b"\n"


START = line(0, event_type="session_start", session={"component": "mahavishnu"})
RUBBISH = {
    "binary": os.urandom(5_000).replace(b"\n", b"x") + b"\n",
    "a huge line": b'{"event_id": "' + b"x" * 6_000_000 + b'"}\n',
    "a list": b"[1, 2, 3]\n",
    "no session": b'{"event_id": "x", "event_type": "command"}\n',
    "wrong types": line(50, timestamp=7),
    "an unknown type": line(51, event_type="party"),
    "an unknown field": line(52, colour="red"),
    "a time that cannot be right": line(53, timestamp="2999-01-01T00:00:00+00:00"),
    "nested too deep": b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"\n",
    "a number that is none": line(54)[:-2] + b', "exit_code": NaN}\n',
    "half of a surrogate": line(55).replace(b"good 55", b"\\ud800"),
    "a zero byte": line(56).replace(b"good 56", b"\\u0000"),
    "cut": line(57)[:60] + b"\n",
}


def test_what_is_good_arrives_and_what_is_bad_is_set_aside_and_counted(down):
    down.start()
    folder = down.places.spool
    folder.mkdir(parents=True)
    goods = 1
    content = START
    for number, rubbish in enumerate(RUBBISH.values(), start=1):
        content += rubbish + line(number)
        goods += 1
    (folder / "0000000000000000-1.jsonl").write_bytes(content + line(58)[:30])
    (folder / "0000000000000001-1.jsonl").write_bytes(os.urandom(100_000))
    (folder / "0000000000000002-1.jsonl").write_bytes(line(59))
    (folder / "0000000000000003-1.jsonl").mkdir()
    (folder / "0000000000000004-1.jsonl").symlink_to("/etc/passwd")
    os.mkfifo(folder / "0000000000000005-1.jsonl")

    flushed = session_buddy(down, "spool", "flush")
    assert "refused and set aside" in flushed.stdout
    texts = [event["data"].get("text", "") for event in events_of(down, "good")]
    wanted = {f"good {number}" for number in (*range(1, goods), 59)}
    assert wanted <= set(texts)
    status = json.loads(session_buddy(down, "spool", "status", "--format", "json").stdout)
    assert status["events"] == 0
    assert status["rejected"] >= len(RUBBISH) - 2
    assert len(status["skipped"]) == 3
    told = session_buddy(down, "spool", "status")
    assert f"{status['rejected']} events were refused; they are in {folder}/rejected" in told.stdout
    assert told.stderr.count("left alone, no readable file") == 3
    assert (folder / "0000000000000004-1.jsonl").readlink() == Path("/etc/passwd")
    # It goes on for those that come after.
    emitter = Emitter(
        {"component": "mahavishnu"}, Settings.load(down.places, down.environ), delivery="manual"
    )
    emitter.start()
    emitter.end()
    assert len(events_of(down, emitter.session_id)) == 2
