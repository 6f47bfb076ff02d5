"""What systemd is told, by a systemctl that writes down what it is asked and starts nothing."""

import dataclasses

import pytest

from orchestrator.tasks import service_manager, systemd_servers
from orchestrator.tasks.scope import attach, base_variables
from schemas.places import Places
from schemas.settings import Settings

SYSTEMCTL = """\
#!/bin/sh
echo "systemctl $*" >> "{log}"
case "$*" in
  *is-enabled*) echo disabled; echo disabled; exit 1 ;;
  *show*) printf 'MainPID=42\\nActiveState=active\\nNeedDaemonReload=yes\\n' ;;
esac
"""


@pytest.fixture
def told(bench, tmp_path, monkeypatch):
    """The commands that were given, on a host where systemd is process 1, to a user's manager."""
    places = Places(tmp_path / ".mahavishnu", tmp_path / ".session-buddy")
    host = dataclasses.replace(bench.scope.host, places=places, is_root=False, user="ops")
    settings = Settings.load(places, {"HOME": str(tmp_path)})
    changed = {"places": places, "host": host, "settings": settings}
    changed["variables"] = base_variables(host, settings, {})
    bench.scope = dataclasses.replace(bench.scope, **changed)
    attach(bench.context, bench.scope)
    log, folder = tmp_path / "told", tmp_path / "bin"
    folder.mkdir()
    programs = {
        "systemctl": SYSTEMCTL.format(log=log),
        "loginctl": f'#!/bin/sh\necho "loginctl $*" >> "{log}"\n',
        "systemd-analyze": '#!/bin/sh\ntest -f "$3"\n',
        "journalctl": '#!/bin/sh\necho "$*"\necho "RuntimeError: it is ill"\n',
    }
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(service_manager, "SYSTEMD_RUNS", str(folder))

    def lines():
        found = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return found

    return lines


def test_units_are_installed_once_and_stopped_by_the_undo(bench, told, tmp_path):
    outcome = bench("service.install")
    folder = tmp_path / ".config" / "systemd" / "user"
    assert sorted(path.name for path in folder.iterdir()) == [
        "mahavishnu.service",
        "session-buddy.service",
    ]
    assert "WantedBy=default.target" in (folder / "mahavishnu.service").read_text()
    assert told() == ["systemctl --user --no-ask-password daemon-reload"]
    assert not bench("service.install").changed
    assert told() == []
    bench.undo(outcome)
    assert list(folder.iterdir()) == []
    assert told() == [
        "systemctl --user --no-ask-password stop mahavishnu.service",
        "systemctl --user --no-ask-password stop session-buddy.service",
        "systemctl --user --no-ask-password disable session-buddy.service mahavishnu.service",
        "systemctl --user --no-ask-password daemon-reload",
    ]


def test_check_mode_shows_the_units_and_installs_none(bench, told, tmp_path):
    outcome = bench.checked("service.install")
    assert "+ExecStart=" in outcome.diff
    assert not (tmp_path / ".config").exists()
    assert told() == []


def test_a_unit_that_is_newer_than_what_systemd_knows_is_read_again(bench, told):
    manager = systemd_servers.Systemd(bench.context)
    managed = manager.refresh("session-buddy")
    assert (managed.pid, managed.state, managed.idle) == (42, "active", False)
    assert "systemctl --user --no-ask-password daemon-reload" in told()


def test_what_a_server_said_is_in_the_journal(bench, told):
    lines = systemd_servers.Systemd(bench.context).log_tail("session-buddy")
    assert lines == [
        "--no-pager -o cat -n 20 --user-unit session-buddy.service",
        "RuntimeError: it is ill",
    ]


def test_units_start_at_boot_or_not(bench, told):
    units = "session-buddy.service mahavishnu.service"
    assert not bench("schedule.boot", enabled=False).changed
    told()
    outcome = bench("schedule.boot")
    assert told() == [
        f"systemctl --user --no-ask-password is-enabled {units}",
        f"systemctl --user --no-ask-password enable {units}",
        "loginctl enable-linger ops",
    ]
    assert [inverse.arguments for inverse in outcome.undo] == [{"enabled": False}]


def test_a_deployment_in_another_home_keeps_to_itself(bench, told, tmp_path):
    other = Places(tmp_path / "other", tmp_path / ".session-buddy")
    attach(bench.context, dataclasses.replace(bench.scope, places=other))
    assert not service_manager.uses_systemd(bench.context)
