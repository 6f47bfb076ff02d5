"""Real shells on a terminal, with the hook of `session-buddy` in their start-up file."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import sys
import termios
from contextlib import contextmanager
from pathlib import Path

import pexpect
import psutil
from deployments import COMMAND, PATIENCE, wait_for

PROMPT = "READY> "
START_UP = {"bash": ".bashrc", "zsh": ".zshrc"}
ARGUMENTS = {"bash": ["-i"], "zsh": ["-i", "--no-globalrcs"]}

MEMORY = 4_000_000_000
"""Bytes that a shell and what it starts may have each; a fault must not take the machine down."""


def frugal():
    """Called in a new process: what it gets is not what the tests happen to have."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    # Whoever started the tests may have had SIGINT ignored, which shells pass on.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A shell on a terminal, at its first prompt."""

    def __init__(self, child, hooked):
        self.child = child
        self.pid = child.pid
        self._hooked = hooked

    def type(self, line):
        """Type a line and wait for the next prompt; what was shown meanwhile."""
        self.child.sendline(line)
        return self.prompt()

    def prompt(self):
        self.child.expect_exact(PROMPT)
        return self.child.before.replace("\r\n", "\n")

    def waits_for_a_key(self):
        """Wait until the shell sleeps.

        Between what it shows and that, bash keeps a signal for later: for the next key.
        """
        wait_for(lambda: psutil.Process(self.pid).status() == psutil.STATUS_SLEEPING)

    def leave(self, line):
        """Type the last line; the shell's exit code."""
        self.child.sendline(line)
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus

    def hang_up(self):
        """Take the terminal away, as a lost connection does."""
        os.close(self.child.fileno())
        self.child.closed = self.child.ptyproc.closed = True

    def recorder(self):
        """The process that records this shell."""

        def found():
            for process in psutil.process_iter(["cmdline"]):
                words = process.info["cmdline"] or []
                if "tracker.client.hooks.record" in words and str(self.pid) in words:
                    return process
            return None

        return wait_for(found)

    def unread(self):
        """Bytes that the recorder has not read yet."""
        pipe = self.pipe()
        try:
            return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)
        finally:
            os.close(pipe)

    def pipe(self):
        """The pipe that the shell writes into, opened here."""
        folder = Path(f"/proc/{self.pid}/fd")
        path = next(one for one in folder.iterdir() if one.readlink().name.startswith("pipe:"))
        return os.open(path, os.O_RDWR | os.O_NONBLOCK)


class Hooked:
    """A home folder whose shells are recorded."""

    def __init__(self, made, root):
        self.settings, self.environ = made.settings, made.environ
        self.home = root / "user"
        self.home.mkdir()
        self.environ = {
            **{key: self.environ[key] for key in self.environ if not key.startswith("BASH_")},
            "HOME": str(self.home),
            "TERM": "dumb",
        }

    @property
    def spool(self):
        return self.settings.places.spool

    command = COMMAND

    def start_up(self, shell, before="", after=""):
        hook = f'eval "$({COMMAND} hook {shell} 2>/dev/null)"'
        # The line editor of zsh draws each line anew, which is hard to read for a test.
        quiet = "unsetopt zle prompt_sp" if shell == "zsh" else ""
        lines = [quiet, before, hook, after, f"PS1='{PROMPT}'", ""]
        (self.home / START_UP[shell]).write_text("\n".join(lines))

    @contextmanager
    def shell(self, name, before="", after="", **environ):
        """A shell whose start-up file has lines before and after the hook."""
        self.start_up(name, before, after)
        child = pexpect.spawn(
            name,
            ARGUMENTS[name],
            cwd=str(self.home),
            env={**self.environ, **environ},
            encoding="utf-8",
            codec_errors="replace",
            timeout=PATIENCE,
            dimensions=(40, 200),
            preexec_fn=frugal,
        )
        try:
            terminal = Terminal(child, self)
            terminal.prompt()
            yield terminal
        finally:
            if child.closed:
                child.ptyproc.terminate(force=True)
            child.close(force=True)

    def spooled(self):
        """The events that wait on disk, each session's in its order."""
        lines = [
            line for file in self.spool.glob("*.jsonl") for line in file.read_text().split("\n")
        ]
        return sorted(
            (json.loads(line) for line in lines if line),
            key=lambda event: (event["session_id"], event["timestamp"], event["sequence"]),
        )

    def session(self, pid):
        """The events of the ended session of a shell."""
        return wait_for(lambda: self._ended(pid))

    def _ended(self, pid):
        events = self.spooled()
        mine = {e["session_id"] for e in events if e.get("session", {}).get("pid") == pid}
        found = [event for event in events if event["session_id"] in mine]
        return found if any(e["event_type"] == "session_end" for e in found) else None
