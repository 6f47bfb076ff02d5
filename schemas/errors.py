"""The one tree of errors: each has a message for a person, where it happened, what to do next.

    SessionopsError        1   something failed
    ├── InvalidInput       2   a file, parameter or setting is wrong
    ├── Busy               3   somebody else holds the lock or the database
    │   └── Frozen         3   nothing may be changed there now
    ├── NotAuthorised      4   no token, or one that does not allow this
    ├── NotFound           6   no such runbook, run, session, release, backup
    ├── Unreachable        1   a server or host does not answer
    │   └── HostLost       1   the connection to the host of a step broke
    ├── DiskFull           1   there is no room to write
    ├── StepFailed         1   a task could not do what its step says
    └── Interrupted      130   a person or a signal asked to stop

The number is the exit code of a command that ends with it. 0 is done, 5 is rolled back and 7 is
"--check found differences"; those are results, not errors.
"""

from __future__ import annotations


class SessionopsError(Exception):
    """Base of every error that this project raises on purpose.

    Args:
        message: what was wrong, in one line.
        where: the place: ``file:line``, a host, a step.
        hint: what to do next, in one line.
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\n  {self.hint}" if self.hint else head


class InvalidInput(SessionopsError):
    """A file, parameter or setting is wrong. Nothing was run."""

    exit_code = 2


class Busy(SessionopsError):
    """Somebody else holds what is needed; trying later can help."""

    exit_code = 3


class Frozen(Busy):
    """Nothing may be changed in this environment now."""


class NotAuthorised(SessionopsError):
    """No token, a bad one, or one without the scope."""

    exit_code = 4


class NotFound(SessionopsError):
    """What was named does not exist."""

    exit_code = 6


class Unreachable(SessionopsError):
    """A server or host does not answer."""


class HostLost(Unreachable):
    """The connection to the host of a step broke; what the step did until then is not known."""


class DiskFull(SessionopsError):
    """There is no room to write; nothing of what was asked for was done."""


class StepFailed(SessionopsError):
    """A task could not do what its step says."""


class Interrupted(SessionopsError):
    """A person or a signal asked to stop."""

    exit_code = 130
