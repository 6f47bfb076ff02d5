"""What the analytics of sessions answer (guide 8.1, ``session-buddy analytics sessions``)."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field

from schemas.session import Message


class Percentiles(Message):
    """How a number is spread; nothing where there are no sessions."""

    p50: float | None
    p95: float | None
    p99: float | None


class Group(Message):
    """Sessions that have something in common: a day, a component, a user."""

    name: str
    sessions: int
    failed: int


class Hour(Message):
    """Sessions that began in this hour of the day."""

    hour: int = Field(ge=0, le=23)
    sessions: int


class FailingCommand(Message):
    """A command or step that failed, and how often it was run."""

    command: str
    failures: int
    runs: int


class SessionAnalytics(Message):
    """The sessions that began in a range; those of the project's own checks are not counted."""

    since: AwareDatetime
    until: AwareDatetime
    zone: str = Field(description="time zone of days and hours")
    sessions: int
    active: int
    ended: int
    failed: int
    abandoned: int
    failure_ratio: float | None = Field(description="failed of all that ended; none: none ended")
    duration_seconds: Percentiles
    commands_per_session: Percentiles
    mean_commands: float | None
    by_day: list[Group] = Field(description="every day of the range, also those without sessions")
    by_component: list[Group]
    by_user: list[Group]
    by_type: list[Group]
    busiest_hours: list[Hour] = Field(description="most sessions first")
    failing_commands: list[FailingCommand] = Field(description="most failures first")

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON would have it."""
        return self.model_dump(mode="json")
