"""What expressions see of steps that are over: ``steps.<id>.changed``, ``.outputs``, ``.ok``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class StepResult:
    """The result of a step on one host.

    Args:
        ok: it did not fail (also when it was skipped).
        changed: it changed something.
        skipped: its condition was false.
        unreachable: it failed because the host was lost; nothing more can be done there.
        message: the task's line.
        outputs: the task's outputs; of a loop, those of its last item.
        error: why it failed, in one line.
        hint: what to do about it.
        results: of a loop, the result of each item.
    """

    ok: bool = True
    changed: bool = False
    skipped: bool = False
    message: str = ""
    outputs: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    hint: str = ""
    results: tuple[StepResult, ...] = ()
    unreachable: bool = False

    @property
    def failed(self) -> bool:
        """Whether it failed; then the run goes on only with ``ignore_errors``."""
        return not self.ok


def combined(results: Sequence[StepResult], *, looped: bool) -> StepResult:
    """The result of a step from those of its items."""
    if not looped and results:
        return results[0]
    failed = [one for one in results if one.failed]
    return StepResult(
        ok=all(one.ok for one in results),
        changed=any(one.changed for one in results),
        skipped=all(one.skipped for one in results),
        message="; ".join(one.message for one in results if one.message),
        outputs=results[-1].outputs if results else {},
        error="; ".join(one.error for one in failed),
        hint=failed[0].hint if failed else "",
        results=tuple(results),
        unreachable=any(one.unreachable for one in results),
    )
