"""What file-like tasks refuse: before anything has changed, with a line that says why."""

import functools
import hashlib
import http.server
import io
import subprocess
import tarfile
import threading
import zipfile

import pytest

from schemas.errors import InvalidInput, StepFailed


def member(name, kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


MEAN = {
    "a parent folder": ([member("../evil")], "leads out of the folder"),
    "in the middle": ([member("a/../../evil")], "leads out of the folder"),
    "an absolute path": ([member("/srv/evil")], "absolute path"),
    "a pipe": ([member("pipe", tarfile.FIFOTYPE)], "no file, folder or link"),
    "a device": ([member("null", tarfile.CHRTYPE)], "no file, folder or link"),
    "through a link": ([member("l", tarfile.SYMTYPE, "/srv"), member("l/evil")], "through a link"),
    "a link out": ([member("l", tarfile.SYMTYPE, "../../evil")], "the link ./l leads out"),
    "an absolute link": ([member("l", tarfile.SYMTYPE, "/etc")], "the link ./l leads out"),
}


@pytest.mark.parametrize("name", list(MEAN))
def test_an_archive_that_would_write_elsewhere_is_not_unpacked(bench, tmp_path, name):
    members, told = MEAN[name]
    path = tmp_path / "mean.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for info in members:
            archive.addfile(info, io.BytesIO())
    with pytest.raises(StepFailed, match=told):
        bench("archive.unpack", path=str(path), dest=str(tmp_path / "a" / "to"))
    assert {one.name for one in tmp_path.rglob("*")} <= {"mean.tar.gz", "a"}


@pytest.mark.needs("unzip")
def test_nor_is_such_a_zip(bench, tmp_path):
    path = tmp_path / "mean.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../evil", "x")
    with pytest.raises(StepFailed, match="leads out of the folder"):
        bench("archive.unpack", path=str(path), dest=str(tmp_path / "a" / "to"))
    assert [one.name for one in tmp_path.iterdir()] == ["mean.zip"]


def test_one_with_harmless_links_is_unpacked_without_the_rights_of_root(bench, tmp_path):
    path, dest = tmp_path / "a.tar", tmp_path / "to"
    program = member("bin/program")
    program.mode = 0o6755
    with tarfile.open(path, "w") as archive:
        archive.addfile(program, io.BytesIO())
        archive.addfile(member("current", tarfile.SYMTYPE, "bin/program"))
        archive.addfile(member("same", tarfile.LNKTYPE, "bin/program"))
    bench("archive.unpack", path=str(path), dest=str(dest))
    assert (dest / "current").resolve() == dest / "bin" / "program"
    assert (dest / "bin" / "program").stat().st_mode & 0o7000 == 0


@pytest.mark.parametrize(
    ("digest", "content", "told"),
    [("0" * 64, b"", "not the archive that is meant"), ("", b"no archive", "cannot be unpacked")],
)
def test_another_archive_or_a_damaged_one(bench, tmp_path, digest, content, told):
    path, dest = tmp_path / "a.tar.gz", tmp_path / "to"
    path.write_bytes(content)
    with pytest.raises(StepFailed, match=told):
        bench("archive.unpack", path=str(path), dest=str(dest), sha256=digest)
    assert not dest.exists()


def test_a_folder_with_files_of_others_is_left_and_so_is_one_that_changed_hands(bench, tmp_path):
    path, dest = tmp_path / "a.tar", tmp_path / "to"
    with tarfile.open(path, "w") as archive:
        archive.addfile(member("a"), io.BytesIO())
    dest.mkdir()
    (dest / "mine").touch()
    with pytest.raises(StepFailed, match="was not unpacked from an archive"):
        bench("archive.unpack", path=str(path), dest=str(dest))
    with pytest.raises(StepFailed, match="holds something else by now"):
        bench("archive.put_back", dest=str(dest), sha256="0" * 64)
    assert (dest / "mine").exists()


