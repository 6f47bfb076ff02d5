"""The text of one statement as its author typed it, found again in what IPython made of the cell.

Pure; knows the shapes that IPython rewrites ``%magic`` and ``!command`` into, and nothing else.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HELP = {"pinfo": "?", "pinfo2": "??", "psearch": "?"}

# Where Python itself sees a line end; str.splitlines sees more of them, such as form feeds.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


def as_typed(node: ast.stmt, cell: str) -> str:
    """The source of a top-level statement, with magics and shell commands in their short form.

    Args:
        node: a statement of the parsed cell.
        cell: the cell after IPython's own rewriting, which the positions in ``node`` refer to.
    """
    text = _source(node, cell)
    for call, short in _rewritten(node):
        long = _segment(call, cell)
        if long:
            text = text.replace(long, short, 1)
    return text.strip()


def runs_program(node: ast.stmt) -> bool:
    """Whether the statement has a ``!command`` in it, whose exit code is then the statement's."""
    return any(_method(call) == "system" for call in _calls(node))


def is_name_of_exit(node: ast.stmt) -> bool:
    """Whether the statement is ``exit`` or ``quit``, with or without parentheses."""
    if not isinstance(node, ast.Expr):
        return False
    value = node.value.func if isinstance(node.value, ast.Call) else node.value
    return isinstance(value, ast.Name) and value.id in {"exit", "quit"}


def calling_exit(node: ast.stmt) -> ast.stmt:
    """``exit`` as ``exit()``: IPython itself does so only where it stands alone in its cell."""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Name)):
        return node
    call = ast.Expr(ast.Call(func=node.value, args=[], keywords=[]))
    return ast.fix_missing_locations(ast.copy_location(call, node))


def _source(node: ast.stmt, cell: str) -> str:
    decorators = getattr(node, "decorator_list", [])
    if not decorators:
        return _segment(node, cell) or ast.unparse(node)
    first = min(decorator.lineno for decorator in decorators)
    return b"".join(_lines(cell)[first - 1 : node.end_lineno]).decode()


def _segment(node: ast.stmt | ast.expr, cell: str) -> str:
    """As ``ast.get_source_segment``, which splits the whole cell anew for each node."""
    if node.end_lineno is None or node.end_col_offset is None:
        return ""
    lines = _lines(cell)[node.lineno - 1 : node.end_lineno]
    if not lines:
        return ""
    # The end first: a statement of one line begins and ends in the same one.
    lines[-1] = lines[-1][: node.end_col_offset]
    lines[0] = lines[0][node.col_offset :]
    return b"".join(lines).decode()


@lru_cache(maxsize=1)
def _lines(cell: str) -> list[bytes]:
    """The cell's lines in UTF-8, which the columns of nodes count in; split once for a cell."""
    return [line.encode() for line in _LINE.findall(cell)]


def _rewritten(node: ast.stmt) -> Iterator[tuple[ast.Call, str]]:
    for call in _calls(node):
        arguments = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
        if len(arguments) != len(call.args) or not all(isinstance(arg, str) for arg in arguments):
            continue
        match _method(call), *(str(argument) for argument in arguments):
            case "run_line_magic", str(name), str(line) if name in _HELP:
                yield call, f"{line}{_HELP[name]}"
            case "run_line_magic", str(name), str(line):
                yield call, f"%{name} {line}".rstrip()
            case "run_cell_magic", str(name), str(line), str(body):
                yield call, f"%%{name} {line}".rstrip() + f"\n{body}"
            case (("system" | "getoutput"), str(line)):
                yield call, f"!{line}"


def _calls(node: ast.stmt) -> Iterator[ast.Call]:
    return (each for each in ast.walk(node) if isinstance(each, ast.Call))


def _method(call: ast.Call) -> str:
    """``name`` of ``get_ipython().name(...)``, else nothing."""
    match call.func:
        case ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython")), attr=name):
            return name
    return ""
