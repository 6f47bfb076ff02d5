"""A session is recorded whatever happens to the tracker, the disk and the program itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
from deployments import wait_for

from schemas.errors import StepFailed
from schemas.session import Event
from schemas.settings import Settings, Value
from tracker.client import emitter as emitter_module
from tracker.client.emitter import Emitter
from tracker.client.flush import flush_spool, spool_status


def lines(deployment):
    """What is on disk and was not acknowledged."""
    files = sorted(deployment.places.spool.glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def types(events):
    return [event["event_type"] for event in events]


def test_a_session_arrives_with_its_facts_and_events_in_order(up, facts):
    emitter = Emitter(facts, up.settings)
    emitter.start()
    emitter.emit("command", {"text": "ps()"}, duration_seconds=0.25, exit_code=0)
    emitter.emit("command", {"text": "top()"}, exit_code=1)
    emitter.end(3, {"reason": "test"})
    events = up.events(emitter.session_id)
    assert types(events) == ["session_start", "command", "command", "session_end"]
    assert [event["sequence"] for event in events] == [0, 1, 2, 3]
    assert (events[1]["duration_seconds"], events[2]["exit_code"]) == (0.25, 1)
    with up.client("read") as client:
        session = client.get(f"/api/v1/sessions/{emitter.session_id}")
    assert (session["component"], session["status"], session["exit_code"]) == (
        "mahavishnu",
        "failed",
        3,
    )
    assert session["user"] == facts["user"]
    assert session["metadata"]["env"] == facts["metadata"]["env"]


def test_a_session_is_visible_while_it_goes_on(up, facts):
    emitter = Emitter(facts, up.settings)
    emitter.start()
    wait_for(lambda: any(s["session_id"] == emitter.session_id for s in up.sessions()))
    emitter.end()


def test_nothing_is_left_on_disk_when_everything_has_arrived(up, facts):
    emitter = Emitter(facts, up.settings)
    emitter.start()
    emitter.end()
    assert not list(up.places.spool.glob(f"*-{os.getpid()}*"))


def test_an_event_is_on_disk_when_emit_returns_and_nobody_else_may_read_it(down, facts):
    emitter = Emitter(facts, down.settings, delivery="manual")
    emitter.start()
    emitter.emit("command", {"text": "ps()"})
    assert types(lines(down)) == ["session_start", "command"]
    [file] = down.places.spool.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert down.places.spool.stat().st_mode & 0o777 == 0o700
    emitter.end()


def test_what_is_written_is_what_the_tracker_reads(down, facts):
    emitter = Emitter(facts, down.settings, delivery="manual")
    emitter.start()
    emitter.emit("step", {"step": "x", "changed": True}, timestamp=datetime(2026, 1, 2, tzinfo=UTC))
    emitter.end(0)
    for line in lines(down):
        Event.model_validate(line)


def test_with_the_tracker_down_all_session_long_everything_arrives_later_in_order(down, facts):
    emitter = Emitter(facts, down.settings)
    emitter.start()
    for number in range(50):
        emitter.emit("command", {"text": f"command {number}"})
    emitter.end()
    assert "does not answer" in emitter.problem
    down.start()
    assert flush_spool(down.settings).sent == 52
    assert down.texts(emitter.session_id) == [f"command {number}" for number in range(50)]
    assert flush_spool(down.settings).sent == 0


def test_a_tracker_that_comes_up_during_the_session_gets_everything(down, facts):
    emitter = Emitter(facts, down.settings)
    emitter.start()
    emitter.emit("command", {"text": "while it was down"})
    assert not emitter.flush(5.0)
    down.start()
    assert emitter.flush(5.0)
    assert down.texts(emitter.session_id) == ["while it was down"]
    assert emitter.problem == ""
    emitter.end()


CHILD = """
import sys
from schemas.settings import Settings, Value
from tracker.client.emitter import Emitter
from tracker.client.facts import session_facts
emitter = Emitter(session_facts("mahavishnu", look_at_git=False), Settings.load())
emitter.start()
for number in range(100_000):
    emitter.emit("command", {"text": str(number)})
    print(emitter.session_id, number, flush=True)
