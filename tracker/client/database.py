"""What the server says of its database, as lines for a person. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from schemas.units import format_size
from tracker.client.table import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NUMBERS = ("INT", "DOUBLE", "FLOAT", "DECIMAL")


def inspection_lines(found: Mapping[str, Any]) -> list[str]:
    """The file, then its tables."""
    indexes: dict[str, list[str]] = {}
    for index in found["indexes"]:
        indexes.setdefault(index["table"], []).append(", ".join(index["columns"]))
    rows = [
        (
            row["name"],
            str(row["rows"]),
            format_size(row["size"]),
            "; ".join(indexes.get(row["name"], [])),
        )
        for row in found["tables"]
    ]
    waiting = f", {format_size(found['log_size'])} in its log" if found["log_size"] else ""
    return [
        f"file     {found['path']}",
        f"size     {format_size(found['size'])}{waiting}",
        f"free     {format_size(found['free'])} in it; session-buddy db compact gives them back",
        f"schema   {found['schema_version']}, for release {found['min_reader']} or newer",
        f"format   {found['storage_version']}, open in DuckDB {found['duckdb_version']}",
        "",
        table(("Table", "Rows", "Size", "Indexes"), rows, right={"Rows", "Size"}),
    ]


def check_lines(found: Mapping[str, Any]) -> list[str]:
    """One line for what was checked; below what is wrong, where and what to do."""
    lines = [found["path"], *(line for row in found["findings"] for line in _finding_lines(row))]
    return [*lines, "sound" if found["ok"] else "not sound"]


def _finding_lines(finding: Mapping[str, Any]) -> Iterator[str]:
    if finding["ok"]:
        yield f"✓ {finding['check']}"
        return
    yield f"✗ {finding['check']}: {finding['problem']}"
    yield f"  such as {', '.join(finding['examples'])}"
    yield f"  {finding['hint']}"


def rows_table(columns: Sequence[Mapping[str, str]], rows: Sequence[Sequence[Any]]) -> str:
    """The rows of a query; numbers stand at the right."""
    titles = [column["name"] for column in columns]
    right = {
        column["name"] for column in columns if any(part in column["type"] for part in _NUMBERS)
    }
    return table(titles, [[_cell(value) for value in row] for row in rows], right=right)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
