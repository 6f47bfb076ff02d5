"""Numbers over the sessions of a range of time, archived ones too. Reads only.

Sessions of the project's own checks are left out, as they are from the metrics.
"""

from __future__ import annotations

import zoneinfo
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from schemas.analytics import FailingCommand, Group, Hour, Percentiles, SessionAnalytics
from schemas.errors import InvalidInput
from tracker.store.archive_schema import ALL_EVENTS, ALL_SESSIONS
from tracker.store.filters import Condition, within
from tracker.store.states import UNCOUNTED_TYPE

if TYPE_CHECKING:
    from tracker.store.database import Database

GROUPS = 20
"""Components, users and types that are named at the most."""

HOURS = 5
COMMANDS = 10
LONGEST_RANGE = timedelta(days=3660)
_LONGEST_COMMAND = 500

_SUMMARY = """
SELECT status, count(*) FROM {sessions} GROUP BY status
"""
_SPREAD = """
SELECT quantile_cont(duration_seconds, [0.5, 0.95, 0.99]),
    quantile_cont(command_count::DOUBLE, [0.5, 0.95, 0.99]), avg(command_count)
FROM {sessions}
"""
_GROUPS = """
SELECT {column}, count(*), count(*) FILTER (status = 'failed') FROM {sessions}
GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT ?
"""
# Grouped by the quarter of an hour first, the finest that time zones differ by: converting each
# start on its own takes three times as long.
_QUARTERS = """
SELECT timezone(?, make_timestamptz(quarter * 900000000)), sessions, failed FROM (
    SELECT epoch_us(start_time) // 900000000 AS quarter, count(*) AS sessions,
        count(*) FILTER (status = 'failed') AS failed
    FROM {sessions} GROUP BY quarter)
"""
# The text is looked for in what differs, not in every event: people repeat themselves.
_FAILING = """
SELECT left(coalesce(data ->> '$.text', data ->> '$.command', data ->> '$.title',
        data ->> '$.step', data ->> '$.name'), {longest}) AS command,
    sum(failures)::BIGINT, sum(runs)::BIGINT
FROM (
    SELECT data, count(*) AS runs, count(*) FILTER (exit_code <> 0) AS failures
    FROM {events} SEMI JOIN {sessions} USING (session_id)
    WHERE event_type IN ('command', 'step') GROUP BY data)
WHERE command IS NOT NULL
GROUP BY command HAVING sum(failures) > 0 ORDER BY 2 DESC, 3, 1 LIMIT ?
"""


def analyse(
    database: Database, since: datetime, until: datetime, zone: str = "UTC"
) -> SessionAnalytics:
    """The numbers of the sessions that began in a range.

    Args:
        database: where they are.
        since: begin of the range.
        until: its end, which is not part of it.
        zone: the time zone of days and hours, by its IANA name.

    Raises:
        InvalidInput: an unknown zone, or a range that is empty or too long.
    """
    known = _known_zone(zone)
    if not timedelta(0) < until - since <= LONGEST_RANGE:
        raise InvalidInput(f"the range is more than nothing and at most {LONGEST_RANGE.days} days")
    asked = _Asked(database, since, until)
    by_status = dict(asked.rows(_SUMMARY))
    durations, commands, mean = asked.rows(_SPREAD)[0]
    ended = by_status.get("ended", 0) + by_status.get("failed", 0)
    days, hours = _calendar(asked.rows(_QUARTERS, zone), since.astimezone(known), until)
    return SessionAnalytics(
        since=since,
        until=until,
        zone=zone,
        sessions=sum(by_status.values()),
        active=by_status.get("active", 0),
        ended=by_status.get("ended", 0),
        failed=by_status.get("failed", 0),
        abandoned=by_status.get("abandoned", 0),
        failure_ratio=by_status.get("failed", 0) / ended if ended else None,
        duration_seconds=_percentiles(durations),
        commands_per_session=_percentiles(commands),
        mean_commands=mean,
        by_day=days,
        by_component=asked.groups("component"),
        by_user=asked.groups('"user"'),
        by_type=asked.groups("session_type"),
        busiest_hours=hours,
        failing_commands=asked.failing_commands(),
    )


class _Asked:
    """Questions about the sessions of one range."""

    def __init__(self, database: Database, since: datetime, until: datetime) -> None:
        self._database = database
        self._chosen = within("sessions.start_time", since, until) & Condition(
            "session_type <> ?", (UNCOUNTED_TYPE,)
        )
        self._sessions = f"(FROM {ALL_SESSIONS} AS sessions WHERE {self._chosen.sql}) AS chosen"

    def rows(self, query: str, *before: Any, after: tuple[Any, ...] = ()) -> list[Any]:
        sql = query.replace("{sessions}", self._sessions).replace("{events}", ALL_EVENTS)
        return self._database.query(sql, [*before, *self._chosen.parameters, *after])

    def groups(self, column: str) -> list[Group]:
        rows = self.rows(_GROUPS.replace("{column}", column), after=(GROUPS,))
        return [Group(name=name, sessions=count, failed=failed) for name, count, failed in rows]

    def failing_commands(self) -> list[FailingCommand]:
        query = _FAILING.replace("{longest}", str(_LONGEST_COMMAND))
        rows = self.rows(query, after=(COMMANDS,))
        return [
            FailingCommand(command=command, failures=failures, runs=runs)
            for command, failures, runs in rows
        ]


def _percentiles(values: list[float] | None) -> Percentiles:
    p50, p95, p99 = values or (None, None, None)
    return Percentiles(p50=p50, p95=p95, p99=p99)


def _calendar(
    quarters: list[tuple[datetime, int, int]], since: datetime, until: datetime
) -> tuple[list[Group], list[Hour]]:
    """Days in order, none left out, and the busiest hours; from local quarters of an hour."""
    days: dict[date, list[int]] = {}
    day, last = since.date(), (until - timedelta(microseconds=1)).astimezone(since.tzinfo).date()
    while day <= last:
        days[day] = [0, 0]
        day += timedelta(days=1)
    hours: dict[int, int] = {}
    for quarter, sessions, failed in quarters:
        counts = days.setdefault(quarter.date(), [0, 0])
        counts[0] += sessions
        counts[1] += failed
        hours[quarter.hour] = hours.get(quarter.hour, 0) + sessions
    busiest = sorted(hours, key=lambda hour: (-hours[hour], hour))[:HOURS]
    return (
        [Group(name=str(day), sessions=n, failed=f) for day, (n, f) in sorted(days.items())],
        [Hour(hour=hour, sessions=hours[hour]) for hour in busiest],
    )


def _known_zone(zone: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(zone)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise InvalidInput(
            f"{zone[:50]!r} is not a time zone", hint="write one such as UTC or Europe/Berlin"
        ) from None