@pytest.mark.parametrize(
    ("task", "more", "told"),
    [
        ("files.line", {"line": "x"}, "does not exist"),
        ("files.replace", {"pattern": "^$", "replacement": "x"}, "does not exist"),
        ("files.fetch", {"dest": "/nowhere/a"}, "not a file that is there"),
        ("files.owner", {"owner": "root"}, "does not exist"),
    ],
)
def test_a_file_that_is_missing(bench, tmp_path, task, more, told):
    with pytest.raises(StepFailed, match=told):
        bench(task, path=str(tmp_path / "missing"), **more)


def test_a_line_that_the_program_would_refuse_is_not_written(bench, tmp_path):
    path = tmp_path / "conf"
    path.write_text("a\n")
    with pytest.raises(StepFailed, match="refuses the new conf"):
        bench("files.line", path=str(path), line="b", validate="grep -q nothing {file}")
    assert path.read_text() == "a\n"


def test_a_file_that_is_larger_than_agreed_is_not_fetched(bench, tmp_path):
    (tmp_path / "big").write_bytes(bytes(2000))
    with pytest.raises(StepFailed, match="is the most"):
        bench("files.fetch", path=str(tmp_path / "big"), dest=str(tmp_path / "x"), max_size="1KB")


@pytest.mark.parametrize(
    ("target", "told"), [("..", "leads back to a folder"), ("nowhere", "cannot read")]
)
def test_a_tree_with_a_link_that_leads_nowhere_is_not_copied(bench, tmp_path, target, told):
    (tmp_path / "tree" / "below").mkdir(parents=True)
    (tmp_path / "tree" / "below" / "link").symlink_to(target)
    with pytest.raises(StepFailed, match=told) as failed:
        bench("files.copy", source=str(tmp_path / "tree"), dest=str(tmp_path / "to"))
    if hasattr(failed.value, "outcome"):
        bench.undo(failed.value.outcome)
    assert not (tmp_path / "to").exists()


def test_what_is_not_utf8_in_a_file_stays(bench, tmp_path):
    path = tmp_path / "latin"
    path.write_bytes(b"\xe4\xff\nb\n")
    bench("files.line", path=str(path), line="c", match="^b")
    assert path.read_bytes() == b"\xe4\xff\nc\n"


@pytest.mark.needs("curl")
def test_a_download_that_is_another_file_leaves_what_is_there(bench, tmp_path):
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a").write_text("forged")
    dest = tmp_path / "dest"
    dest.write_text("old")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "web")
    wanted = hashlib.sha256(b"true").hexdigest()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(StepFailed, match="is another file"):
            bench("http.download", url=f"{url}/a", dest=str(dest), sha256=wanted)
        with pytest.raises(StepFailed, match=r"could not be downloaded: .*404"):
            bench("http.download", url=f"{url}/b", dest=str(dest), sha256=wanted)
        server.shutdown()
    assert dest.read_text() == "old"
    assert not list(tmp_path.glob(".*"))


def test_a_checkout_with_changes_of_ones_own_is_left(bench, tmp_path):
    work = tmp_path / "work"
    subprocess.run(["git", "init", "-q", work], check=True)
    (work / "mine").touch()
    with pytest.raises(StepFailed, match="has changes that are not committed"):
        bench("git.checkout", repository=str(work), dest=str(work))
    with pytest.raises(StepFailed, match="is not a checkout"):
        bench("git.checkout", repository=str(work), dest=str(tmp_path))