"""


KILL_ITSELF = """
import os, signal
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("tracker", ["up", "down"])
def test_nothing_is_lost_by_a_kill_of_the_program(tracker, request):
    deployment = request.getfixturevalue(tracker)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        env=deployment.environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = [child.stdout.readline() for _ in range(200)]
    child.send_signal(signal.SIGKILL)
    said += child.stdout.readlines()
    child.wait(10)
    session_id, last = [line.split() for line in said if line.endswith("\n")][-1]
    if tracker == "down":
        deployment.start()
    flush_spool(deployment.settings)
    texts = deployment.texts(session_id)
    assert len(texts) >= int(last) + 1
    assert texts == [str(number) for number in range(len(texts))]


def test_the_next_session_delivers_what_a_killed_one_left(up, facts):
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            CHILD.replace("100_000", "3") + "import os; os.kill(0 or os.getpid(), 9)",
        ],
        env={**up.environ, "SESSION_BUDDY_PORT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    session_id = child.stdout.split()[0]
    assert spool_status(up.settings).events == 4
    emitter = Emitter(facts, up.settings)
    emitter.start()
    wait_for(lambda: spool_status(up.settings).events == 0)
    emitter.end()
    assert up.texts(session_id) == ["0", "1", "2"]


def test_the_file_of_a_live_program_is_left_to_it(up, facts):
    emitter = Emitter(facts, up.settings, delivery="manual")
    emitter.start()
    flushed = flush_spool(up.settings)
    assert (flushed.sent, flushed.left) == (0, 1)
    [file] = spool_status(up.settings).files
    assert file.owner == "live"
    emitter.end()


def test_sending_twice_stores_once(up, facts):
    emitter = Emitter(facts, up.settings, delivery="manual")
    emitter.start()
    [file] = up.places.spool.glob(f"*-{os.getpid()}.jsonl")
    copy = file.with_name("0000000000000000-1.jsonl")
    copy.write_bytes(file.read_bytes())
    emitter.end()
    assert flush_spool(up.settings).sent == 1
    assert types(up.events(emitter.session_id)) == ["session_start", "session_end"]


def test_checkpoints_come_by_themselves(up, facts):
    every_second = Value(1, "a test, which cannot wait for the least that a person may set")
    values = {name: Value(up.settings[name], up.settings.source(name)) for name in up.settings}
    values["mahavishnu.session.checkpoint_interval"] = every_second
    emitter = Emitter(facts, Settings(values, up.places))
    emitter.start()
    assert emitter.flush()
    wait_for(lambda: "checkpoint" in types(up.events(emitter.session_id)))
    emitter.end()


def test_nobody_waits_for_a_tracker_that_never_answers(down, facts, monkeypatch):
    monkeypatch.setattr(emitter_module, "FLUSH_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", down.settings.count("session_buddy.port"))):
        emitter = Emitter(facts, down.settings)
        emitter.start()
        emitter.emit("command", {"text": "ps()"})
        emitter.end()
    assert types(lines(down)) == ["session_start", "command", "session_end"]


def test_a_full_spool_is_counted_and_leaves_a_gap(up, facts):
    emitter = Emitter(facts, up.settings, delivery="manual", spool_limit=6_000)
    emitter.start()
    for _ in range(100):
        emitter.emit("command", {"text": "x" * 200})
    assert "spool is full" in emitter.problem
    lost = emitter.dropped
    assert 0 < lost < 100
    assert emitter.flush()
    emitter.emit("command", {"text": "there is room again"})
    emitter.end()
    events = up.events(emitter.session_id)
    [gap] = [event for event in events if event["event_type"] == "gap"]
    assert gap["data"]["dropped"] == lost
    assert "spool is full" in gap["data"]["reason"]
    assert len(up.texts(emitter.session_id)) == 101 - lost


