"""Releases: made once, switched to in one rename, gone back from, removed when they are many."""

import json
import os
import shutil
import subprocess
import sys
import tomllib

import pytest

from orchestrator.tasks import release_source
from orchestrator.tasks.release_install import clear
from orchestrator.tasks.release_record import Release
from orchestrator.tasks.release_source import _entries
from schemas.errors import NotFound
from schemas.places import ops_folder
from tests.tasks.conftest import Bench

PROJECT = tomllib.loads((ops_folder() / "pyproject.toml").read_text())


@pytest.fixture
def put(bench):
    """Puts a release there that is nothing but its record."""

    def put(name, state="ready", created="2026-01-01"):
        folder = bench.places.releases / name
        folder.mkdir(parents=True)
        if state != "incomplete":
            record = Release(name, state=state, created=f"{created}{name}", reason="it was ill")
            (folder / "release.json").write_bytes(record.as_json())
        return folder

    return put


def current(bench):
    return bench.places.current.resolve().name if bench.places.current.is_symlink() else None


def deploy(bench, name):
    outcome = bench("release.activate", release=name)
    bench("release.confirm")
    return outcome


def state_of(bench, name):
    return json.loads((bench.places.releases / name / "release.json").read_text())


class TestSwitch:
    def test_is_a_link_that_is_replaced(self, bench, put):
        put("a")
        put("b")
        assert bench("release.activate", release="a").changed
        outcome = bench("release.activate", release="b")
        assert (current(bench), outcome.outputs["previous"]) == ("b", "a")
        assert bench.places.current.readlink().parts == ("releases", "b")
        assert "- current -> a\n+ current -> b\n" in outcome.diff

    def test_a_second_time_changes_nothing(self, bench, put):
        put("a")
        deploy(bench, "a")
        assert not bench("release.activate", release="a").changed
        assert not bench("release.confirm").changed

    def test_check_mode_switches_nothing(self, bench, put):
        put("a")
        assert bench.checked("release.activate", release="a").changed
        assert bench.checked("release.activate", release="not-made-yet").changed
        assert current(bench) is None

    @pytest.mark.parametrize("state", ["failed", "incomplete"])
    def test_only_to_one_that_is_whole_and_did_not_fail(self, bench, put, state):
        put("a", state)
        with pytest.raises(NotFound, match="no release 'a' to switch to"):
            bench("release.activate", release="a")

    def test_its_undo_goes_back_and_marks_the_release_as_failed(self, bench, put):
        put("a")
        put("b")
        deploy(bench, "a")
        bench.undo(bench("release.activate", release="b"))
        assert current(bench) == "a"
        assert state_of(bench, "b")["state"] == "failed"
        assert "test-run" in state_of(bench, "b")["reason"]
        assert not bench("release.activate", release="a").changed

    def test_the_undo_of_the_first_leaves_none(self, bench, put):
        put("a")
        bench.undo(bench("release.activate", release="a"))
        assert not bench.places.current.is_symlink()
        with pytest.raises(NotFound):
            bench("release.activate", release="a")

    def test_one_that_a_killed_run_left_unproven_can_be_gone_back_from(self, bench, put):
        put("a")
        put("b")
        deploy(bench, "a")
        bench("release.activate", release="b")
        again = bench("release.activate", release="b")
        assert "did not end" in again.message
        bench.undo(again)
        assert current(bench) == "a"


def test_one_that_failed_is_not_deployed_by_its_name(bench, put):
    put("ill", "failed")
    with pytest.raises(NotFound, match="it was ill"):
        bench("release.create", version="ill")


class TestPrevious:
    def test_is_the_one_before(self, bench, put):
        for name in ("a", "b", "c"):
            put(name)
            deploy(bench, name)
        assert bench("release.previous").outputs == {"release": "b", "current": "c"}
        assert bench("release.previous", to="a").outputs["release"] == "a"

    def test_going_back_twice_goes_back_further(self, bench, put):
        for name in ("a", "b", "c"):
            put(name)
            deploy(bench, name)
        for expected in ("b", "a"):
            release = bench("release.previous").outputs["release"]
            bench("release.activate", release=release, back=True)
            bench("release.confirm", back=True)
            assert current(bench) == expected
        with pytest.raises(NotFound, match="no release to go back to before a"):
            bench("release.previous")

    def test_is_never_one_that_failed_or_was_never_proven(self, bench, put):
        put("a")
        put("ill")
        deploy(bench, "a")
        bench.undo(bench("release.activate", release="ill"))
        with pytest.raises(NotFound, match="no release to go back to"):
            bench("release.previous")
        with pytest.raises(NotFound, match=r"it was ill|rolled back"):
            bench("release.previous", to="ill")

    def test_half_a_line_at_the_end_of_the_history_is_no_obstacle(self, bench, put):
        put("a")
        deploy(bench, "a")
        path = bench.places.state / "releases.jsonl"
        whole = path.read_text()
        path.write_text(whole + '{"event": "acti')
        assert not bench("release.activate", release="a").changed
        put("b")
        deploy(bench, "b")
        assert bench("release.previous").outputs["release"] == "a"


