"""Files and folders: what is made, that a second time changes nothing, and how it is undone."""

import os
import stat

import pytest

from schemas.errors import InvalidInput, StepFailed


def mode_of(path):
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a file"
    path.write_text("before\n")
    path.chmod(0o640)
    return path


class TestFolders:
    def test_are_made_with_those_above_them_and_undone_when_empty(self, bench, tmp_path):
        deep, used = tmp_path / "a b" / "c", tmp_path / "used"
        outcome = bench("files.folders", paths=[str(deep.parent), str(deep), str(used)])
        assert (outcome.changed, mode_of(deep)) == (True, 0o700)
        assert not bench("files.folders", paths=[str(deep), str(used)]).changed
        (used / "data").touch()
        bench.undo(outcome)
        assert not deep.parent.exists()
        assert (used / "data").exists()

    def test_get_their_mode_and_its_undo(self, bench, tmp_path):
        folder = tmp_path / "open"
        folder.mkdir()
        folder.chmod(0o755)
        outcome = bench("files.folders", paths=[str(folder)])
        assert mode_of(folder) == 0o700
        bench.undo(outcome)
        assert mode_of(folder) == 0o755

    def test_check_mode_makes_nothing(self, bench, tmp_path):
        outcome = bench.checked("files.folders", paths=[str(tmp_path / "new")])
        assert outcome.changed
        assert "new" in outcome.diff
        assert not (tmp_path / "new").exists()

    def test_a_file_in_the_way_is_named(self, bench, file):
        with pytest.raises(StepFailed, match="not a folder"):
            bench("files.folders", paths=[str(file)])


class TestRemoveAndRestore:
    def test_removing_is_undone_with_mode_and_content(self, bench, file):
        outcome = bench("files.remove", path=str(file))
        assert not file.exists()
        assert not bench("files.remove", path=str(file)).changed
        bench.undo(outcome)
        assert (file.read_text(), mode_of(file)) == ("before\n", 0o640)

    def test_check_mode_removes_nothing(self, bench, file):
        assert bench.checked("files.remove", path=str(file)).changed
        assert file.exists()

    def test_saved_content_is_closed_to_others(self, bench, file):
        bench("files.remove", path=str(file))
        assert mode_of(bench.scope.saved) == 0o700

    def test_a_saved_copy_that_is_gone_is_told(self, bench, file):
        with pytest.raises(StepFailed, match="is gone"):
            bench("files.restore", path=str(file), saved=str(bench.scope.saved / "nothing"))
        assert file.read_text() == "before\n"

    def test_a_folder_is_not_removed(self, bench, tmp_path):
        with pytest.raises(StepFailed, match="is a folder"):
            bench("files.remove", path=str(tmp_path))


class TestLink:
    def test_is_switched_in_one_rename_and_undone(self, bench, tmp_path):
        path = tmp_path / "the link"
        bench("files.link", path=str(path), target="old target")
        outcome = bench("files.link", path=str(path), target="new target")
        assert str(path.readlink()) == "new target"
        assert not bench("files.link", path=str(path), target="new target").changed
        bench.undo(outcome)
        assert str(path.readlink()) == "old target"
        assert sorted(each.name for each in tmp_path.iterdir()) == ["sa ved", "the link"]

    def test_check_mode_links_nothing(self, bench, tmp_path):
        assert bench.checked("files.link", path=str(tmp_path / "link"), target="x").changed
        assert not os.path.lexists(tmp_path / "link")


class TestCopyAndMode:
    def test_a_copy_replaces_a_link_and_not_what_it_points_to(self, bench, tmp_path, file):
        link = tmp_path / "link"
        link.symlink_to(file)
        source = tmp_path / "source"
        source.write_bytes(b"\xff\x00after")
        outcome = bench("files.copy", source=str(source), dest=str(link), mode="0600")
        assert (link.read_bytes(), mode_of(link)) == (b"\xff\x00after", 0o600)
        assert file.read_text() == "before\n"
        assert "not text" in outcome.diff
        bench.undo(outcome)
        assert link.is_symlink()

    def test_a_mode_is_set_and_undone(self, bench, file):
        outcome = bench("files.mode", path=str(file), mode="0600")
        assert not bench("files.mode", path=str(file), mode="0600").changed
        bench.undo(outcome)
        assert mode_of(file) == 0o640

    @pytest.mark.parametrize("mode", ["rw-", "0899", "77777", ""])
    def test_what_is_no_mode_is_refused(self, bench, file, mode):
        with pytest.raises(InvalidInput, match="not a file mode"):
            bench("files.mode", path=str(file), mode=mode)

    def test_a_path_is_absolute(self, bench):
        with pytest.raises(InvalidInput, match="not an absolute path"):
            bench("files.remove", path="here/it/is")
