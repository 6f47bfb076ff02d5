"""What every command of both command lines does the same way: output, errors, exit codes."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from schemas.errors import Interrupted, SessionopsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from schemas.settings import Settings

    Function = TypeVar("Function", bound=Callable[..., Any])

_BROKEN_PIPE = 141
_JSON = "sessionops.json"


def run(command: click.Command, name: str) -> NoReturn:
    """Run a command line; every error is told in a line or two, and the process ends.

    Args:
        command: the whole command line.
        name: as the user typed it.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows another one; that is no reason to fail.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    try:
        code = command.main(prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except Exception as error:  # noqa: BLE001 -- the end of the line for every error
        code = report(error)
    sys.exit(code if isinstance(code, int) else 0)


def report(error: Exception) -> int:
    """Tell a person about an error.

    Returns:
        The exit code.
    """
    if wants_traceback() and not isinstance(error, (click.ClickException, click.Abort)):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, BrokenPipeError):
        # Whoever read the output has enough; Python must not fail once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, click.Abort):
        click.echo("interrupted", err=True)
        return Interrupted.exit_code
    if isinstance(error, SessionopsError):
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    if isinstance(error, OSError):
        click.echo(f"error: {error}", err=True)
    else:
        click.echo(f"error: {type(error).__name__}: {error}", err=True)
        click.echo("  this is a fault in the program; --debug shows where", err=True)
    return 1


def wants_traceback() -> bool:
    """Whether ``--debug`` or ``MAHAVISHNU_DEBUG`` asks for tracebacks."""
    from schemas.settings import TRUE

    return os.environ.get("MAHAVISHNU_DEBUG", "").lower() in TRUE


def debug_option(function: Function) -> Function:
    """``--debug`` for a whole command line."""

    def switch(_: click.Context, __: click.Parameter, value: bool) -> None:
        if value:
            os.environ["MAHAVISHNU_DEBUG"] = "true"

    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=switch,
        help="Show tracebacks.",
    )(function)


def format_option(function: Function) -> Function:
    """``--format table|json``, and ``--json`` for short; the command gets ``as_json``."""

    def note(context: click.Context, _: click.Parameter, value: bool) -> None:
        context.meta[_JSON] = value

    def read(context: click.Context, _: click.Parameter, value: str) -> bool:
        return value == "json" or context.meta[_JSON]

    function = click.option(
        "--json",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=note,
        help="The same as --format json.",
    )(function)
    return click.option(
        "--format",
        "as_json",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        callback=read,
        help="How to print it.",
    )(function)


def rows_option(*formats: str) -> Callable[[Function], Function]:
    """``--format`` for rows, such as ``table``, ``json``, ``csv``; the command gets ``form``.

    Args:
        formats: what may be chosen; the first one is taken when nobody chooses.
    """

    def decorate(function: Function) -> Function:
        if "json" in formats:
            function = click.option(
                "--json", "form", flag_value="json", help="The same as --format json."
            )(function)
        return click.option(
            "--format",
            "form",
            type=click.Choice(formats),
            default=formats[0],
            show_default=True,
            help="How to print it.",
        )(function)

    return decorate


def load_settings() -> Settings:
    """The settings in force; warnings about them are told on standard error.

    Raises:
        InvalidInput: a value of the wrong type or out of bounds.
    """
    from schemas.settings import Settings

    settings = Settings.load()
    for warning in settings.warnings:
        click.echo(f"warning: {warning}", err=True)
    return settings


def print_json(data: Any) -> None:
    """Print data for a program."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def print_csv(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows for a spreadsheet; what is no plain value is JSON.

    On a terminal control characters are shown, not obeyed: recorded commands may hold them.
    """
    import csv

    from tracker.client.table import printable

    def cell(value: Any) -> Any:
        if value is None:
            return ""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return printable(text) if sys.stdout.isatty() else text

    lines = csv.writer(sys.stdout, lineterminator="\n")
    lines.writerow(titles)
    lines.writerows([cell(value) for value in row] for row in rows)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines for a person."""
    for line in lines:
        click.echo(line)
