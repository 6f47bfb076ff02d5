"""What would stop a deploy half-way is found before it changes anything."""

import os
import subprocess
import sys
import venv

import pytest

from features.deployment import free_ports
from orchestrator.tasks.release_choice import choose, fault_of
from orchestrator.tasks.release_record import Release
from schemas.errors import InvalidInput, StepFailed
from schemas.settings import Settings


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"SESSION_BUDDY_HOST": "0.0.0.0"}, "not an address of loopback"),
        ({"MAHAVISHNU_HOST": "example.org"}, "not an address of loopback"),
        ({"SESSION_BUDDY_PORT": "3000"}, "are the same port, 3000"),
        (
            {"PROMETHEUS_METRICS_ENABLED": "true", "PROMETHEUS_METRICS_PORT": "8678"},
            "are the same port, 8678",
        ),
    ],
)
def test_addresses_and_ports_that_the_servers_would_refuse(bench_with, environ, told):
    with pytest.raises(InvalidInput, match=told):
        bench_with(**environ)("check.settings")


def test_those_that_are_fine(bench_with):
    assert bench_with(SESSION_BUDDY_HOST="::1")("check.settings").message == "2 ports on loopback"


@pytest.mark.parametrize("values", [{"durations": ["30"]}, {"sizes": ["much"]}, {"keep": 0}])
def test_values_that_a_late_step_could_not_read(bench, values):
    with pytest.raises(InvalidInput):
        bench("check.values", **values)


def test_the_server_of_another_deployment_is_to_be_stopped_not_killed(bench, tmp_path):
    script = tmp_path / "session-buddy"
    script.write_text(
        "import socket, time\ns = socket.create_server(('127.0.0.1', 0))\n"
        "print(s.getsockname()[1], flush=True)\ntime.sleep(600)\n"
    )
    environ = {**os.environ, "MAHAVISHNU_HOME": str(tmp_path / "other")}
    environ.pop("SESSION_BUDDY_HOME", None)
    words = [sys.executable, script, "mcp", "start"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environ) as process:
        port = int(process.stdout.readline())
        with pytest.raises(StepFailed, match=r"of the deployment in .*other") as caught:
            bench("check.port", port=port, owner="session-buddy")
        process.kill()
    assert f"MAHAVISHNU_HOME={tmp_path / 'other'} session-buddy mcp stop" in caught.value.hint


def test_a_health_check_tells_all_that_is_ill(bench_with):
    tracker, mahavishnu = free_ports(2)
    bench = bench_with(SESSION_BUDDY_PORT=str(tracker), MAHAVISHNU_PORT=str(mahavishnu))
    with pytest.raises(StepFailed) as caught:
        bench("service.check", min_disk="900TB")
    for part in ("session-buddy does not answer", "mahavishnu does not answer", "900.0 TB"):
        assert part in caught.value.message


@pytest.fixture
def put(bench):
    """Puts a small release there that is whole: an interpreter and one package."""

    def put(name, state="ready"):
        folder = bench.places.releases / name
        venv.create(folder, symlinks=True)
        site = next(folder.glob("lib/python*/site-packages"))
        info = site / "sessionops-1.dist-info"
        info.mkdir()
        (site / "module.py").write_text("x = 1\n")
        (info / "RECORD").write_text("module.py,sha256=x,6\nmodule.pyc,,\n")
        (folder / "release.json").write_bytes(Release(name, state=state).as_json())
        return folder

    return put


def in_use(bench, folder):
    bench("release.activate", release=folder.name)


class TestWhole:
    def test_one_that_is_whole_is_used(self, bench, put):
        put("1-a")
        assert choose(bench.context, "1-a").ready.id == "1-a"

    @pytest.mark.parametrize("damage", ["unlink", "truncate", "python"])
    def test_one_that_is_damaged_is_not(self, bench, put, damage):
        folder = put("1-a")
        module = next(folder.glob("lib/python*/site-packages/module.py"))
        if damage == "unlink":
            module.unlink()
        elif damage == "truncate":
            module.write_text("")
        else:
            (folder / "bin" / "python").unlink()
        assert fault_of(bench.context, Release("1-a"))
        choice = choose(bench.context, "1-a")
        assert (choice.ready, choice.name) == (None, "1-a")
        assert "1-a is damaged" in choice.note

    def test_the_one_in_use_is_never_made_again_in_its_place(self, bench, put):
        folder = put("1-a")
        in_use(bench, folder)
        (folder / "release.json").unlink()
        assert choose(bench.context, "1-a").name == "1-a.2"

    def test_the_one_beside_it_is_recognised_afterwards(self, bench, put):
        folder = put("1-a")
        in_use(bench, folder)
        (folder / "release.json").unlink()
        in_use(bench, put("1-a.2"))
        assert choose(bench.context, "1-a").ready.id == "1-a.2"


@pytest.mark.parametrize("content", [b"{[", b"\xff\xfe\x00", b"a b c"])
@pytest.mark.parametrize("place", ["mahavishnu_config", "tracker_config", "env_file"])
def test_a_rendered_file_with_garbage_in_it_can_be_removed(bench, place, content):
    path = getattr(bench.places, place)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        Settings.load(bench.places, {})
    assert "remove the file: the next deploy makes a new one" in caught.value.hint
