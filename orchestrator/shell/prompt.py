"""The shell with a prompt: IPython's terminal, with history in the deployment's own folder."""

from __future__ import annotations

from typing import Any

from IPython.terminal.interactiveshell import TerminalInteractiveShell
from IPython.terminal.prompts import RichPromptDisplayHook

from orchestrator.listing import Listing, Said
from orchestrator.shell.ipython import RecordedShell


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
