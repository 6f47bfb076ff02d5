"""Real processes and ports: kept by their record, told apart from others, waited for."""

import os
import socket
import sys
from pathlib import Path

import pytest
from deployments import wait_for

from orchestrator.tasks import probing
from orchestrator.tasks.outcome import PartlyDone
from schemas.errors import InvalidInput, StepFailed

LISTENS = """
import os, signal, socket, sys, time
signal.signal(signal.SIGHUP, lambda *_: print("read again", flush=True))
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listens", os.environ.get("COLOUR"), os.getcwd(), flush=True)
while True:
    time.sleep(1)
"""


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def app(bench, port):
    """Arguments of a program that listens; it is stopped afterwards."""
    yield {"name": "app", "argv": [sys.executable, "-c", LISTENS, str(port)], "port": port}
    bench("process.stop", name="app", stop_signal="KILL")


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def log_of(bench):
    return (bench.places.log / "app.log").read_text()


class TestStart:
    def test_it_runs_once_and_its_undo_stops_it(self, bench, app):
        assert bench.checked("process.start", **app).diff.startswith("+ ")
        assert bench("process.status", name="app").outputs == {"running": False, "pid": 0}
        outcome = bench("process.start", **app)
        assert bench("port.check", port=app["port"]).message.endswith("is open")
        again = bench("process.start", **app)
        assert (again.changed, again.outputs) == (False, outcome.outputs)
        bench.undo(outcome)
        assert not runs(outcome.outputs["pid"])
        assert bench("port.check", port=app["port"], state="closed").message.endswith("is closed")

    def test_one_that_was_started_otherwise_is_restarted_and_put_back(self, bench, app, tmp_path):
        first = bench("process.start", **app)
        (tmp_path / "a file").write_text("COLOUR='dark blue'\n")
        other = {"settings": str(tmp_path / "a file"), "folder": str(tmp_path)}
        outcome = bench("process.start", **app, **other)
        assert not runs(first.outputs["pid"])
        assert f"listens dark blue {tmp_path}" in log_of(bench)
        bench.undo(outcome)
        assert bench.checked("process.start", **app).changed is False

    def test_one_that_ends_at_once_is_told_with_its_log(self, bench, app):
        app["argv"] = ["sh", "-c", "echo 'no configuration' >&2; exit 3"]
        with pytest.raises(PartlyDone, match="ended at once: no configuration") as caught:
            bench("process.start", **app)
        assert caught.value.outcome.undo[0].task == "process.stop"

    def test_one_whose_port_does_not_answer_is_told_and_can_be_undone(self, bench, app):
        app["argv"] = ["sleep", "1000"]
        with pytest.raises(PartlyDone, match="does not answer on 127") as caught:
            bench("process.start", **app, wait="100ms")
        pid = caught.value.outcome.outputs["pid"]
        assert runs(pid)
        bench.undo(caught.value.outcome)
        assert not runs(pid)

    def test_a_program_that_is_not_there(self, bench, app):
        app["argv"] = ["/no/such/program"]
        with pytest.raises(StepFailed, match=r"/no/such/program"):
            bench("process.start", **app)

    def test_a_secret_among_the_arguments_is_refused_and_not_quoted(self, bench, app):
        bench.scope.secrets.add("hunter22")
        with pytest.raises(InvalidInput, match="a secret is among") as caught:
            bench("process.start", name="app", argv=["app", "--password=hunter22"])
        assert "hunter22" not in str(caught.value)

    @pytest.mark.parametrize("name", ["../app", "a b", "", "-n"])
    def test_a_name_is_one_of_a_file(self, bench, name):
        with pytest.raises(InvalidInput, match="not the name of a process"):
            bench("process.start", name=name, argv=["true"])


