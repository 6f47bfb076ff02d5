"""IPython with a record: what both kinds of shell share, and the kind that runs ``-c CODE``.

The kind with a prompt is in ``prompt.py``, because it loads prompt_toolkit.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from IPython.core.autocall import ExitAutocall
from IPython.core.displayhook import DisplayHook
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from IPython.core.profiledir import ProfileDir
from traitlets import default
from traitlets.config import Config

from orchestrator.shell.recorder import Recorder, Statement, exit_code_of
from orchestrator.shell.statements import as_typed, calling_exit, is_name_of_exit, runs_program
from schemas.errors import SessionopsError

if TYPE_CHECKING:
    import ast
    from pathlib import Path

    from orchestrator.shell.signals import Terminations

Shell = TypeVar("Shell", bound="RecordedShell")


class Exit(ExitAutocall):
    """Leave the shell: exit, or exit(3) to leave with an exit code."""

    def __call__(self, code: int = 0) -> None:
        """End with ``code``."""
        raise SystemExit(code)


class RecordedShell(InteractiveShell):
    """Records each top-level statement, and ends when one of them says so.

    ``recorder`` and ``terminations`` are set by ``make``.
    """

    recorder: Recorder
    terminations: Terminations
    ending: int | None = None
    keep_running = True
    _depth = 0
    _cell = ""
    _private = False
    _pending: Statement | None = None

    @default("exiter")
    def _default_exiter(self) -> ExitAutocall:
        return Exit(self)

    def ask_exit(self) -> None:
        """End with exit code 0; Ctrl-D does this."""
        self.ending, self.keep_running = self.ending or 0, False

    def transform_cell(self, raw_cell: str) -> str:
        """IPython's rewriting, kept because the positions of statements refer to its result."""
        cell: str = super().transform_cell(raw_cell)  # type: ignore[no-untyped-call]
        self._cell = cell
        return cell

    def run_cell(
        self,
        raw_cell: str,
        store_history: bool = False,
        silent: bool = False,
        *arguments: Any,
        **options: Any,
    ) -> ExecutionResult:
        """Run a cell and record its statements; one that begins with a space is not recorded.

        Raises:
            Terminated: a signal came meanwhile, whatever the cell did with it.
        """
        outermost = self._depth == 0
        if outermost:
            self._private = raw_cell[:1] in {" ", "\t"}
            self._pending = Statement(raw_cell.strip(), private=self._private)
        keep = store_history and not self._private
        self._depth += 1
        try:
            result: ExecutionResult = super().run_cell(  # type: ignore[no-untyped-call]
                raw_cell, keep, silent, *arguments, **options
            )
        finally:
            self._depth -= 1
        # Still pending: it is no Python at all, or it was thrown out of its event loop.
        if outermost and self._pending is not None and not result.success:
            self._finish(self._pending, result)
        self.terminations.check()
        return result

    async def run_ast_nodes(
        self,
        nodelist: list[ast.stmt],
        cell_name: str,
        interactivity: str = "last_expr",
        compiler: Any = compile,
        result: ExecutionResult | None = None,
    ) -> bool:
        """Run statements one by one, so that each has its own outcome, duration and event.

        What a statement itself runs, such as the cells of ``%rerun``, is part of that statement.
        """
        if self._depth != 1 or result is None or interactivity == "none":
            return bool(
                await super().run_ast_nodes(nodelist, cell_name, interactivity, compiler, result)
            )
        self._pending = None
        typed = [as_typed(node, self._cell) for node in nodelist]
        for node, text in zip(nodelist, typed, strict=True):
            statement = Statement(text, private=self._private, is_exit=is_name_of_exit(node))
            if await self._run_statement(statement, node, cell_name, compiler, result):
                return True
            if self.ending is not None:
                break
        return False

    async def _run_statement(
        self,
        statement: Statement,
        node: ast.stmt,
        cell_name: str,
        compiler: Any,
        result: ExecutionResult,
    ) -> bool:
        self._pending = statement
        if statement.is_exit:
            node = calling_exit(node)
        failed = await super().run_ast_nodes([node], cell_name, "all", compiler, result)
        if runs_program(node):
            statement.exit(_program_exit_code(self.user_ns))
        self._finish(statement, result)
        self.terminations.check()  # what came while it was recorded
        return bool(failed) and self.ending is None

    def _finish(self, statement: Statement, result: ExecutionResult) -> None:
        self._pending = None
        error = result.error_in_exec or result.error_before_exec
        if error is not None:
            statement.fail(error)
        if isinstance(error, SystemExit):
            self.ending, self.keep_running = exit_code_of(error), False
        self.recorder.finish(statement)

    def showtraceback(self, *arguments: Any, **options: Any) -> None:
        """Show an error; the end of the shell is none."""
        error = sys.exc_info()[1]
        if not isinstance(error, SystemExit):
            super().showtraceback(*arguments, **options)
        elif isinstance(error.code, str):
            print(error.code, file=sys.stderr)


class PlainDisplay(DisplayHook):
    """Shows each result on its own, as ``python`` does."""

    prompt_end_newline = True

    def write_output_prompt(self) -> None:
        """Write none."""

    def quiet(self) -> bool:
        """Show a result also where the code ends with a semicolon."""
        return False


class CodeShell(RecordedShell):
    """Runs code without a terminal: results as plain lines, errors on standard error."""

    displayhook_class = PlainDisplay
    system = InteractiveShell.system_raw

    def _showtraceback(self, *error: Any) -> None:
        *_, stb = error
        print(self.InteractiveTB.stb2text(stb), file=sys.stderr)


class _Profile(ProfileDir):
    """IPython's folder, without the sub-folders for its cluster, startup scripts and logs."""

    def check_dirs(self) -> None:
        """Make none."""

    check_log_dir = check_startup_dir = check_security_dir = check_pid_dir = check_dirs


def make(
    kind: type[Shell],
    folder: Path,
    recorder: Recorder,
    terminations: Terminations,
    options: dict[str, dict[str, Any]],
) -> Shell:
    """A shell that keeps its things in ``folder``, never in ``~/.ipython``.

    Args:
        kind: the class of the shell.
        folder: made when it is not there, for this user only.
        recorder: where statements are recorded.
        terminations: the signals that end it.
        options: IPython's own options, by class and name.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    warnings.filterwarnings("ignore", message="To exit: use 'exit'")
    # IPython finds its shell by its class in many places, hence the one instance.
    shell = kind.instance(
        config=Config(options),
        ipython_dir=str(folder),
        profile_dir=_Profile(location=str(folder)),
        custom_exceptions=((SessionopsError,), _show_own_error),
    )
    shell.recorder, shell.terminations = recorder, terminations
    return shell


def _show_own_error(
    _shell: RecordedShell, _kind: type, error: SessionopsError, _trace: Any, **_options: Any
) -> None:
    """Our own errors are written for a person: no traceback."""
    print(f"error: {error}", file=sys.stderr)


def _program_exit_code(namespace: dict[str, Any]) -> int:
    """The exit code of the last ``!command``; IPython keeps a signal as its negative number."""
    code = int(namespace.get("_exit_code") or 0)
    return 128 - code if code < 0 else code
