"""Jobs by time: in the real crontab of a throw-away user, and as a timer of systemd."""

import os
import secrets
import subprocess

import pytest
from systemd_host import SystemdHost

from schemas.errors import InvalidInput, StepFailed

FOREIGN = "# mine\nMAILTO=me\n\n0 2 * * *  /backup.sh   # two\n"
JOB = {"name": "report", "at": "30 4 * * *", "line": "date +%F > '/tmp/a report'"}


@pytest.mark.needs("crontab", "useradd")
@pytest.mark.skipif(os.geteuid() != 0, reason="making users needs root")
class TestCron:
    @pytest.fixture
    def user(self):
        name = f"so-{secrets.token_hex(4)}"
        subprocess.run(["useradd", "--no-create-home", name], check=True)
        yield name
        subprocess.run(["crontab", "-u", name, "-r"], capture_output=True, check=False)
        subprocess.run(["userdel", name], capture_output=True, check=True)

    @staticmethod
    def table(user):
        argv = ["crontab", "-u", user, "-l"]
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout

    def test_an_entry_is_added_once_and_foreign_lines_stay_byte_for_byte(self, bench, user):
        subprocess.run(["crontab", "-u", user, "-"], input=FOREIGN, text=True, check=True)
        assert "+30 4 * * * date" in bench.checked("schedule.cron", user=user, **JOB).diff
        assert self.table(user) == FOREIGN
        outcome = bench("schedule.cron", user=user, **JOB)
        assert self.table(user).startswith(FOREIGN)
        assert "30 4 * * * date +\\%F > '/tmp/a report'" in self.table(user).splitlines()
        assert not bench("schedule.cron", user=user, **JOB).changed
        bench.undo(outcome)
        assert self.table(user) == FOREIGN

    def test_another_time_takes_its_place_and_the_undo_puts_the_former_one_back(self, bench, user):
        bench("schedule.cron", user=user, **JOB)
        bench("schedule.cron", user=user, name="other", at="@daily", line="true")
        before = self.table(user)
        outcome = bench("schedule.cron", user=user, **{**JOB, "at": "@hourly"})
        assert self.table(user) == before.replace("30 4 * * *", "@hourly")
        bench.undo(outcome)
        assert self.table(user) == before

    def test_a_removed_one_comes_back(self, bench, user):
        bench("schedule.cron", user=user, **JOB)
        before = self.table(user)
        outcome = bench("schedule.cron", user=user, name="report", state="absent")
        assert self.table(user) == ""
        assert not bench("schedule.cron", user=user, name="report", state="absent").changed
        bench.undo(outcome)
        assert self.table(user) == before

    def test_a_time_that_cron_refuses_changes_nothing(self, bench, user):
        with pytest.raises(StepFailed, match="bad minute"):
            bench("schedule.cron", user=user, **{**JOB, "at": "99 2 * * *"})
        assert self.table(user) == ""


def test_without_cron_a_job_is_a_failure(bench, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StepFailed, match="no cron on this host"):
        bench("schedule.cron", **JOB)


@pytest.mark.needs("systemd-analyze")
class TestTimer:
    TIMER = {"name": "report", "line": "date +%F", "calendar": "Mon *-*-* 02:00", "spread": "10min"}

    @pytest.fixture
    def host(self, bench, tmp_path, monkeypatch):
        return SystemdHost(bench, tmp_path, monkeypatch)

    def test_is_placed_once_and_taken_away_by_the_undo(self, bench, host):
        assert "+OnCalendar=Mon" in bench.checked("schedule.timer", **self.TIMER).diff
        assert host.told() == []
        outcome = bench("schedule.timer", **self.TIMER)
        assert sorted(one.name for one in host.folder.iterdir()) == [
            "report.service",
            "report.timer",
        ]
        assert host.told()[-1] == "restart report.timer"
        assert not bench("schedule.timer", **self.TIMER).changed
        bench.undo(outcome)
        assert list(host.folder.iterdir()) == []
        assert host.told()[:2] == ["stop report.timer", "disable report.timer"]

    def test_an_absent_one_is_stopped_and_comes_back(self, bench, host):
        bench("schedule.timer", **self.TIMER)
        host.told()
        outcome = bench("schedule.timer", name="report", state="absent")
        assert host.told()[:2] == ["stop report.timer", "disable report.timer"]
        assert not bench("schedule.timer", name="report", state="absent").changed
        bench.undo(outcome)
        assert not bench("schedule.timer", **self.TIMER).changed

    def test_a_time_that_systemd_cannot_read(self, bench, host):
        with pytest.raises(InvalidInput, match="Failed to parse calendar"):
            bench("schedule.timer", **{**self.TIMER, "calendar": "often"})