class TestStopAndSignal:
    def test_children_end_with_it_and_the_undo_starts_it_again(self, bench, app):
        script = "sleep 1000 & echo $!; exec sleep 1000"
        bench("process.start", name="app", argv=["sh", "-c", script])
        child = int(log_of(bench))
        assert bench.checked("process.stop", name="app").changed
        assert runs(child)
        outcome = bench("process.stop", name="app")
        # It was asked to end with its group; under load that takes the kernel a moment.
        wait_for(lambda: not runs(child))
        assert not bench("process.stop", name="app").changed
        bench.undo(outcome)
        assert bench("process.status", name="app").outputs["running"]

    def test_one_that_does_not_listen_is_ended_without_being_asked(self, bench, app):
        script = "trap '' TERM; echo ready; while :; do sleep 1; done"
        outcome = bench("process.start", name="app", argv=["sh", "-c", script])
        assert "ready" in log_of(bench)
        bench("process.stop", name="app", grace="100ms")
        assert not runs(outcome.outputs["pid"])

    def test_another_process_with_the_same_number_is_left_alone(self, bench, app):
        outcome = bench("process.start", **app)
        pid = outcome.outputs["pid"]
        record = bench.places.state / "processes" / "app.record"
        text = record.read_text()
        started = text.split()[1]
        record.write_text(text.replace(f" {started} ", f" {int(started) - 1} ", 1))
        assert not bench("process.stop", name="app").changed
        assert runs(pid)
        record.write_text(text)

    def test_a_signal_reaches_it(self, bench, app):
        bench("process.start", **app)
        assert bench.checked("process.signal", name="app").changed
        bench("process.signal", name="app", signal="SIGHUP")
        assert probing.wait_until(bench.context, lambda: "read again" in log_of(bench), 10)
        assert log_of(bench).count("read again") == 1

    def test_a_signal_to_one_that_does_not_run(self, bench):
        with pytest.raises(StepFailed, match="app does not run"):
            bench("process.signal", name="app")

    def test_a_restart_is_another_process_started_the_same_way(self, bench, app):
        first = bench("process.start", **app)
        assert bench.checked("process.restart", name="app").changed
        second = bench("process.restart", name="app", port=app["port"])
        assert second.outputs != first.outputs
        assert (runs(first.outputs["pid"]), runs(second.outputs["pid"])) == (False, True)
        assert second.undo == ()

    def test_one_that_was_never_started_cannot_be_restarted(self, bench):
        with pytest.raises(StepFailed, match="never started here"):
            bench("process.restart", name="app")


class TestPort:
    def test_one_that_does_not_answer_in_time(self, bench, port):
        with pytest.raises(StepFailed, match=f"127.0.0.1:{port} does not answer after 100ms"):
            bench("port.wait", port=port, wait="100ms")

    def test_one_that_is_held_is_told_with_its_holder(self, bench):
        with socket.create_server(("127.0.0.1", 0)) as server:
            number = server.getsockname()[1]
            with pytest.raises(StepFailed, match=rf"is held by .*pid {os.getpid()}"):
                bench("port.check", port=number, state="closed")

    def test_check_mode_waits_for_nothing(self, bench, port):
        assert "would wait" in bench.checked("port.wait", port=port, wait="1h").message

    @pytest.mark.parametrize("only", ["bash", "nc", "python3"])
    def test_whatever_the_host_has_to_try_it_with(self, bench, monkeypatch, tmp_path, only):
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "sh").symlink_to("/bin/sh")
        if only == "nc":
            (folder / "nc").write_text(
                f"#!{sys.executable}\nimport socket, sys\n"
                "socket.create_connection((sys.argv[4], int(sys.argv[5])))\n"
            )
            (folder / "nc").chmod(0o755)
        elif only == "python3":
            (folder / "python3").symlink_to(sys.executable)
        else:
            (folder / "bash").symlink_to("/bin/bash")
            (folder / "timeout").symlink_to("/usr/bin/timeout")
        monkeypatch.setenv("PATH", str(folder))
        with socket.create_server(("127.0.0.1", 0)) as server:
            number = server.getsockname()[1]
            assert bench("port.check", port=number).message.endswith("is open")
        assert bench("port.check", port=number, state="closed").message.endswith("is closed")

    def test_a_host_that_has_nothing(self, bench, monkeypatch, tmp_path):
        (tmp_path / "sh").symlink_to("/bin/sh")
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(StepFailed, match="neither bash, nc nor python3"):
            bench("port.check", port=1)

    def test_a_port_that_is_none(self, bench):
        with pytest.raises(InvalidInput, match="not a host and port"):
            bench("port.check", port=70000)
