"""Packages for real: installed, a second time unchanged, nothing in check mode, and put back."""

import dataclasses
import os
import subprocess
import sys

import pytest

from orchestrator.tasks.scope import attach
from schemas.errors import InvalidInput, StepFailed

ROOT = os.geteuid() == 0
TINY = "hello"
"""A package without dependencies of its own, that hardly anybody needs."""


def installed():
    argv = ["dpkg-query", "-W", "-f", "${db:Status-Status}", TINY]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout == "installed"


@pytest.fixture
def without_it():
    """The package is not there before, nor after."""
    argv = ["apt-get", "-y", "-q", "purge", TINY]
    subprocess.run(argv, capture_output=True, check=True)
    yield
    subprocess.run(argv, capture_output=True, check=True)


@pytest.mark.needs("apt-get")
@pytest.mark.skipif(not ROOT, reason="installing packages of the system needs root")
@pytest.mark.usefixtures("without_it")
class TestApt:
    def test_a_package_is_installed_once_and_removing_it_is_undone_with_the_same_version(
        self, bench
    ):
        assert bench.checked("packages.apt", names=[TINY]).diff.startswith(f"+ {TINY} ")
        assert not installed()
        outcome = bench("packages.apt", names=[TINY], lists_newer_than="30d")
        assert installed()
        assert not bench("packages.apt", names=[TINY]).changed
        removed = bench("packages.apt", names=[TINY], state="absent")
        assert not installed()
        assert not bench("packages.apt", names=[TINY], state="absent").changed
        bench.undo(removed)
        assert installed()
        bench.undo(outcome)
        assert not installed()


@pytest.mark.needs("apt-get")
class TestAptRefuses:
    def test_a_package_that_does_not_exist(self, bench):
        with pytest.raises(StepFailed, match="Unable to locate package no-such-package-at-all"):
            bench.checked("packages.apt", names=["no-such-package-at-all"])

    @pytest.mark.needs("sshd")
    def test_to_remove_more_than_was_named(self, bench):
        names = ["openssh-sftp-server"]
        with pytest.raises(StepFailed, match="apt would also remove openssh-server"):
            bench.checked("packages.apt", names=names, state="absent", only_these=True)

    def test_a_user_who_is_not_root(self, bench):
        host = dataclasses.replace(bench.scope.host, is_root=False, user="ops")
        attach(bench.context, dataclasses.replace(bench.scope, host=host))
        with pytest.raises(StepFailed, match="needs root, and ops is not") as caught:
            bench("packages.apt", names=["no-such-package-at-all"])
        assert "sudo: true" in caught.value.hint

    def test_a_host_without_apt(self, bench, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(StepFailed, match="no apt on this host"):
            bench("packages.apt", names=[TINY])

    def test_a_state_that_is_none(self, bench):
        with pytest.raises(InvalidInput, match="not a state") as caught:
            bench("packages.apt", names=[TINY], state="gone")
        assert caught.value.hint == "write present, absent, latest"


@pytest.fixture(params=["packages.pip", "packages.uv"])
def tool(request):
    return request.param


class TestVirtualEnvironment:
    @pytest.fixture
    def there(self, tmp_path):
        return {"path": str(tmp_path / "an environment"), "python": sys.executable}

    def test_it_is_made_with_the_package_and_removed_by_the_undo(self, bench, tool, there):
        folder = bench.scope.host.home / "an environment"
        assert "+ six\n" in bench.checked(tool, names=["six"], **there).diff
        assert not folder.exists()
        outcome = bench(tool, names=["six"], **there)
        assert outcome.outputs["versions"]["six"]
        assert not bench(tool, names=["Six>=1.10"], **there).changed
        bench.undo(outcome)
        assert not folder.exists()

    def test_in_one_that_is_there_the_versions_from_before_come_back(self, bench, tool, there):
        bench(tool, names=["six==1.16.0"], **there)
        outcome = bench(tool, names=["six>=1.17", "iniconfig"], **there)
        assert "- six 1.16.0\n" in outcome.diff
        bench.undo(outcome)
        assert not bench(tool, names=["six==1.16.0"], **there).changed
        assert not bench(tool, names=["iniconfig"], state="absent", **there).changed

    def test_what_cannot_be_installed_leaves_no_environment(self, bench, tool, there):
        with pytest.raises(StepFailed):
            bench(tool, names=["six==0.0.0.1"], **there)
        assert not (bench.scope.host.home / "an environment").exists()

    def test_a_folder_with_something_else_in_it_is_left_alone(self, bench, tool, there):
        folder = bench.scope.host.home / "an environment"
        folder.mkdir()
        with pytest.raises(StepFailed, match="no virtual environment"):
            bench(tool, names=["six"], **there)
        with pytest.raises(StepFailed, match="not a virtual environment"):
            bench("packages.remove_venv", path=str(folder))
        assert folder.is_dir()
