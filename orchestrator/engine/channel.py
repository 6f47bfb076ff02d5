"""How ``c.run`` runs a command on a host behind SSH, with the promises of the local runner.

Commands go through the host's one shell. What needs a terminal is left to Fabric.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

from fabric.runners import Remote
from invoke.exceptions import CommandTimedOut, UnexpectedExit

from orchestrator.tasks.runner import INTERACTIVE, BoundedOutput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke.runners import Result


def is_plain(options: Mapping[str, Any]) -> bool:
    """Whether these options of ``c.run`` need neither terminal nor Fabric's own runner."""
    stdin = options.get("in_stream")
    ours = stdin is False or isinstance(stdin, io.BytesIO)
    return ours and not any(options.get(name) for name in INTERACTIVE)


class ShellRunner(Remote):  # type: ignore[misc] # fabric has no types
    """Fabric's remote runner for commands that need no terminal."""

    def _run_body(self, command: str, **kwargs: Any) -> Result | None:
        wanted = {**self.context.config.run, **kwargs}
        if not is_plain(wanted):
            body: Result | None = super()._run_body(command, **kwargs)
            return body
        self._setup(command, kwargs)
        stdin = wanted.get("in_stream")
        timeout = self.opts["timeout"]
        hidden = self.opts["hide"]
        outputs = (
            BoundedOutput(echo=None if "stdout" in hidden else sys.stdout),
            BoundedOutput(echo=None if "stderr" in hidden else sys.stderr),
        )
        ended = self.context.remote_shell.run(
            command, self.env, stdin.getvalue() if stdin else b"", outputs, timeout
        )
        code = -1 if ended.exit_code is None else ended.exit_code
        told = {"stdout": ended.stdout, "stderr": ended.stderr, "exited": code}
        result: Result = self.generate_result(**dict(self.result_kwargs, **told))
        if ended.exit_code is None:
            raise CommandTimedOut(result, timeout=timeout)
        if not result and not self.opts["warn"]:
            raise UnexpectedExit(result)
        return result
