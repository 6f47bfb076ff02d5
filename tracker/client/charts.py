"""Bars of text, and the analytics of sessions drawn with them (guide 8.1). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.units import format_duration
from tracker.client.table import display_width, local_time, printable, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_EIGHTHS = " ▏▎▍▌▋▊▉"
_WIDEST_LABEL = 32
_NONE = "-"


def bar(value: float, most: float, width: int) -> str:
    """A bar as long as its share of the greatest value, to an eighth of a column."""
    if most <= 0 or value <= 0:
        return ""
    eighths = max(1, round(value / most * width * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def bars(rows: Sequence[tuple[str, float, str]], *, width: int) -> list[str]:
    """One line a row: label, value, bar.

    Args:
        rows: label, value, and what stands after the value.
        width: columns of the screen.
    """
    if not rows:
        return [f"  {_NONE}"]
    labels = [shortened(printable(label), _WIDEST_LABEL) for label, _, _ in rows]
    values = [f"{value:g}{note}" for _, value, note in rows]
    label_width, value_width = max(map(display_width, labels)), max(map(display_width, values))
    room = max(8, width - label_width - value_width - 6)
    most = max(value for _, value, _ in rows)
    return [
        f"  {label}{' ' * (label_width - display_width(label))}"
        f"  {text:>{value_width}}  {bar(value, most, room)}".rstrip()
        for label, text, (_, value, _) in zip(labels, values, rows, strict=True)
    ]


def analytics_lines(found: Mapping[str, Any], *, width: int) -> list[str]:
    """The analytics of sessions, for a person."""
    return [
        f"Sessions from {local_time(found['since'])} to {local_time(found['until'])}",
        "",
        *_summary(found),
        *_section(f"By day ({found['zone']})", _groups(found["by_day"]), width),
        *_section("By component", _groups(found["by_component"]), width),
        *_section("By user", _groups(found["by_user"]), width),
        *_section("By type", _groups(found["by_type"]), width),
        *_section(f"Busiest hours ({found['zone']})", _hours(found["busiest_hours"]), width),
        *_section("Most failing commands", _failing(found["failing_commands"]), width),
    ]


def _summary(found: Mapping[str, Any]) -> list[str]:
    ratio = found["failure_ratio"]
    states = ", ".join(f"{found[name]} {name}" for name in ("active", "ended", "abandoned"))
    durations = _spread(found["duration_seconds"], format_duration)
    commands = _spread(found["commands_per_session"], "{:.0f}".format)
    mean = found["mean_commands"]
    return [
        f"  sessions              {found['sessions']}: {states}",
        f"  failed                {found['failed']}"
        + ("" if ratio is None else f", {ratio:.1%} of those that ended"),
        f"  duration              {durations}",
        f"  commands per session  {commands}" + ("" if mean is None else f", mean {mean:.1f}"),
    ]


def _spread(percentiles: Mapping[str, float | None], form: Any) -> str:
    told = [f"{name} {form(value)}" for name, value in percentiles.items() if value is not None]
    return ", ".join(told) or _NONE


def _section(title: str, rows: Sequence[tuple[str, float, str]], width: int) -> list[str]:
    return ["", title, *bars(rows, width=width)]


def _groups(groups: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, str]]:
    return [
        (
            group["name"] or _NONE,
            group["sessions"],
            f" ({group['failed']} failed)" if group["failed"] else "",
        )
        for group in groups
    ]


def _hours(hours: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, str]]:
    return [(f"{hour['hour']:02d}:00", hour["sessions"], "") for hour in hours]


def _failing(commands: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, str]]:
    return [(row["command"], row["failures"], f" of {row['runs']}") for row in commands]
