"""The files between a program and the tracker: cut, filled with rubbish, left behind."""

from __future__ import annotations

import json

import pytest

from tracker.client.circuit import Circuit
from tracker.client.flush import flush_spool, spool_status
from tracker.client.spool import Spool, SpoolFull


def event(number, **changes):
    made = {
        "event_id": f"e{number}",
        "session_id": "s",
        "event_type": "command",
        "timestamp": "2026-11-23T00:00:00+00:00",
        "sequence": number,
        "data": {"text": str(number)},
    }
    return json.dumps({**made, **changes}).encode() + b"\n"


def left_behind(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "0000000000000000-1.jsonl"
    path.write_bytes(content)
    return path


DAMAGED = {
    "cut in its last line": (event(0) + event(1)[:40], 1, 1),
    "cut in the middle": (event(0) + event(1)[:40] + b"\n" + event(2), 2, 1),
    "two lines run together": (event(0)[:-1] + event(1), 0, 1),
    "only the line end missing": (event(0) + event(1)[:-1], 2, 0),
    "zeros, as after a loss of power": (event(0) + b"\0" * 5000, 1, 1),
    "no UTF-8": (b"\xff\xfe\n" + event(0), 1, 1),
    "another encoding of JSON": (event(0).decode().encode("utf-16") + b"\n" + event(1), 1, 2),
    "JSON that is no event": (b"[]\n1\n{}\n" + event(0), 1, 3),
    "nested too deep": (b"[" * 5000 + b"\n" + event(0), 1, 1),
    "empty lines": (b"\n\n" + event(0) + b"\n", 1, 0),
    "a line without end": (b"x" * 9_000_000, 0, 3),
    "empty": (b"", 0, 0),
}


@pytest.mark.parametrize(("content", "good", "bad"), DAMAGED.values(), ids=DAMAGED.keys())
def test_good_lines_are_read_and_bad_ones_are_told_apart(tmp_path, content, good, bad):
    spool = Spool.adopt(left_behind(tmp_path, content))
    found = [0, 0]
    while spool.unsent:
        batch = spool.read(1000)
        found[0] += len(batch.lines)
        found[1] += len(batch.bad)
        spool.confirm(batch.end)
    assert found == [good, bad]
    spool.close()
    assert not spool.path.exists()


def test_of_a_damaged_file_the_good_lines_arrive_and_the_bad_are_kept_aside(up):
    content = event(0, session_id="damaged", event_id="d0") + b"rub\xffbish\n"
    content += event(1, session_id="damaged", event_id="d1") + event(2)[:30]
    path = left_behind(up.places.spool, content)
    flushed = flush_spool(up.settings)
    assert (flushed.sent, flushed.left, flushed.set_aside) == (2, 0, 2)
    assert up.texts("damaged") == ["0", "1"]
    aside = up.places.spool / "rejected" / path.name
    assert aside.stat().st_mode & 0o777 == 0o600
    entries = [json.loads(line) for line in aside.read_text().splitlines()]
    assert [entry["reason"] for entry in entries] == ["not UTF-8", "cut, or not JSON"]
    assert entries[0]["line"] == "rub\\xffbish"
    aside.unlink()


def test_batches_have_their_size(tmp_path):
    spool = Spool.adopt(left_behind(tmp_path, b"".join(map(event, range(25)))))
    sizes = []
    while spool.unsent:
        batch = spool.read(10)
        sizes.append(len(batch.lines))
        spool.confirm(batch.end)
    assert sizes == [10, 10, 5]
    spool.close()


def test_a_batch_that_was_not_confirmed_is_read_again(tmp_path):
    spool = Spool.adopt(left_behind(tmp_path, event(0) + event(1)))
    assert spool.read(1) == spool.read(1)
    spool.close()
    assert spool.path.read_bytes() == event(0) + event(1)


def test_a_long_session_does_not_leave_a_long_file(tmp_path):
    spool = Spool.create(tmp_path)
    for number in range(100):
        spool.append(event(number))
        spool.confirm(spool.read(10).end)
    assert spool.path.stat().st_size == 0
    spool.close()


def test_a_file_has_one_owner(tmp_path):
    spool = Spool.create(tmp_path)
    spool.append(event(0))
    assert Spool.adopt(spool.path) is None
    spool.close()
    adopted = Spool.adopt(spool.path)
    assert adopted.read(1).lines
    adopted.close()


def test_the_limit_counts_what_others_have_left(tmp_path):
    left_behind(tmp_path, event(0) * 10)
    spool = Spool.create(tmp_path, limit=len(event(0)) * 12)
    spool.append(event(1))
    spool.append(event(2))
    with pytest.raises(SpoolFull):
        spool.append(event(3))
    spool.close()


def test_a_disk_that_takes_half_a_line_keeps_none_of_it(tmp_path, monkeypatch):
    spool = Spool.create(tmp_path)
    spool.append(event(0))
    import os

    write = os.write
    monkeypatch.setattr("tracker.client.spool.os.write", lambda fd, line: write(fd, line[:10]))
    with pytest.raises(OSError, match="disk is full"):
        spool.append(event(1))
    monkeypatch.undo()
    spool.append(event(2))
    assert spool.path.read_bytes() == event(0) + event(2)
    spool.close()


def test_status_of_a_folder_that_is_not_there(down):
    assert spool_status(down.settings).events == 0


def test_the_circuit_waits_longer_each_time_and_lets_one_attempt_through():
    circuit = Circuit(threshold=3, shortest=5, longest=60)
    states, now = [], 100.0
    for _ in range(3):
        states.append(circuit.state(now))
        circuit.failed(now)
    assert states == ["closed"] * 3
    waits = []
    for _ in range(6):
        assert circuit.state(now) == "open"
        waits.append(circuit.next_attempt - now)
        now = circuit.next_attempt
        assert circuit.state(now) == "half-open"
        circuit.failed(now)
    assert waits == [5, 10, 20, 40, 60, 60]
    circuit.succeeded()
    assert circuit.state(now) == "closed"
