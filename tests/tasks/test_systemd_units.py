"""Units of the user's own: real ones for ``systemd-analyze``, and what systemd is told of them."""

import pytest
from systemd_host import SystemdHost

from orchestrator.tasks.outcome import PartlyDone
from schemas.errors import InvalidInput, NotFound, StepFailed

UNIT = """\
[Unit]
Description=an app

[Service]
ExecStart=/bin/sleep 1000

[Install]
WantedBy=default.target
"""


@pytest.fixture
def host(bench, tmp_path, monkeypatch):
    return SystemdHost(bench, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        ("systemd.unit", {"name": "app", "content": UNIT}),
        ("systemd.service", {"name": "app"}),
        ("systemd.enable", {"name": "app"}),
        ("systemd.daemon_reload", {}),
        ("schedule.timer", {"name": "app", "line": "true", "calendar": "daily"}),
    ],
)
def test_a_host_without_systemd_is_told_and_nothing_pretended(
    bench, monkeypatch, tmp_path, task, arguments
):
    monkeypatch.setattr("orchestrator.tasks.units.SYSTEMD_RUNS", str(tmp_path / "nothing"))
    for call in (bench, bench.checked):
        with pytest.raises(StepFailed, match="systemd does not run on this host") as caught:
            call(task, **arguments)
        assert "process.start" in caught.value.hint


@pytest.mark.needs("systemd-analyze")
class TestUnit:
    def test_is_placed_once_enabled_and_taken_away_by_the_undo(self, bench, host):
        given = {"name": "app", "content": UNIT, "enabled": True}
        assert "+ExecStart=" in bench.checked("systemd.unit", **given).diff
        assert host.told() == []
        outcome = bench("systemd.unit", **given)
        assert (host.folder / "app.service").read_text() == UNIT
        assert host.told() == ["daemon-reload", "enable app.service", "loginctl enable-linger ops"]
        assert not bench("systemd.unit", **given).changed
        # From a command line a flag that may be left out is a text.
        assert not bench("systemd.unit", **{**given, "enabled": "true"}).changed
        with pytest.raises(InvalidInput, match="enabled is 'perhaps'"):
            bench("systemd.unit", **{**given, "enabled": "perhaps"})
        bench.undo(outcome)
        assert host.told() == ["disable app.service", "daemon-reload"]
        assert list(host.folder.iterdir()) == []

    def test_systemd_reads_the_former_one_again_after_the_undo(self, bench, host):
        bench("systemd.unit", name="app", content=UNIT)
        outcome = bench("systemd.unit", name="app", content=UNIT.replace("1000", "2000"))
        host.told()
        bench.undo(outcome)
        assert (host.folder / "app.service").read_text() == UNIT
        assert host.told() == ["daemon-reload"]

    def test_one_that_systemd_refuses_is_not_placed(self, bench, host):
        with pytest.raises(StepFailed, match="refuses the new app"):
            bench("systemd.unit", name="app", content="[Service]\nExecStart=/no/such/program\n")
        assert list(host.folder.iterdir()) == []

    def test_an_absent_one_is_disabled_first_and_comes_back(self, bench, host):
        bench("systemd.unit", name="app", content=UNIT, enabled=True)
        host.told()
        outcome = bench("systemd.unit", name="app", state="absent")
        assert host.told() == ["disable app.service", "daemon-reload"]
        assert not bench("systemd.unit", name="app", state="absent").changed
        bench.undo(outcome)
        assert host.told() == ["daemon-reload", "enable app.service", "loginctl enable-linger ops"]

    def test_it_is_made_of_one_thing(self, bench, host):
        with pytest.raises(InvalidInput, match="of a template or of content"):
            bench("systemd.unit", name="app")


@pytest.mark.needs("systemd-analyze")
class TestService:
    @pytest.fixture(autouse=True)
    def unit(self, bench, host):
        bench("systemd.unit", name="app", content=UNIT)
        host.told()

    def test_is_started_once_and_stopped_by_the_undo(self, bench, host):
        assert bench.checked("systemd.service", name="app").changed
        assert host.told() == []
        outcome = bench("systemd.service", name="app")
        assert outcome.outputs == {"pid": 42, "state": "active"}
        assert not bench("systemd.service", name="app").changed
        bench.undo(outcome)
        assert host.told() == ["start app.service", "stop app.service"]

    def test_is_stopped_once_and_started_by_the_undo(self, bench, host):
        bench("systemd.service", name="app")
        outcome = bench("systemd.service", name="app", state="stopped")
        assert not bench("systemd.service", name="app", state="stopped").changed
        bench.undo(outcome)
        assert host.told() == ["start app.service", "stop app.service", "start app.service"]

    def test_a_restart_of_one_that_ran_has_nothing_to_undo(self, bench, host):
        bench("systemd.service", name="app")
        assert bench("systemd.service", name="app", state="restarted").undo == ()

    def test_one_that_fails_is_told_with_its_log_and_can_be_undone(self, bench, host):
        host.becomes("app.service", "failed")
        with pytest.raises(PartlyDone, match="it cannot find its port") as caught:
            bench("systemd.service", name="app")
        assert caught.value.outcome.undo[0].arguments["state"] == "stopped"

    def test_one_that_is_not_there(self, bench, host):
        with pytest.raises(NotFound, match="there is no unit other"):
            bench("systemd.service", name="other")

    def test_a_state_that_is_none(self, bench, host):
        with pytest.raises(InvalidInput, match="not a state"):
            bench("systemd.service", name="app", state="up")