class TestPrune:
    def test_keeps_the_newest(self, bench, put):
        for name in "abcdefg":
            put(name)
            deploy(bench, name)
        outcome = bench("release.prune", keep=5)
        assert sorted(outcome.outputs["removed"]) == ["a", "b"]
        assert sorted(path.name for path in bench.places.releases.iterdir()) == list("cdefg")
        assert not bench("release.prune", keep=5).changed

    def test_keeps_what_a_process_runs_from(self, bench, put):
        for name in "abc":
            put(name)
            deploy(bench, name)
        program = bench.places.releases / "a" / "server"
        program.write_text("import time; print('up', flush=True); time.sleep(600)\n")
        with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            assert bench("release.prune", keep=1).outputs["removed"] == []
            process.kill()
        assert bench("release.prune", keep=1).outputs["removed"] == ["a"]

    def test_check_mode_removes_nothing(self, bench, put):
        for name in "abc":
            put(name)
            deploy(bench, name)
        assert bench.checked("release.prune", keep=1).outputs["removed"] == ["a"]
        assert (bench.places.releases / "a").is_dir()

    def test_clears_away_what_a_removal_left(self, bench, put):
        for name in "abc":
            put(name)
            deploy(bench, name)
        (bench.places.releases / ".removed-a" / "lib").mkdir(parents=True)
        bench("release.prune", keep=2)
        assert sorted(path.name for path in bench.places.releases.iterdir()) == ["b", "c"]


def test_the_list_names_each_with_its_state(bench, put):
    put("a")
    put("ill", "failed")
    put("half", "incomplete")
    deploy(bench, "a")
    text = bench("release.list").message
    assert "a  ready  2026-01-01a  current, proven" in text
    assert "ill  failed  2026-01-01ill  it was ill" in text
    assert "half  incomplete" in text


def test_what_a_killed_deploy_left_installing_is_ended_before_its_folder_is_cleared(bench, put):
    folder = put("a", "incomplete")
    code = "import sys, time; print('up', flush=True); time.sleep(600)"
    with subprocess.Popen(
        [sys.executable, "-c", code, f"{folder}/bin/python"], stdout=subprocess.PIPE
    ) as installer:
        installer.stdout.readline()
        clear(bench.context, folder)
        assert installer.wait(10) != 0
    assert not folder.exists()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("re lease")
    checkout = root / "checkout"
    skip = shutil.ignore_patterns("__pycache__", ".*")
    for name in ("pyproject.toml", "requirements.lock", *_entries(PROJECT)):
        source = ops_folder() / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        options = {"ignore": skip, "dirs_exist_ok": True} if source.is_dir() else {}
        checkout.mkdir(exist_ok=True)
        copy(source, checkout / name, **options)
    bench = Bench(root, {"HOME": str(root)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release_source, "ops_folder", lambda: checkout)
        would = bench.checked("release.create")
        nothing_yet = not bench.places.releases.exists()
        before = os.umask(0)
        try:
            outcome = bench("release.create")
        finally:
            os.umask(before)
        yield bench, would, nothing_yet, outcome


class TestMake:
    """The real thing, once: a virtual environment from this checkout, some seconds long."""

    def test_check_mode_names_the_same_release_and_makes_nothing(self, made):
        _, would, nothing_yet, outcome = made
        assert nothing_yet
        assert would.changed
        assert would.outputs == outcome.outputs

    def test_its_programs_run_and_know_their_release(self, made):
        bench, _, _, outcome = made
        folder = bench.places.releases / outcome.outputs["release"]
        assert str(folder) == outcome.outputs["path"]
        code = "from schemas.release import release_id; print(release_id())"
        words = [folder / "bin" / "python", "-c", code]
        shown = subprocess.run(words, capture_output=True, text=True, check=True, cwd="/")
        assert shown.stdout.strip() == folder.name

    def test_it_carries_what_people_operate_with(self, made):
        bench, _, _, outcome = made
        ops = bench.places.releases / outcome.outputs["release"] / "ops"
        for name in ("tasks.py", "inventory.yaml", "requirements.lock", "runbooks/deploy.yaml"):
            assert (ops / name).is_file()
        words = [ops.parent / "bin" / "invoke", "--search-root", ops, "--list"]
        assert (
            "health-check"
            in subprocess.run(words, capture_output=True, text=True, check=True).stdout
        )

    def test_only_its_owner_may_write_to_it_whatever_the_umask(self, made):
        bench, _, _, outcome = made
        words = ["find", bench.places.releases / outcome.outputs["release"], "-perm", "/022"]
        shown = subprocess.run([*words, "!", "-type", "l"], capture_output=True, check=True)
        assert shown.stdout == b""

    def test_its_record_says_what_it_is(self, made):
        bench, _, _, outcome = made
        record = state_of(bench, outcome.outputs["release"])
        assert record["state"] == "ready"
        assert record["source"] == "this checkout"
        assert record["python"] == ".".join(map(str, sys.version_info[:3]))
        assert record["schema_version"] >= 1

    def test_the_same_content_is_recognised(self, made):
        bench, _, _, outcome = made
        again = bench("release.create")
        assert not again.changed
        assert again.outputs == outcome.outputs
        named = bench("release.create", version=outcome.outputs["release"])
        assert not named.changed

    def test_one_that_failed_is_made_again_and_that_is_said(self, made):
        bench, _, _, outcome = made
        name = outcome.outputs["release"]
        bench("release.activate", release=name)
        bench("release.revert", to="", failed=name, reason="a test said so")
        assert "failed at" in bench.checked("release.create").message
        assert "a test said so" in bench.checked("release.create").message

    def test_one_that_failed_and_that_a_process_still_needs_is_tried_as_it_is(self, made):
        """The service manager may run from it: clearing the folder would end every server."""
        bench, _, _, outcome = made
        folder = bench.places.releases / outcome.outputs["release"]
        words = [folder / "bin" / "python", "-c", "import time; time.sleep(600)"]
        with subprocess.Popen(words) as process:
            again = bench("release.create")
            assert process.poll() is None
            process.kill()
        assert "is tried as it is" in again.message
        assert state_of(bench, folder.name)["state"] == "ready"
