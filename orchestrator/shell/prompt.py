"""The shell with a prompt: IPython's terminal, with history in the deployment's own folder."""

from __future__ import annotations

import sys
import termios
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from IPython.terminal.interactiveshell import TerminalInteractiveShell
from IPython.terminal.prompts import RichPromptDisplayHook

from orchestrator.listing import Listing, Said
from orchestrator.shell.history import RedactedHistory
from orchestrator.shell.ipython import RecordedShell

if TYPE_CHECKING:
    from collections.abc import Iterator


class Display(RichPromptDisplayHook):
    """Shows what our own functions answer as it is, and everything else as IPython does."""

    def __call__(self, result: Any = None) -> None:
        """Show the value of an expression."""
        if isinstance(result, (Listing, Said)):
            print(result)
            self.update_user_ns(result)
        else:
            super().__call__(result)  # type: ignore[no-untyped-call]


class PromptShell(RecordedShell, TerminalInteractiveShell):
    """The interactive shell."""

    displayhook_class = Display

    def init_history(self) -> None:
        """Keep no secrets in the history."""
        self.history_manager = RedactedHistory(shell=self, parent=self)
        self.configurables.append(self.history_manager)  # type: ignore[arg-type]


@contextmanager
def terminal_mode_kept() -> Iterator[None]:
    """Give the terminal its mode back in the end.

    A signal can end the prompt between its switch to raw mode and its own way back.
    """
    if not sys.stdin.isatty():
        yield
        return
    mode = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal may be what was lost
            termios.tcsetattr(sys.stdin, termios.TCSANOW, mode)