def test_a_spool_that_cannot_be_written_stops_nobody_but_who_asked_for_it(down, facts):
    down.places.tracker_home.mkdir(parents=True)
    down.places.spool.write_text("a file where the folder should be")
    emitter = Emitter(facts, down.settings)
    emitter.start()
    emitter.emit("command", {"text": "ps()"})
    emitter.end()
    assert emitter.dropped == 3
    assert str(down.places.spool) in emitter.problem
    with pytest.raises(StepFailed, match="could not be written"):
        Emitter(facts, down.settings, strict=True).start()


def test_switched_off_nothing_is_recorded(down, facts):
    settings = Settings.load(down.places, {"MAHAVISHNU_SESSION_ENABLED": "false"})
    emitter = Emitter(facts, settings)
    emitter.start()
    emitter.emit("command", {"text": "ps()"})
    emitter.end()
    assert not down.places.spool.exists()


def test_secrets_never_touch_the_disk(down, facts):
    facts["metadata"]["db_password"] = "hunter2"
    emitter = Emitter(facts, down.settings, delivery="manual")
    emitter.start()
    emitter.emit("command", {"text": "psql --password hunter2", "error": "token=hunter2"})
    emitter.emit("step", {"outputs": {"api_key": "hunter2", "urls": ["https://a:hunter2@b/"]}})
    emitter.end(0, {"reason": "PASSWORD=hunter2"})
    [file] = down.places.spool.glob("*.jsonl")
    assert "hunter2" not in file.read_text()


@pytest.mark.parametrize(
    "data",
    [
        {"text": "\udce9 is no UTF-8"},
        {"text": "\x00"},
        {"text": "x" * 3_000_000},
        {"number": float("nan"), "path": os, "set": {1}},
        {"deep": [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]},
        {1: "a key that is a number"},
    ],
    ids=["surrogate", "nul", "huge", "types", "deep", "key"],
)
def test_whatever_a_program_says_the_tracker_takes_it(up, facts, data):
    emitter = Emitter(facts, up.settings, delivery="manual")
    emitter.start()
    emitter.emit("command", data)
    emitter.end()
    assert len(up.events(emitter.session_id)) == 3
    assert spool_status(up.settings).rejected == 0


def test_one_event_that_no_tracker_takes_does_not_hold_up_the_others(down, facts):
    down.start()
    emitter = Emitter(facts, down.settings, delivery="manual")
    emitter.start()
    for number in range(20):
        emitter.emit("command" if number != 7 else "nonsense", {"text": str(number)})
    emitter.end()
    assert down.texts(emitter.session_id) == [str(number) for number in range(20) if number != 7]
    assert spool_status(down.settings).rejected == 1
    [rejected] = (down.places.spool / "rejected").iterdir()
    entry = json.loads(rejected.read_text())
    assert "nonsense" in entry["line"]
    assert "event_type" in entry["reason"]


def test_without_a_key_events_stay_until_there_is_one(up, facts):
    ring = up.places.keyring.rename(up.places.keyring.with_suffix(".away"))
    emitter = Emitter(facts, up.settings, delivery="manual")
    emitter.start()
    assert not emitter.flush()
    assert "no key" in emitter.problem
    ring.rename(up.places.keyring)
    emitter.end()
    assert types(up.events(emitter.session_id)) == ["session_start", "session_end"]


def test_a_forked_child_does_not_speak_for_its_parent(up, facts):
    emitter = Emitter(facts, up.settings)
    emitter.start()
    child = os.fork()
    if child == 0:
        emitter.emit("command", {"text": "from the child"})
        emitter.end(1)
        os._exit(0)
    os.waitpid(child, 0)
    emitter.emit("command", {"text": "from the parent"})
    emitter.end()
    assert up.texts(emitter.session_id) == ["from the parent"]


def test_threads_may_emit_at_once(up, facts):
    emitter = Emitter(facts, up.settings)
    emitter.start()

    def work():
        for number in range(20):
            emitter.emit("command", {"text": str(number)})

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    emitter.end()
    events = up.events(emitter.session_id)
    assert [event["sequence"] for event in events] == list(range(102))