class TestCommands:
    def test_are_run_when_they_are_needed(self, bench, tmp_path):
        path = tmp_path / "-made it's"
        words = {"argv": ["touch", "--", str(path)], "creates": str(path)}
        assert bench.checked("commands.run", **words).changed
        assert not path.exists()
        assert bench("commands.run", **words).changed
        assert not bench("commands.run", **words).changed
        removed = {"argv": ["rm", "--", str(path)], "removes": str(path)}
        assert bench("commands.run", **removed).changed
        assert not bench("commands.run", **removed).changed
        assert not bench("commands.run", line="exit 9", unless="true").changed

    def test_tell_by_their_exit_code_whether_something_changed(self, bench):
        outcome = bench("commands.run", line="cat; exit 3", input="told", unchanged_codes=[0, 3])
        assert (outcome.changed, outcome.outputs["stdout"]) == (False, "told")
        with pytest.raises(StepFailed, match="ended with 4"):
            bench("commands.run", line="exit 4", unchanged_codes=[3])

    def test_have_no_secret_among_their_arguments(self, bench):
        bench.scope.secrets.add("hunter2-hunter2")
        with pytest.raises(InvalidInput, match="a secret would be in an argument list") as refused:
            bench("commands.run", argv=["echo", "hunter2-hunter2"])
        assert "hunter2" not in str(refused.value)

    def test_scripts_are_read_whole_before_they_start(self, bench, tmp_path):
        script = tmp_path / "it's a script.sh"
        script.write_text('cat\necho "$0 $1"\nexit 5\n')
        words = {"source": str(script), "arguments": ["-a\nb"], "unchanged_codes": [5]}
        outcome = bench("commands.script", **words)
        assert outcome.outputs["stdout"] == "it's a script.sh -a\nb"
        assert bench.checked("commands.script", **words).message == "would be run"

    def test_scripts_of_another_language(self, bench, tmp_path):
        script = tmp_path / "a.py"
        script.write_text("import sys; print(sys.argv[1])\n")
        words = {"source": str(script), "arguments": "ü", "interpreter": "python3"}
        assert bench("commands.script", **words).outputs["stdout"] == "ü"


class TestStat:
    def test_tells_of_a_file_a_link_and_nothing(self, bench, tmp_path):
        path = tmp_path / "a\nfile"
        path.write_text("abc")
        path.chmod(0o604)
        told = bench("files.stat", path=str(path)).outputs
        assert (told["exists"], told["kind"], told["size"], told["mode"]) == (
            True,
            "file",
            3,
            "0604",
        )
        assert told["sha256"] == hashlib.sha256(b"abc").hexdigest()
        assert told["owner"] == path.owner()
        (tmp_path / "link").symlink_to("nowhere\nat all")
        told = bench("files.stat", path=str(tmp_path / "link")).outputs
        assert (told["kind"], told["target"]) == ("link", "nowhere\nat all")
        assert bench("files.stat", path=str(tmp_path / "none")).outputs["exists"] is False


@pytest.mark.skipif("os.geteuid() != 0", reason="only root gives files away")
class TestOwner:
    def test_is_given_told_and_undone(self, bench, tmp_path):
        path, folder = tmp_path / "a", tmp_path / "folder"
        path.touch()
        outcome = bench("files.owner", path=str(path), owner="nobody:1")
        assert (path.owner(), path.stat().st_gid) == ("nobody", 1)
        assert not bench("files.owner", path=str(path), owner="nobody").changed
        bench.undo(outcome)
        assert path.stat().st_uid == 0
        assert bench("files.folders", paths=[str(folder)], owner="nobody").changed
        assert folder.owner() == "nobody"
        assert not bench("files.folders", paths=[str(folder)], owner="nobody").changed

    def test_stays_when_a_file_is_edited(self, bench, tmp_path):
        path = tmp_path / "a"
        path.touch()
        bench("files.owner", path=str(path), owner="nobody")
        bench("files.line", path=str(path), line="x")
        assert (path.owner(), path.read_text()) == ("nobody", "x\n")

    def test_one_that_is_nobody_is_told_with_what_takes_the_file_back(self, bench, tmp_path):
        source = tmp_path / "source"
        source.touch()
        words = {"source": str(source), "dest": str(tmp_path / "dest"), "owner": "no-such-user"}
        with pytest.raises(StepFailed, match="cannot give") as failed:
            bench("files.copy", **words)
        bench.undo(failed.value.outcome)
        assert not (tmp_path / "dest").exists()
