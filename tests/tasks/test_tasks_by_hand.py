"""Tasks called from the command line: ``invoke check.tools --names sh``."""

import subprocess
import sys
from pathlib import Path

from schemas.places import ops_folder


def invoke(*words):
    program = Path(sys.executable).parent / "invoke"
    return subprocess.run(
        [program, *words], cwd=ops_folder(), capture_output=True, text=True, check=False, timeout=60
    )


def test_it_prints_what_the_task_answers():
    done = invoke("check.tools", "--names", "sh", "--names", "cat")
    assert (done.returncode, done.stdout) == (0, "sh, cat\n"), done.stderr


def test_an_error_is_a_line_and_an_exit_code():
    done = invoke("check.tools", "--names", "no-such-tool")
    assert done.returncode == 1
    assert "error: this-machine: no-such-tool not found" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_explains_a_task_and_its_arguments():
    done = invoke("--help", "config.render")
    assert "--template" in done.stdout
    assert "a file in ``templates/``" in done.stdout
