"""When a server is restarted: only when what runs is not what should."""

import pytest

from orchestrator.tasks.managed import Managed
from orchestrator.tasks.service_state import Endpoint, Wanted, difference, verdict
from orchestrator.tasks.service_watch import last_fault
from orchestrator.tasks.supervisor import managed_in
from schemas.errors import StepFailed
from schemas.health import Health, Probe

WANTED = Wanted("0.1.0-bb", "c0ffee", Endpoint("127.0.0.1", 8678))
RUNNING = Managed(42, "RUNNING")


def health(status="healthy", release="0.1.0-bb", configuration="c0ffee", pid=42):
    probes = (Probe("Database", ok=False, value="locked"),) if status != "healthy" else ()
    return Health(
        status, "0.1.0", "session-buddy", release, configuration, pid, "2026-01-01", probes
    )


@pytest.mark.parametrize(
    ("answer", "managed", "action", "reason"),
    [
        (health(), RUNNING, "nothing", ""),
        (health("degraded"), RUNNING, "nothing", ""),
        (health(release="0.1.0-aa"), RUNNING, "restart", "release 0.1.0-aa -> 0.1.0-bb"),
        (health(configuration="old"), RUNNING, "restart", "its configuration has changed"),
        (health("unhealthy"), RUNNING, "restart", "it is unhealthy: Database locked"),
        (None, RUNNING, "restart", "it does not answer"),
        (health(pid=7), RUNNING, "restart", "pid 7 answered in place of pid 42"),
        (None, Managed(None, "STOPPED", idle=True), "start", "it did not run (stopped)"),
        (None, Managed(None, "FATAL", given_up=True, idle=True), "start", "it did not run (fatal)"),
        (
            None,
            Managed(None, "STARTING", starting=True, touched="supervisord was started"),
            "nothing",
            "supervisord was started",
        ),
    ],
)
def test_verdicts(answer, managed, action, reason):
    found = verdict(WANTED, answer, managed)
    assert (found.action, found.reason) == (action, reason)


def test_a_server_of_the_right_release_with_the_right_configuration_is_right():
    assert difference(WANTED, health()) == ""


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            "session-buddy                    RUNNING   pid 25028, uptime 0:00:01\n25028\n",
            Managed(25028, "RUNNING"),
        ),
        ("session-buddy   STARTING   \n7\n", Managed(7, "STARTING", starting=True)),
        (
            "session-buddy   BACKOFF   Exited too quickly (process log may have details)\n0\n",
            Managed(None, "BACKOFF"),
        ),
        (
            "session-buddy   FATAL     Exited too quickly\n0\n",
            Managed(None, "FATAL", given_up=True, idle=True),
        ),
        (
            (
                "session-buddy    RUNNING   pid 6, uptime 0:00:09\n"
                "supervisor> session-buddy: stopped\nsession-buddy: updated process group\n"
                "supervisor> session-buddy    STARTING\nsupervisor> 7\nsupervisor> \n"
            ),
            Managed(7, "STARTING", starting=True, touched="its configuration was read again"),
        ),
        (
            (
                "supervisor> mahavishnu: added process group\n"
                "supervisor> session-buddy    STOPPED   Not started\nsupervisor> 0\nsupervisor> \n"
            ),
            Managed(None, "STOPPED", idle=True, touched="its configuration was read again"),
        ),
    ],
)
def test_what_supervisorctl_prints_is_read(output, expected):
    assert managed_in(output, "session-buddy") == expected


def test_what_supervisorctl_does_not_know_is_told():
    with pytest.raises(StepFailed, match="no such process"):
        managed_in("session-buddy: ERROR (no such process)\n", "session-buddy")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], ""),
        (["", "  "], ""),
        (["Ready to accept connections", "Stopping"], "Stopping"),
        (
            ["Traceback (most recent call last):", "ValueError: bad", "  see the manual"],
            "ValueError: bad",
        ),
        (
            ["error: port 8678 is held by nginx (pid 7)", "  stop it"],
            "error: port 8678 is held by nginx (pid 7)",
        ),
    ],
)
def test_of_a_log_the_line_that_says_why_is_shown(lines, expected):
    assert last_fault(lines) == expected
