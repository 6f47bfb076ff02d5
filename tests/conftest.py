"""What every test may ask for: real programs, named with the package that brings them."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

PACKAGES = {
    "sshd": "openssh-server",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
    "crontab": "cron",
    "systemd-analyze": "systemd",
    "chromium": "chromium",
    "jq": "jq",
    "logrotate": "logrotate",
    "bash": "bash",
    "zsh": "zsh",
    "tmux": "tmux",
    "npx": "npm",
    "faketime": "faketime",
    "apt-get": "apt",
    "useradd": "passwd",
    "git": "git",
    "curl": "curl",
    "unzip": "unzip",
    "zip": "zip",
    "xz": "xz-utils",
}
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def pytest_configure():
    """Processes that tests start get SIGINT's default action back.

    A shell that starts pytest in the background makes it ignored, and that is inherited.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item):
    """Without its program a test is skipped with the line that installs it; in CI it fails."""
    for marker in item.iter_markers("needs"):
        missing = [tool for tool in marker.args if not shutil.which(tool, path=SEARCH_PATH)]
        if not missing:
            continue
        packages = " ".join(sorted({PACKAGES[tool] for tool in missing}))
        line = f"needs {', '.join(missing)}: sudo apt-get install {packages}"
        if os.environ.get("CI") == "true":
            pytest.fail(line)
        pytest.skip(line)


@pytest.fixture(scope="session", autouse=True)
def no_test_touches_the_users_own_deployment(tmp_path_factory):
    """What a test does not direct elsewhere goes into a temporary folder, not into the home."""
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAHAVISHNU_HOME", str(folder / "mahavishnu"))
        patch.setenv("SESSION_BUDDY_HOME", str(folder / "session-buddy"))
        yield
