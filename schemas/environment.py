"""The environment that an inventory file belongs to: its name, and when runs have to wait or ask.

Knows how it is written, not what is done about it. Times stay texts here, as the file has them.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from schemas.runbook import Strict

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _as_text(value: Any) -> Any:
    # YAML reads an unquoted date as one; both ways of writing mean the same.
    return value.isoformat() if isinstance(value, date) else value


def _a_moment(text: str) -> str:
    if text:
        datetime.fromisoformat(text)
    return text


def _a_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"there is no time zone {text!r}") from error
    return text


Moment = Annotated[str, BeforeValidator(_as_text), AfterValidator(_a_moment)]


class Freeze(Strict):
    """A time in which nothing is changed."""

    begin: Moment = Field("", alias="from", description="first day, or a time in ISO 8601")
    end: Moment = Field("", alias="to", description="last day, or a time in ISO 8601")
    days: list[Day] = Field([], description="only on these days of the week")
    reason: str = Field(min_length=1, description="told to whoever is refused")

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if not (self.begin and self.end) and not self.days:
            raise ValueError("a freeze needs 'from' and 'to', or 'days'")
        if bool(self.begin) != bool(self.end):
            raise ValueError("a freeze with 'from' or 'to' needs both")
        if self.begin and _without_zone(self.begin) > _without_zone(self.end):
            raise ValueError("this freeze ends before it begins")
        if not self.end and set(self.days) == set(DAYS):
            raise ValueError("a freeze on all days would never end")
        return self


class Environment(Strict):
    """What the hosts of an inventory are for."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    confirm: bool = Field(False, description="a run that may change something asks for the name")
    freeze: list[Freeze] = []
    zone: Annotated[str, AfterValidator(_a_zone)] = Field(
        "UTC", description="time zone of the freezes"
    )


def _without_zone(text: str) -> datetime:
    # One end may name a zone and the other not; a mistake of days shows all the same.
    return datetime.fromisoformat(text).replace(tzinfo=None)
