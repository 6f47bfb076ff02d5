"""What a release is made from, and its id: the same content gives the same one."""

import shutil
import subprocess
import zipfile

import pytest

from orchestrator.tasks import release_source
from orchestrator.tasks.release_source import find_source, from_folder, from_wheel
from schemas.errors import InvalidInput, NotFound

PROJECT = """\
[project]
name = "sessionops"
version = "1.2.3"
[tool.hatch.build.targets.wheel]
packages = ["code"]
[tool.hatch.build.targets.wheel.shared-data]
"runbooks" = "ops/runbooks"
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    folder = tmp_path / "check out"
    (folder / "code").mkdir(parents=True)
    (folder / "runbooks").mkdir()
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "requirements.lock").write_text("a==1 --hash=sha256:00\n")
    (folder / "code" / "module.py").write_text("x = 1\n")
    (folder / "runbooks" / "deploy.yaml").write_text("name: deploy\n")
    monkeypatch.setattr(release_source, "ops_folder", lambda: folder)
    monkeypatch.setattr(release_source, "is_checkout", lambda: True)
    return folder


def identity(folder, python="3.11.7"):
    return from_folder(folder, "this checkout").release_id(python)


def test_the_id_is_the_version_and_a_hash_of_the_content(checkout):
    first = identity(checkout)
    assert first.startswith("1.2.3-")
    assert len(first) == len("1.2.3-") + 10
    assert identity(checkout) == first


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "code" / "module.py").write_text("x = 2\n"),
        lambda folder: (folder / "code" / "new.py").touch(),
        lambda folder: (folder / "code" / "module.py").rename(folder / "code" / "other.py"),
        lambda folder: (folder / "runbooks" / "deploy.yaml").write_text(""),
        lambda folder: (folder / "requirements.lock").write_text("a==2 --hash=sha256:00\n"),
        lambda folder: (folder / "pyproject.toml").write_text(PROJECT + "# other\n"),
    ],
)
def test_whatever_goes_into_a_release_changes_its_id(checkout, change):
    before = identity(checkout)
    change(checkout)
    assert identity(checkout) != before


def test_what_does_not_go_into_it_does_not(checkout):
    before = identity(checkout)
    (checkout / "notes.txt").touch()
    (checkout / "code" / "__pycache__").mkdir()
    (checkout / "code" / "__pycache__" / "module.cpython-311.pyc").touch()
    assert identity(checkout) == before
    assert identity(checkout, python="3.13.0") != before


def test_without_a_lock_it_is_told(checkout, bench, tmp_path):
    (checkout / "requirements.lock").unlink()
    with pytest.raises(InvalidInput, match=r"requirements\.lock is missing"):
        find_source(bench.context, "", tmp_path)


class TestGit:
    @pytest.fixture
    def repository(self, checkout):
        def git(*words):
            identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
            subprocess.run(
                ["git", *identity, *words], cwd=checkout, check=True, capture_output=True
            )

        git("init", "-q")
        git("add", ".")
        git("commit", "-qm", "first")
        git("tag", "v1")
        return checkout

    def test_a_ref_gives_what_is_in_it_whatever_the_checkout_holds(
        self, repository, bench, tmp_path
    ):
        at_tag = identity(repository)
        (repository / "code" / "module.py").write_text("changed = True\n")
        source = find_source(bench.context, "v1", tmp_path / "scratch")
        assert source.release_id("3.11.7") == at_tag
        assert source.title == "git v1"
        assert len(source.commit) == 40

    def test_a_checkout_says_its_commit_and_that_it_was_changed(self, repository, bench, tmp_path):
        assert "-dirty" not in find_source(bench.context, "", tmp_path).commit
        (repository / "code" / "module.py").write_text("changed = True\n")
        assert find_source(bench.context, "", tmp_path).commit.endswith("-dirty")

    @pytest.mark.parametrize("ref", ["v9", "--help", "v1:code"])
    def test_what_is_no_ref_is_named(self, repository, bench, tmp_path, ref):
        with pytest.raises(NotFound, match="neither a release here, nor a wheel, nor a git ref"):
            find_source(bench.context, ref, tmp_path)

    @pytest.fixture(autouse=True)
    def scratch(self, tmp_path):
        (tmp_path / "scratch").mkdir()


class TestWheel:
    def wheel(self, tmp_path, name="sessionops", lock=b"a==1\n"):
        path = tmp_path / f"{name}-1.2.3-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("code/module.py", "x = 1\n")
            file.writestr(f"{name}-1.2.3.dist-info/METADATA", f"Name: {name}\nVersion: 1.2.3\n")
            if lock:
                file.writestr(f"{name}-1.2.3.data/data/ops/requirements.lock", lock)
        return path

    def test_says_its_version_and_carries_its_lock(self, bench, tmp_path):
        source = find_source(bench.context, str(self.wheel(tmp_path)), tmp_path)
        assert (source.version, source.lock) == ("1.2.3", b"a==1\n")
        assert source.release_id("3.11.7").startswith("1.2.3-")

    def test_of_another_project_is_refused(self, tmp_path):
        with pytest.raises(InvalidInput, match="a wheel of other, not of sessionops"):
            from_wheel(self.wheel(tmp_path, name="other"))

    def test_without_a_lock_is_refused(self, tmp_path):
        with pytest.raises(InvalidInput, match=r"no requirements\.lock"):
            from_wheel(self.wheel(tmp_path, lock=b""))

    def test_that_is_none_is_refused(self, tmp_path):
        (tmp_path / "x.whl").write_text("text")
        with pytest.raises(InvalidInput, match="not a wheel"):
            from_wheel(tmp_path / "x.whl")
        with pytest.raises(NotFound, match="no such wheel"):
            from_wheel(tmp_path / "y.whl")


def test_a_release_is_made_from_the_wheel_that_it_keeps(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(release_source, "is_checkout", lambda: False)
    monkeypatch.setattr(release_source.sys, "prefix", str(tmp_path))
    with pytest.raises(NotFound, match="neither a checkout nor a release that keeps its wheel"):
        find_source(bench.context, "", tmp_path)
    kept = TestWheel().wheel(tmp_path)
    (tmp_path / "wheel").mkdir()
    shutil.move(kept, tmp_path / "wheel" / kept.name)
    assert find_source(bench.context, "", tmp_path).wheel == tmp_path / "wheel" / kept.name
