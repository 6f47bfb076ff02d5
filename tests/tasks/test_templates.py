"""Each template renders to something that the program it is for accepts, with hazards in paths."""

import json
import shlex
import shutil
import subprocess
import sys

import pytest

from orchestrator.tasks.config import rendered
from schemas.places import Places, ops_folder
from schemas.settings import BY_NAME, Settings, read_env_file

TEMPLATES = sorted(path.name for path in (ops_folder() / "templates").glob("*.j2"))
LOADED = {
    "session-tracking.env.j2": "env_file",
    "mahavishnu.yaml.j2": "mahavishnu_config",
    "session-buddy-config.yaml.j2": "tracker_config",
}


def render(bench, name):
    return rendered(bench.context, name)


def put_settings(bench):
    for template, place in LOADED.items():
        path = getattr(bench.places, place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(bench, template))


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_renders_and_ends_with_a_line(bench, name):
    text = render(bench, name)
    assert text.endswith("\n")
    assert "None" not in text


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_template_holds_a_secret(bench_with, name):
    secret = "a5Jq-0pZ7_Lw3xVn8RkT2yBcMd9Fh4Gs6Ue1"
    bench = bench_with(MAHAVISHNU_AUTH_SECRET=secret, SESSION_BUDDY_SECRET=secret)
    assert secret not in render(bench, name)


class TestSettings:
    def test_are_read_back_as_they_were_and_without_a_warning(self, bench_with, tmp_path):
        environ = {
            "MAHAVISHNU_PORT": "3333",
            "SESSION_BUDDY_LOG_LEVEL": "DEBUG",
            "MAHAVISHNU_REPOS": "/srv/a b,/srv/it's: #1",
            "ONEIRIC_EVENT_BUFFER_FLUSH_INTERVAL": "2.5",
            "SESSION_BUDDY_SEMANTIC_SEARCH": "no",
            "SESSION_BUDDY_EMBEDDING_MODEL": "yes",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:4317",
        }
        bench = bench_with(**environ)
        put_settings(bench)
        again = Settings.load(bench.places, {"HOME": str(tmp_path)})
        assert again.warnings == ()
        put_by_files = [name for name in BY_NAME if again.source(name) != "default"]
        assert {name: again[name] for name in put_by_files} == {
            name: bench.settings[name] for name in put_by_files
        } | {"session_buddy.db_path": str(bench.places.database)}

    def test_all_are_in_one_file_but_secrets_and_those_for_debugging(self, bench, tmp_path):
        put_settings(bench)
        again = Settings.load(bench.places, {"HOME": str(tmp_path)})
        assert {name for name in BY_NAME if again.source(name) == "default"} == {
            "mahavishnu.auth_secret",
            "mahavishnu.notify_urls",
            "session_buddy.secret",
            "mahavishnu.debug",
            "mahavishnu.trace_sessions",
        }

    def test_rendering_again_gives_the_same_files(self, bench, bench_with):
        put_settings(bench)
        before = [getattr(bench.places, place).read_text() for place in LOADED.values()]
        again = bench_with()
        assert [render(again, template) for template in LOADED] == before

    def test_a_value_changed_by_hand_is_kept(self, bench, bench_with):
        put_settings(bench)
        path = bench.places.mahavishnu_config
        path.write_text(path.read_text().replace("interval: 60", "interval: 90"))
        assert "checkpoint_interval: 90 " in render(bench_with(), "mahavishnu.yaml.j2")

    def test_a_shell_reads_the_environment_file_as_the_loader_does(self, bench):
        put_settings(bench)
        script = 'set -a; . "$1"; printf "%s" "$SESSION_BUDDY_DB_PATH"'
        words = ["sh", "-euc", script, "sh", bench.places.env_file]
        shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        assert shown == str(bench.places.database)
        assert read_env_file(bench.places.env_file)["SESSION_BUDDY_DB_PATH"] == shown


def supervisor_options(bench):
    from supervisor.options import ServerOptions

    for folder in (bench.places.etc, bench.places.state, bench.places.log):
        folder.mkdir(parents=True)
    path = bench.places.etc / "supervisord.conf"
    path.write_text(render(bench, "supervisord.conf.j2"))
    options = ServerOptions()
    options.realize(["-n", "-c", str(path)])
    return options


def test_supervisor_reads_the_commands_and_folders_as_they_are(bench):
    options = supervisor_options(bench)
    assert options.pidfile == str(bench.places.state / "supervisord.pid")
    found = {group.name: group.process_configs[0] for group in options.process_group_configs}
    assert sorted(found) == ["mahavishnu", "session-buddy"]
    for name, program in found.items():
        words = shlex.split(program.command)
        assert words[-4:] == [
            str(bench.places.current / "bin" / name),
            "mcp",
            "start",
            "--foreground",
        ]
        assert program.stdout_logfile == str(bench.places.log / f"{name}.console.log")


def test_a_server_gets_nothing_of_the_shell_that_deploys(bench):
    """A port that was exported for one deploy must not stay in a server for good."""
    program = supervisor_options(bench).process_group_configs[0].process_configs[0]
    words = shlex.split(program.command)[:-4]
    shown = subprocess.run(
        [*words, "env"], capture_output=True, text=True, check=True, env={"SESSION_BUDDY_PORT": "1"}
    )
    environ = dict(line.split("=", 1) for line in shown.stdout.splitlines())
    assert Places.of_this_user(environ) == bench.places
    assert sorted(environ) == [
        "HOME",
        "LANG",
        "MAHAVISHNU_HOME",
        "PATH",
        "SESSION_BUDDY_HOME",
        "USER",
    ]


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize("server", ["session-buddy", "mahavishnu"])
def test_systemd_accepts_the_units(bench, server):
    program = bench.places.current / "bin" / server
    program.parent.mkdir(parents=True)
    program.symlink_to(shutil.which("true"))
    unit = bench.places.etc / f"{server}.service"
    unit.parent.mkdir()
    unit.write_text(render(bench, f"{server}.service.j2"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.needs("logrotate")
def test_logrotate_accepts_its_configuration(bench):
    bench.places.log.mkdir(parents=True)
    path = bench.places.etc / "logrotate.conf"
    path.parent.mkdir()
    path.write_text(render(bench, "logrotate.conf.j2"))
    path.chmod(0o644)
    done = subprocess.run(
        [shutil.which("logrotate") or "/usr/sbin/logrotate", "-d", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr.lower()
    assert str(bench.places.log / "health.log") in done.stderr


@pytest.mark.parametrize(
    ("script", "task"), [("backup-sessions.sh", "backup"), ("health-check.sh", "health-check")]
)
def test_the_scripts_call_our_commands_and_end_with_their_exit_code(bench, script, task):
    invoke = bench.places.current / "bin" / "invoke"
    invoke.parent.mkdir(parents=True)
    invoke.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "print(json.dumps([sys.argv[1:], os.environ['MAHAVISHNU_HOME'],"
        " os.environ['SESSION_BUDDY_HOME']]))\nsys.exit(5)\n"
    )
    invoke.chmod(0o755)
    path = bench.places.current / "bin" / script
    path.write_text(render(bench, f"{script}.j2"))
    done = subprocess.run(
        ["sh", path, "--json"], capture_output=True, text=True, check=False, env={"PATH": "/bin"}
    )
    assert done.returncode == 5
    assert json.loads(done.stdout) == [
        ["--search-root", str(bench.places.current / "ops"), task, "--json"],
        str(bench.places.home),
        str(bench.places.tracker_home),
    ]
