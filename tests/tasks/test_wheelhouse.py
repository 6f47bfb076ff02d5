"""Which wheels a host can use, and what pip is told to fetch them."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.tasks.wheelhouse import Machine, download_arguments, platforms, wanted

LINUX = {
    "sys_platform": "linux",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "implementation_name": "cpython",
    "python_full_version": "3.11.2",
    "python_version": "3.11",
}
LOCK = """\
always==1.0 \\
    --hash=sha256:aa
linux-only==2.0 ; sys_platform != 'win32' and platform_python_implementation != 'PyPy' \\
    --hash=sha256:bb \\
    --hash=sha256:cc
newer==3.0 ; python_full_version >= '3.12' \\
    --hash=sha256:dd
Older==3.1 ; python_full_version < '3.12' \\
    --hash=sha256:ee
"""


@pytest.mark.parametrize(
    ("system", "libc", "best", "last"),
    [
        ("linux-x86_64", "glibc 2.36", "manylinux_2_36_x86_64", "linux_x86_64"),
        ("linux-aarch64", "glibc 2.17", "manylinux_2_17_aarch64", "linux_aarch64"),
        ("linux-x86_64", "", "musllinux_1_2_x86_64", "linux_x86_64"),
        ("macosx-14.0-arm64", "", "macosx_14_0_arm64", "macosx_14_0_arm64"),
    ],
)
def test_a_system_takes_wheels_for_it_and_for_older_ones(system, libc, best, last):
    tags = platforms(system, libc)
    assert (tags[0], tags[-1]) == (best, last)
    assert "manylinux_2_37_x86_64" not in tags


def test_a_lock_is_cut_down_to_what_an_environment_needs():
    kept = wanted(LOCK, LINUX)
    assert kept.startswith("always==1.0 \\\n    --hash=sha256:aa\nlinux-only==2.0 ;")
    assert "Older==3.1" in kept
    assert "newer" not in kept
    later = wanted(LOCK, LINUX | {"python_full_version": "3.13.0"})
    assert "newer==3.0" in later
    assert "Older" not in later


def test_pip_fetches_for_the_host_and_not_for_itself():
    target = Machine(LINUX, ("manylinux_2_17_x86_64", "linux_x86_64"))
    words = download_arguments(Path("listed"), Path("to"), target)
    text = " ".join(words)
    assert "--require-hashes --requirement listed --dest to --python-version 3.11.2" in text
    assert "--abi cp311 --abi abi3 --abi none" in text
    assert text.endswith("--platform manylinux_2_17_x86_64 --platform linux_x86_64")
    assert "--only-binary :all:" in text
