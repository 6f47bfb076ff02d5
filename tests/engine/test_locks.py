"""A lock has one holder, however many want it at once."""

from __future__ import annotations

import json
import os
import socket
import threading
import time

import pytest

from orchestrator.engine.connect import local_context
from orchestrator.engine.liveness import is_alive, process_started
from orchestrator.engine.lock import Lock, Owner
from orchestrator.engine.start import Patience
from orchestrator.engine.stop import StopRequest
from schemas.errors import Busy

WANTING = 8


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
