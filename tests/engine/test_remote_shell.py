"""The one shell on a host: what a command may do without harm to those after it."""

from __future__ import annotations

import io
import tracemalloc

import pytest
from deployments import wait_for
from ssh_hosts import know, ssh_hosts

from orchestrator.engine.connect import RUN_OPTIONS
from orchestrator.engine.remote_shell import RemoteShell
from orchestrator.engine.ssh import connect
from schemas.errors import Unreachable
from schemas.inventory import Host

pytestmark = [pytest.mark.needs("sshd"), pytest.mark.xdist_group("remote-shell")]


@pytest.fixture(scope="module")
def hosts():
    with ssh_hosts("near", "behind") as made:
        yield made


@pytest.fixture
def user_home(hosts, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    know(tmp_path, hosts)
    return tmp_path


@pytest.fixture
def connected(user_home):
    made = []

    def connected(host, **more):
        made.append(connect(RemoteShell(host.name, Host(**host.entry(**more))), RUN_OPTIONS))
        return made[-1]

    yield connected
    for each in made:
        each.close()


@pytest.fixture
def near(hosts, connected):
    return connected(hosts[0])


def connections(host):
    return (host.folder / "log").read_text().count("Accepted publickey")


@pytest.mark.parametrize(
    ("line", "content", "expected"),
    [
        ("cat", b"", ""),
        ("cat", b"one\ntwo\n", "one\ntwo\n"),
        ("cat", b"no newline", "no newline"),
        ("cat", b"$HOME `id` \\ 'quoted'\n", "$HOME `id` \\ 'quoted'\n"),
        ("od -An -tx1 | tr -d ' \\n'", bytes(range(256)), bytes(range(256)).hex()),
        ("wc -c | tr -d ' '", b"x" * 300_000, "300000\n"),
        ("true", b"nobody reads this\n" * 20_000, ""),
        ("printf 'no newline'", b"", "no newline"),
        ("read -r word; echo $word", b"first\nsecond\n", "first\n"),
    ],
)
def test_standard_input_reaches_the_command_as_it_is_and_no_other(near, line, content, expected):
    stdin = io.BytesIO(content) if content else False
    assert near.run(line, in_stream=stdin).stdout == expected
    assert near.run("echo after; cat").stdout == "after\n"


def test_output_error_output_and_exit_code_stay_apart(near):
    answer = near.run("echo out; echo err >&2; exit 7", warn=True)
    assert (answer.stdout, answer.stderr, answer.exited) == ("out\n", "err\n", 7)
    for line in ("exit 3", "kill -9 $$", "cd /; umask 0; WORD=kept", "exec false", "if"):
        near.run(line, warn=True)
    assert near.run("pwd; echo ${WORD:-none}").stdout == f"{near.run('echo ~').stdout}none\n"


def test_a_hundred_commands_are_one_connection(near, hosts):
    near.run("true")
    before = connections(hosts[0])
    for number in range(100):
        assert near.run(f"echo {number}").stdout == f"{number}\n"
    assert connections(hosts[0]) == before


def test_a_hundred_megabytes_of_binary_output_are_bounded(near):
    near.run("true")
    tracemalloc.start()
    try:
        answer = near.run("head -c 100000000 /dev/urandom; echo; echo the end")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.stdout.endswith("the end\n")
    assert "bytes left out" in answer.stdout
    assert peak < 30_000_000


def test_the_environment_is_in_no_argument_list(near):
    line = "echo $WORD; ps -eo args | grep -c '[s]ecret-in-env'"
    answer = near.run(line, env={"WORD": "secret-in-env"}, warn=True)
    assert answer.stdout == "secret-in-env\n0\n"


def test_what_a_command_leaves_running_neither_ends_nor_talks_into_the_next(near, hosts):
    before = connections(hosts[0])
    near.run("(sleep 0.3; echo late) & sleep 30 & echo $! > left")
    assert near.run("sleep 0.6; echo mine").stdout == "mine\n"
    assert near.run("kill -0 $(cat left) && kill $(cat left)").ok
    assert connections(hosts[0]) <= before + 1


def test_a_command_that_is_ended_in_time_leaves_the_shell_usable(near):
    from invoke.exceptions import CommandTimedOut

    before = near.run("echo $PPID").stdout
    with pytest.raises(CommandTimedOut) as ended:
        near.run("echo begun; sleep 77", timeout=0.5)
    assert ended.value.result.stdout == "begun\n"
    assert near.run("echo $PPID").stdout == before
    assert not near.run("pgrep -xf 'sleep 77'", warn=True).stdout


def test_a_host_that_drops_is_unreachable_and_can_come_back(near, hosts):
    near.run("true")
    hosts[0].drop()
    try:
        # The client may learn of it only by this command; the next one finds it gone.
        with pytest.raises(Unreachable, match=r"refused|the connection was lost"):
            near.run("echo never")
        with pytest.raises(Unreachable, match="refused"):
            near.run("echo never")
    finally:
        hosts[0].start()
    assert near.run("echo back").stdout == "back\n"


def test_a_jump_host_is_gone_through_and_its_key_is_checked(hosts, connected, user_home):
    near, behind = hosts
    jump = f"{near.user}@{near.address}:{near.port}"
    through = connected(behind, jump=jump)
    assert through.run("id -un").stdout == f"{behind.user}\n"
    assert through.run("echo ${SSH_CONNECTION%% *}").stdout.startswith("127.0.0.")
    know(user_home, [behind])
    with pytest.raises(Unreachable):
        connected(behind, jump=jump).run("true")


def test_the_openssh_configuration_is_honoured(hosts, user_home):
    near = hosts[0]
    (user_home / ".ssh" / "config").write_text(
        f"Host short\n HostName {near.address}\n Port {near.port}\n User {near.user}\n"
        f" IdentityFile {near.key}\n UserKnownHostsFile {user_home}/.ssh/known_hosts\n"
    )
    short = connect(RemoteShell("short", Host()), RUN_OPTIONS)
    try:
        assert short.run("id -un").stdout == f"{near.user}\n"
    finally:
        short.close()


def test_a_new_key_is_taken_where_the_inventory_says_so_and_another_one_never(
    hosts, connected, user_home
):
    near, behind = hosts
    known = user_home / ".ssh" / "known_hosts"
    known.unlink()
    with pytest.raises(Unreachable, match="key is not known"):
        connected(near).run("true")
    assert connected(near, known_hosts="accept-new").run("echo in").stdout == "in\n"
    known.write_text(f"[{near.address}]:{near.port} " + behind.known.partition(" ")[2])
    with pytest.raises(Unreachable, match="not the one that is known"):
        connected(near, known_hosts="accept-new").run("true")
    own = user_home / "own"
    own.write_text(near.known)
    assert connected(near, known_hosts=str(own)).run("echo in").stdout == "in\n"


def test_files_still_go_through_fabric(near, tmp_path):
    (tmp_path / "here").write_bytes(b"\0content")
    near.put(str(tmp_path / "here"), "there")
    near.get("there", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == b"\0content"
    assert near.run("wc -c < there").stdout.strip() == "8"


def test_nothing_is_left_when_it_is_closed(hosts, connected):
    near = connected(hosts[0])
    near.run("true")
    near.close()
    wait_for(lambda: not hosts[0].processes())
