"""The supervisord of a deployment is known by its arguments, not by a file that may be wrong."""

import subprocess
import sys

import pytest

from orchestrator.tasks.supervisor import config_of

SLEEPER = "import time; print('up', flush=True); time.sleep(600)\n"


@pytest.fixture
def daemon(bench, tmp_path):
    """A process that looks like this deployment's supervisord."""
    program = tmp_path / "supervisord"
    program.write_text(SLEEPER)
    words = [sys.executable, program, "-c", config_of(bench.places)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.parametrize("content", [None, "garbage", "1"])
def test_a_pid_file_that_is_gone_or_wrong_does_not_matter(bench, daemon, content):
    bench.places.state.mkdir(parents=True)
    if content:
        (bench.places.state / "supervisord.pid").write_text(content)
    assert bench("service.shutdown").changed
    assert daemon.wait(5) != 0
    assert not bench("service.shutdown").changed


def test_what_merely_names_the_file_is_left_alone(bench, tmp_path):
    editor = tmp_path / "editor"
    editor.write_text(SLEEPER)
    words = [sys.executable, editor, config_of(bench.places)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert not bench("service.shutdown").changed
        assert process.poll() is None
        process.kill()
