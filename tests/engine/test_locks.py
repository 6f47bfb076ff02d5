"""A lock has one holder, however many want it at once."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time

import pytest
from engine_ops import until

from orchestrator.engine.connect import local_context
from orchestrator.engine.heartbeat import Heartbeat
from orchestrator.engine.liveness import is_alive, process_started
from orchestrator.engine.lock import Lock, Owner
from orchestrator.engine.start import Patience
from orchestrator.engine.stop import StopRequest
from schemas.errors import Busy

WANTING = 8
OLD_UNTIL_TOUCHED = """
lock: trial
steps:
  - id: a
    run: touch -d '1 hour ago' LOCK; while find LOCK -mmin +30 | grep -q .; do sleep 0.05; done
    timeout: 60s
    undo: {none: trial}
"""


def owner(number=0, pid=None, host=None):
    pid = pid or os.getpid()
    return Owner(
        run_id=f"20261123-091500-trial-{number:04x}",
        host=host or socket.gethostname(),
        user="ana",
        pid=pid,
        process_started=process_started(pid) or 1.0,
        since="2026-11-23T09:15:00+00:00",
    )


def dead_pid():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def test_the_holder_is_named_to_whoever_comes_second(ops):
    first = Lock(local_context(), "trial", owner(1))
    assert first.acquire() is None
    with pytest.raises(Busy) as busy:
        Lock(local_context(), "trial", owner(2)).acquire()
    assert "locked by the run 20261123-091500-trial-0001 of ana" in busy.value.message
    assert "since 2026-11-23T09:15:00" in busy.value.message
    assert busy.value.exit_code == 3
    first.release()
    assert Lock(local_context(), "trial", owner(2)).acquire() is None


def test_nobody_frees_the_lock_of_another(ops):
    held = Lock(local_context(), "trial", owner(1))
    held.acquire()
    Lock(local_context(), "trial", owner(2)).release()
    assert held.path.exists()


@pytest.mark.parametrize("before", ["nothing", "dead owner", "dead owner and a dead taker"])
def test_of_many_that_want_it_at_once_one_gets_it(ops, before):
    lock = Lock(local_context(), "trial", owner())
    if before != "nothing":
        Lock(local_context(), "trial", owner(0xDEAD, dead_pid())).acquire()
    if before.endswith("taker"):
        taking = lock.path.with_suffix(".taking")
        taking.mkdir()
        os.utime(taking, (0, 0))
    children = {}
    for number in range(WANTING):
        child = os.fork()
        if child == 0:
            try:
                Lock(local_context(), "trial", owner(number, os.getppid())).acquire()
            except Busy:
                os._exit(3)
            os._exit(0)
        children[child] = number
    codes = {
        children[child]: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children
    }
    winners = [number for number, code in codes.items() if code == 0]
    assert len(winners) == 1, codes
    assert set(codes.values()) == {0, 3}
    assert json.loads(lock.path.read_text())["run_id"] == owner(winners[0]).run_id
    assert [path.name for path in lock.path.parent.iterdir()] == ["trial.lock"]


def test_a_process_is_known_by_its_start_too():
    started = process_started(os.getpid())
    assert is_alive(os.getpid(), started)
    assert not is_alive(os.getpid(), started - 3600), "the number was given to another process"
    assert not is_alive(dead_pid(), started)


def test_a_patient_run_gets_the_lock_once_it_is_free_and_says_who_has_it(ops, capfd):
    first = Lock(local_context(), "trial", owner(1))
    first.acquire()
    second = Lock(local_context(), "trial", owner(2))
    waiter = threading.Thread(
        target=Patience(time.monotonic() + 60, StopRequest()).acquire, args=(second,)
    )
    waiter.start()
    told = ""
    while "waiting: " not in told and waiter.is_alive():
        told += capfd.readouterr().err
    assert "waiting: 'trial' is locked by the run 20261123-091500-trial-0001 of ana" in told
    assert json.loads(first.path.read_text())["run_id"] == owner(1).run_id
    first.release()
    waiter.join(60)
    assert json.loads(second.path.read_text())["run_id"] == owner(2).run_id


def test_patience_ends_and_the_lock_stays_its_holders(ops):
    first = Lock(local_context(), "trial", owner(1))
    first.acquire()
    with pytest.raises(Busy, match="locked by the run 20261123-091500-trial-0001"):
        Patience(time.monotonic() + 0.1, StopRequest()).acquire(
            Lock(local_context(), "trial", owner(2))
        )
    assert json.loads(first.path.read_text())["run_id"] == owner(1).run_id


def test_whoever_is_asked_to_stop_waits_no_longer(ops):
    Lock(local_context(), "trial", owner(1)).acquire()
    stop = StopRequest()
    stop.ask("Ctrl-C")
    with pytest.raises(Busy):
        Patience(time.monotonic() + 3600, stop).acquire(Lock(local_context(), "trial", owner(2)))


def aged(lock, age):
    subprocess.run(["touch", "-d", f"{age} ago", lock.path], check=True)


def test_an_owner_elsewhere_that_is_silent_for_two_minutes_is_dead(ops):
    far = Lock(local_context(), "trial", owner(1, host="elsewhere"))
    far.acquire()
    aged(far, "3 minutes")
    second = Lock(local_context(), "trial", owner(2))
    assert second.acquire() == owner(1, host="elsewhere")
    assert json.loads(second.path.read_text())["run_id"] == owner(2).run_id
    assert not far.touch(), "it hears that the lock is another's now"
    far.release()
    assert second.path.exists()


@pytest.mark.parametrize("age", ["0 seconds", "100 seconds"])
def test_an_owner_elsewhere_that_gave_a_sign_of_life_is_not(ops, age):
    far = Lock(local_context(), "trial", owner(1, host="elsewhere"))
    far.acquire()
    aged(far, "10 minutes")
    assert far.touch()
    if age != "0 seconds":
        aged(far, age)
    with pytest.raises(Busy, match="of ana on elsewhere") as busy:
        Lock(local_context(), "trial", owner(2)).acquire()
    assert "silent for 2 minutes, it is taken for dead" in busy.value.hint


def test_of_an_owner_here_its_process_tells_and_not_the_file(ops):
    lock = Lock(local_context(), "trial", owner(1))
    lock.acquire()
    aged(lock, "3 hours")
    with pytest.raises(Busy):
        Lock(local_context(), "trial", owner(2)).acquire()


def test_a_freed_lock_is_not_made_again_by_a_late_sign(ops):
    lock = Lock(local_context(), "trial", owner(1))
    lock.acquire()
    lock.release()
    assert not lock.touch()
    assert not lock.path.exists()


def test_the_file_is_touched_until_the_lock_is_anothers(ops):
    lock = Lock(local_context(), "trial", owner(1))
    lock.acquire()
    aged(lock, "1 hour")
    lost = threading.Event()
    beat = Heartbeat(local_context, lambda c: Lock(c, "trial", owner(1)), lost.set, every=0.01)
    beat.start()
    until(lambda: time.time() - lock.path.stat().st_mtime < 1800)
    assert not lost.is_set()
    lock.path.write_text(lock.path.read_text().replace("0001", "0002"))
    assert lost.wait(20)
    beat.end()
    beat.wait()


def test_a_run_that_takes_over_says_from_whom(ops):
    far = Lock(local_context(), "trial", owner(1, host="elsewhere"))
    far.acquire()
    aged(far, "3 minutes")
    result = ops.run("lock: trial\nsteps: [{id: a, run: 'true', undo: {none: trial}}]\n")
    assert result.state == "succeeded"
    assert "nothing was heard of it from elsewhere for 2 minutes" in result.notes[0]
    assert not far.path.exists()


def test_a_run_gives_signs_of_life_while_a_step_goes_on(ops, monkeypatch):
    monkeypatch.setattr("orchestrator.engine.start.EVERY", 0.05)
    path = ops.home / "state" / "locks" / "trial.lock"
    result = ops.run(OLD_UNTIL_TOUCHED.replace("LOCK", str(path)))
    assert result.state == "succeeded", result.record.error
