"""Whether a process still lives, and how it is made to end."""

from __future__ import annotations

import time

import psutil

from schemas.errors import StepFailed

STOP_SECONDS = 20.0
"""Longer than ``tracker.web.run`` gives to open requests, and the shutdown after them."""

_POLL = 0.05


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; one that waits for its parent to notice its end does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def terminate(process: psutil.Process, title: str) -> None:
    """Ask a process to end, wait until it has, and end it by force when it does not.

    Args:
        process: the process.
        title: what a person calls it.

    Raises:
        StepFailed: it belongs to another user.
    """
    try:
        process.terminate()
        if not _gone_within(process, STOP_SECONDS):
            process.kill()
            _gone_within(process, STOP_SECONDS)
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied:
        message = f"{title} (pid {process.pid}) belongs to {process.username()}"
        raise StepFailed(message, hint="stop it as that user") from None


def _gone_within(process: psutil.Process, seconds: float) -> bool:
    """Not ``process.wait``: that waits for PID 1 to notice, which in containers takes long."""
    deadline = time.monotonic() + seconds
    while is_alive(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True
