"""The entry in the user's crontab: our block only, every other line byte for byte."""

import pytest

from orchestrator.tasks.crontab import block_of, with_block, without_block
from orchestrator.tasks.schedule import boot_line
from schemas.errors import StepFailed

FOREIGN = "# mine\nMAILTO=me\n\n0 2 * * *  /backup.sh   # two\n"


@pytest.mark.parametrize(
    "text", ["", FOREIGN, "@daily x", "\n\n", FOREIGN + "no newline at the end"]
)
def test_a_block_is_put_in_and_taken_out(text):
    put = with_block(text, "boot", ["@reboot a", "@reboot b"])
    assert put.startswith(text)
    assert block_of(put, "boot") == ["@reboot a", "@reboot b"]
    assert with_block(put, "boot", ["@reboot a", "@reboot b"]) == put
    assert without_block(put, "boot").rstrip("\n") == text.rstrip("\n")


def test_a_block_is_changed_where_it_stands():
    text = with_block(FOREIGN, "boot", ["old"]) + "# after\n"
    changed = with_block(text, "boot", ["new"])
    assert changed == text.replace("old", "new")


def test_blocks_of_two_deployments_do_not_touch_each_other():
    text = with_block(with_block("", "boot /a", ["a"]), "boot /b", ["b"])
    assert block_of(without_block(text, "boot /a"), "boot /b") == ["b"]
    assert block_of(text, "boot") is None


def test_a_block_whose_end_was_deleted_by_hand_costs_no_foreign_line():
    begin = with_block("", "boot", ["x"]).splitlines()[0]
    assert without_block(f"one\n{begin}\ntwo\n", "boot") == "one\ntwo\n"


def test_percent_signs_and_spaces_are_safe_for_cron(bench):
    line = boot_line(type(bench.places)(bench.places.home / "50%", bench.places.tracker_home))
    assert line.startswith("@reboot '")
    assert "50\\%" in line


@pytest.fixture
def cron(tmp_path, monkeypatch):
    """A crontab program that keeps one user's crontab in a file."""
    table = tmp_path / "table"
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "crontab"
    program.write_text(
        f"""#!/bin/sh
case "$1" in
  -l) cat '{table}' 2>/dev/null || {{ echo "no crontab for ops" >&2; exit 1; }} ;;
  -) cat > '{table}' ;;
esac
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return table


class TestBoot:
    def test_the_service_manager_is_started_at_boot(self, bench, cron):
        cron.write_text(FOREIGN)
        outcome = bench("schedule.boot")
        assert boot_line(bench.places) in cron.read_text().splitlines()
        assert cron.read_text().startswith(FOREIGN)
        assert not bench("schedule.boot").changed
        bench.undo(outcome)
        assert cron.read_text() == FOREIGN

    def test_a_first_crontab_is_made(self, bench, cron):
        assert bench("schedule.boot").changed
        assert cron.read_text().count("@reboot") == 1

    def test_the_entry_is_taken_away_and_put_back(self, bench, cron):
        bench("schedule.boot")
        before = cron.read_text()
        outcome = bench("schedule.boot", enabled=False)
        assert "@reboot" not in cron.read_text()
        bench.undo(outcome)
        assert cron.read_text() == before

    def test_check_mode_writes_nothing(self, bench, cron):
        assert "+@reboot" in bench.checked("schedule.boot").diff
        assert not cron.exists()

    def test_without_cron_it_is_told_and_no_failure(self, bench, cron):
        (cron.parent / "bin" / "crontab").write_text("#!/bin/sh\nexit 127\n")
        outcome = bench("schedule.boot")
        assert not outcome.changed
        assert "no cron" in outcome.message

    def test_a_user_who_may_not_have_one_is_told(self, bench, cron):
        text = "#!/bin/sh\necho 'You (ops) are not allowed to use this program' >&2; exit 1\n"
        (cron.parent / "bin" / "crontab").write_text(text)
        with pytest.raises(StepFailed, match="not allowed") as caught:
            bench("schedule.boot")
        assert "start_at_boot=false" in caught.value.hint
