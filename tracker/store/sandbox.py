"""A process that runs one query on a copy of the database and can do nothing else.

``python -m tracker.store.sandbox``: a request as JSON on standard input, the answer as JSON on
standard output. DuckDB's functions can take gigabytes and minutes that neither its memory limit nor
an interrupt ends (``range(1e9)`` in one value, ``levenshtein`` of long texts), and a few can end
the whole process; here the kernel bounds them, and nobody else is harmed.
"""

from __future__ import annotations

import json
import math
import resource
import sys
from datetime import date, datetime, time
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from duckdb import DuckDBPyConnection

MEMORY = 2_000_000_000
"""Bytes of address space; DuckDB itself is told to keep to a quarter of it."""

LONGEST_ANSWER = 16_000_000
"""Bytes of the rows of an answer, about."""

_ISO = "%Y-%m-%dT%H:%M:%S.%f+00:00"
_OUT_OF_MEMORY = "Out of Memory Error"
_ADVICE = ("Did you mean", "Candidate bindings")
_ALLOWED = frozenset({"SELECT", "EXPLAIN"})
"""DuckDB counts FROM, VALUES, WITH, DESCRIBE, SHOW and SUMMARIZE as SELECT."""


class _Refused(Exception):
    """Not a query, or an answer that is too large; the words are for a person."""


def main() -> None:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    _confine(request["seconds"])
    import duckdb

    try:
        with _opened(request["database"]) as connection:
            answer = _answer(connection, request["sql"], request["rows"])
        text = json.dumps(answer)
    except (duckdb.Error, _Refused) as error:
        text = json.dumps(_told(str(error)))
    except MemoryError:
        text = json.dumps(_told(_OUT_OF_MEMORY))
    sys.stdout.write(text)


def _told(message: str) -> dict[str, str]:
    """An error in a line, and what DuckDB would have had instead, if it says so."""
    first, *others = filter(None, message.splitlines())
    if first.startswith(_OUT_OF_MEMORY):
        return {"error": _OUT_OF_MEMORY, "hint": "ask for less"}
    hint = next((line for line in others if line.startswith(_ADVICE)), "")
    return {"error": first, "hint": hint}


def _confine(seconds: int) -> None:
    """Let the kernel hold this process to its memory and time, and keep it from writing files."""
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, 2 * seconds + 1),  # should the server die, this ends all the same
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def _opened(database: str) -> DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
            "memory_limit": f"{MEMORY // 4}B",
            "temp_directory": "",
            "threads": 2,
        },
    )
    quoted = "'" + database.replace("'", "''") + "'"
    connection.execute(f"ATTACH {quoted} AS store (READ_ONLY)")
    connection.execute("USE store")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _answer(connection: DuckDBPyConnection, sql: str, most_rows: int) -> dict[str, Any]:
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise _Refused(f"one statement is wanted, not {len(statements)}")
    kind = statements[0].type.name
    if kind not in _ALLOWED:
        raise _Refused(f"only queries are run here, not {kind}")
    began = monotonic()
    found = connection.sql(statements[0])
    columns = [(name, str(type_)) for name, type_ in zip(found.columns, found.types, strict=True)]
    shown = ", ".join(_shown(number, *column) for number, column in enumerate(columns, start=1))
    rows = list(_plain_rows(found.limit(most_rows + 1).project(shown).fetchall()))
    return {
        "columns": [{"name": name, "type": type_} for name, type_ in columns],
        "rows": rows[:most_rows],
        "truncated": len(rows) > most_rows,
        "seconds": round(monotonic() - began, 3),
    }


def _shown(number: int, name: str, type_: str) -> str:
    """A column as it is asked for: Python would want pytz for times with a zone."""
    value = f"#{number}"
    if type_ == "TIMESTAMP WITH TIME ZONE":
        value = f"strftime({value}, '{_ISO}')"
    elif "TIME ZONE" in type_:
        value = f"{value}::TEXT"
    escaped = name.replace('"', '""')
    return f'{value} AS "{escaped}"'


def _plain_rows(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[Any]]:
    size = 0
    for row in rows:
        plain = [_plain(value) for value in row]
        size += len(json.dumps(plain))
        if size > LONGEST_ANSWER:
            raise _Refused(f"the rows are larger than {LONGEST_ANSWER} bytes; ask for less")
        yield plain


def _plain(value: Any) -> Any:
    """A value as JSON can carry it: times in ISO 8601, bytes in hexadecimal, the rest as text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    main()
