"""IPython with a record: what both kinds of shell share, and the kind that runs ``-c CODE``.

The kind with a prompt is in ``prompt.py``, because it loads prompt_toolkit.
"""

from __future__ import annotations

import ast
import sys
import warnings
from types import CodeType, TracebackType
from typing import Any

from IPython.core.autocall import ExitAutocall, IPyAutocall
from IPython.core.displayhook import DisplayHook
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from IPython.core.profiledir import ProfileDir
from traitlets import default

from orchestrator.shell.recorder import Recorder, Statement, exit_code_of
from orchestrator.shell.signals import Terminated, Terminations
from orchestrator.shell.statements import (
    as_typed,
    calling_exit,
    is_name_of_exit,
    runs_program,
    shortened,
)
from schemas.errors import SessionopsError


class Exit(ExitAutocall):
    """Leave the shell: exit, or exit(3) to leave with an exit code."""

    def __call__(self, code: int = 0) -> None:
        """End with ``code``."""
        raise SystemExit(code)


class Profile(ProfileDir):
    """IPython's folder for this shell, without the sub-folders of its other programs."""

    def check_dirs(self) -> None:
        """Make nothing: there is no cluster, no startup script and no log here."""

    check_log_dir = check_startup_dir = check_security_dir = check_pid_dir = lambda *_: None


class RecordedShell(InteractiveShell):
    """Records each top-level statement, and ends when one of them says so.

    ``recorder`` and ``terminations`` are set by whoever makes the shell, before it runs anything.
    """

    recorder: Recorder
    terminations: Terminations
    ending: int | None = None
    keep_running = True
    _depth = 0
    _statements = 0
    _private = False

    @default("exiter")
    def _default_exiter(self) -> ExitAutocall:
        return Exit(self)

    def ask_exit(self) -> None:
        """End with exit code 0; IPython's key bindings call this."""
        self.ending = self.ending or 0
        self.keep_running = False

    def run_cell(
        self,
        raw_cell: str,
        store_history: bool = False,
        silent: bool = False,
        **options: Any,
    ) -> ExecutionResult:
        """Run a cell and record its statements; one that begins with a space is not recorded.

        Raises:
            Terminated: a signal came meanwhile, whatever the cell did with it.
        """
        if self._depth == 0:
            self._statements, self._private = 0, raw_cell[:1] in {" ", "\t"}
        self._depth += 1
        try:
            result = super().run_cell(
                raw_cell, store_history and not self._private, silent, **options
            )
        finally:
            self._depth -= 1
        self.terminations.check()
        if self._depth == 0 and self._statements == 0 and result.error_before_exec is not None:
            statement = Statement(shortened(raw_cell.strip()), private=self._private)
            self.recorder.begin(statement)
            statement.fail(result.error_before_exec)
            self.recorder.finish(statement)
        return result

    async def run_ast_nodes(
        self,
        nodelist: list[ast.stmt],
        cell_name: str,
        interactivity: str = "last_expr",
        compiler: Any = compile,
        result: ExecutionResult | None = None,
    ) -> bool:
        """Run statements one by one, so that each has its own outcome, duration and event."""
        if self._depth != 1 or result is None or interactivity == "none":
            return bool(
                await super().run_ast_nodes(nodelist, cell_name, interactivity, compiler, result)
            )
        for node in nodelist:
            self._statements += 1
            if await self._run_statement(node, cell_name, compiler, result):
                return True
            if self.ending is not None:
                break
        return False

    async def _run_statement(
        self, node: ast.stmt, cell_name: str, compiler: Any, result: ExecutionResult
    ) -> bool:
        statement = Statement(as_typed(node, result.info.transformed_cell), private=self._private)
        if is_name_of_exit(node):
            node = calling_exit(node)
        self.recorder.begin(statement)
        failed = await super().run_ast_nodes([node], cell_name, "all", compiler, result)
        error = result.error_in_exec or result.error_before_exec
        if error is not None:
            statement.fail(error)
        elif runs_program(node):
            statement.exit_code = _exit_code_of_program(self.user_ns)
        if isinstance(error, SystemExit):
            statement.ends_shell = is_name_of_exit(node)
            self.ending, self.keep_running = exit_code_of(error), False
            failed = False
        self.recorder.finish(statement)
        return bool(failed)

    def showtraceback(self, *arguments: Any, **options: Any) -> None:
        """Show an error, but nothing for the end of the shell, which is none."""
        error = sys.exc_info()[1]
        if not isinstance(error, SystemExit):
            super().showtraceback(*arguments, **options)
        elif isinstance(error.code, str):
            print(error.code, file=sys.stderr)


class CodeShell(RecordedShell):
    """Runs code without a terminal: results as plain lines, errors on standard error."""

    system = InteractiveShell.system_raw

    def _showtraceback(self, _kind: Any, _error: Any, lines: list[str]) -> None:
        print(self.InteractiveTB.stb2text(lines), file=sys.stderr)


class PlainDisplay(DisplayHook):
    """Shows each result on its own, as ``python`` does."""

    prompt_end_newline = True

    def write_output_prompt(self) -> None:
        """Write none."""

    def quiet(self) -> bool:
        """Show a result also where the code ends with a semicolon."""
        return False


def make(kind: type[Shell], *, folder: Path, recorder: Recorder, **traits: Any) -> Shell:
    """A shell that keeps what it keeps in ``folder``, not in ``~/.ipython``."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    warnings.filterwarnings("ignore", message="To exit: use 'exit'")
    shell = kind(
        ipython_dir=str(folder),
        profile_dir=Profile(location=str(folder)),
        custom_exceptions=((SessionopsError,), _show_own_error),
        **traits,
    )
    return shell
