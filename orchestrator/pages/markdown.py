"""Pieces of Markdown. Knows nothing of runbooks or tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def cell(text: object) -> str:
    """Text in a table's cell."""
    return " ".join(str(text).split()).replace("|", "\\|")


def code(text: object) -> str:
    """Text as code in a line, whatever backticks it has."""
    shown = " ".join(str(text).split())
    fence = "`"
    while fence in shown:
        fence += "`"
    return f"{fence} {shown} {fence}" if len(fence) > 1 else f"`{shown}`"


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A table's lines, with an empty one after it; none without rows."""
    if not rows:
        return []
    lines = [titles, ["---"] * len(titles), *rows]
    return [*("| " + " | ".join(map(cell, row)) + " |" for row in lines), ""]


def block(text: str, language: str = "sh") -> list[str]:
    """A block of code, with an empty line after it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return [f"{fence}{language}", text.rstrip("\n"), fence, ""]
