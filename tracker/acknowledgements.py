"""From the writer's thread to the event loop: the answers of a whole group with one call.

Waking the loop costs a system call, and so does waking it for each request of a group.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Acknowledgements(Generic[Result]):
    """What requests in one event loop wait for. To be made in that loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._told: deque[tuple[asyncio.Future[Result], Result | Exception]] = deque()
        self._woken = False

    def expect(self) -> Acknowledgement[Result]:
        """Something that is going to be answered from another thread."""
        return Acknowledgement(self, self._loop.create_future())

    def tell(self, future: asyncio.Future[Result], answer: Result | Exception) -> None:
        """Answer, or fail, what a request waits for. In another thread."""
        self._told.append((future, answer))
        # After the answer is there: the loop takes its mark down before it looks.
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # the loop has ended, and all who waited with it
                self._loop.call_soon_threadsafe(self._pass_on)

    def _pass_on(self) -> None:
        self._woken = False
        while self._told:
            future, answer = self._told.popleft()
            if future.done():
                continue  # whoever waited has gone away
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


class Acknowledgement(Generic[Result]):
    """As much of ``concurrent.futures.Future`` as the writer needs.

    Args:
        together: those of the same loop.
        future: what the request waits for.
    """

    def __init__(self, together: Acknowledgements[Result], future: asyncio.Future[Result]) -> None:
        self.future = future
        self._together = together

    def set_running_or_notify_cancel(self) -> bool:
        """Whether anybody still waits."""
        return not self.future.cancelled()

    def set_result(self, result: Result) -> None:
        """Answer."""
        self._together.tell(self.future, result)

    def set_exception(self, error: Exception) -> None:
        """Fail."""
        self._together.tell(self.future, error)
