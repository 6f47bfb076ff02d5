"""Prechecks: each ends in a line that names what is wrong and what to do."""

import contextlib
import os
import socket
import subprocess
import sys
from ipaddress import ip_address

import pytest

from orchestrator.tasks.check import memory_in
from orchestrator.tasks.listeners import Socket, listening, serves
from schemas.errors import StepFailed


@contextlib.contextmanager
def a_server(tmp_path, environ, *words, host="127.0.0.1"):
    """A process that listens on a free port, and whose argument list ends with ``words``."""
    script = tmp_path / "session-buddy"
    script.write_text(
        "import socket, sys, time\n"
        f"s = socket.create_server(('{host}', 0), family=socket.AF_INET6 if ':' in '{host}'"
        " else socket.AF_INET)\n"
        "print(s.getsockname()[1], flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, script, *words], stdout=subprocess.PIPE, text=True, env=environ
    ) as process:
        try:
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


class TestPort:
    def test_a_free_port_is_fine(self, bench):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        assert bench("check.port", port=port).message == "free"

    @pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
    def test_another_process_is_named_with_what_to_do(self, bench, tmp_path, host):
        with (
            a_server(tmp_path, dict(os.environ), "--pass-word", host=host) as (pid, port),
            pytest.raises(StepFailed) as caught,
        ):
            bench("check.port", port=port, owner="session-buddy")
        assert f"port {port} is held by" in caught.value.message
        assert f"pid {pid}" in caught.value.message
        assert "session-buddy (pid" in caught.value.message
        assert "pass-word" not in str(caught.value)
        assert f"kill {pid}" in caught.value.hint
        assert "SESSION_BUDDY_PORT" in caught.value.hint

    def test_another_address_is_no_conflict(self, bench, tmp_path):
        with a_server(tmp_path, dict(os.environ), host="127.0.0.9") as (_, port):
            assert bench("check.port", port=port).message == "free"

    def test_our_own_server_may_hold_it(self, bench, tmp_path):
        home = {"MAHAVISHNU_HOME": str(bench.places.home), "HOME": "/nowhere"}
        environ = home | {"SESSION_BUDDY_HOME": str(bench.places.tracker_home)}
        with a_server(tmp_path, environ, "mcp", "start") as (pid, port):
            outcome = bench("check.port", port=port, owner="session-buddy")
            assert f"pid {pid}" in outcome.message
            with pytest.raises(StepFailed):
                bench("check.port", port=port, owner="mahavishnu")

    def test_the_server_of_another_deployment_may_not(self, bench, tmp_path):
        environ = {"MAHAVISHNU_HOME": "/elsewhere", "HOME": "/nowhere"}
        with (
            a_server(tmp_path, environ, "mcp", "start") as (_, port),
            pytest.raises(StepFailed, match="is held by"),
        ):
            bench("check.port", port=port, owner="session-buddy")


TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:21E6 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1
   1: 0100007F:21E6 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1
   2: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1
  sl  local_address                         remote_address                        st
   0: 0000000000000000FFFF00000100007F:21E6 00000000000000000000000000000000:0000 0A \
00000000:00000000 00:00000000 00000000  33        0 4714 1
"""


def test_the_table_of_sockets_is_read():
    found = listening(TCP, 8678)
    assert found == [
        Socket(ip_address("127.0.0.1"), "4711", "1000"),
        Socket(ip_address("::ffff:127.0.0.1"), "4714", "33"),
    ]
    assert listening(TCP, 1) == []


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["/r/bin/python", "/home/current/bin/mahavishnu", "mcp", "start", "--foreground"], True),
        (["mahavishnu", "mcp", "start"], True),
        (["mahavishnu", "mcp", "health"], False),
        (["vim", "mahavishnu"], False),
        (["mahavishnu"], False),
        ([], False),
    ],
)
def test_a_server_is_known_by_its_arguments(argv, expected):
    assert serves(argv, "mahavishnu") is expected


MEMINFO = "MemTotal:        2048000 kB\nMemFree:          100000 kB\n"


@pytest.mark.parametrize(
    ("text", "total"),
    [
        (MEMINFO, 2048000 * 1024),
        (MEMINFO + "max\n", 2048000 * 1024),
        (MEMINFO + "1000000000\n", 1000000000),
        (MEMINFO + "9223372036854771712\n", 2048000 * 1024),
        ("", None),
    ],
)
def test_memory_is_that_of_the_machine_or_of_its_container(text, total):
    assert memory_in(text) == total


class TestAmounts:
    def test_what_there_is_is_enough(self, bench):
        assert bench("check.memory", minimum="1MB").outputs["bytes"] > 1_000_000
        path = str(bench.places.tracker_home / "not there yet")
        assert bench("check.disk", path=path, free="1MB").outputs["bytes"] > 1_000_000

    def test_too_little_is_told_with_both_amounts(self, bench):
        with pytest.raises(StepFailed, match=r"of memory, and 900\.0 TB are needed"):
            bench("check.memory", minimum="900TB")
        with pytest.raises(StepFailed, match=r"free at .*, and 900\.0 TB are needed"):
            bench("check.disk", path=str(bench.places.tracker_home), free="900TB")


class TestWritable:
    def test_folders_that_can_be_made_are_fine(self, bench):
        paths = [str(bench.places.home / "a"), str(bench.places.tracker_home)]
        assert bench("check.writable", paths=paths).message == "2 writable"
        assert not bench.places.home.exists()

    def test_a_file_where_a_folder_should_be_is_named(self, bench, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(StepFailed, match=r"file is a file, and .*file/below is to be a folder"):
            bench("check.writable", paths=[str(tmp_path), str(tmp_path / "file" / "below")])

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_closed_folder_is_named_with_the_user(self, bench, tmp_path):
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(StepFailed, match=r"may not write to .*closed"):
            bench("check.writable", paths=[str(tmp_path / "closed" / "new")])

    def test_a_file_system_that_is_read_only_is_named_also_to_root(self, bench):
        with pytest.raises(StepFailed, match="may not write to /proc"):
            bench("check.writable", paths=["/proc/sys/new"])


class TestPrograms:
    def test_the_interpreter_is_named(self, bench):
        outcome = bench("check.python")
        assert outcome.outputs["version"] == ".".join(map(str, sys.version_info[:3]))

    def test_one_that_is_too_old_is_named_with_what_is_needed(self, bench, tmp_path):
        old = tmp_path / "python3"
        old.write_text("#!/bin/sh\necho 3.9.2 /usr/bin/python3.9\n")
        old.chmod(0o755)
        object.__setattr__(bench.scope.host, "python", str(old))
        with pytest.raises(StepFailed, match=r"3\.9\.2 at /usr/bin/python3\.9 .*needs 3\.11"):
            bench("check.python")

    def test_missing_tools_are_named_together(self, bench):
        assert bench("check.tools", names=["sh", "cat"]).message == "sh, cat"
        with pytest.raises(StepFailed, match="no-such-a, no-such-b not found"):
            bench("check.tools", names=["no-such-a", "sh", "no-such-b"])
