"""Lists of sessions that were asked for and have not changed since (setting ``cache_size``)."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sized


class Page(Protocol):
    """What is kept: some sessions."""

    @property
    def sessions(self) -> Sized:
        """The sessions in it."""


Kept = TypeVar("Kept", bound=Page)


class SessionPages(Generic[Kept]):
    """Keeps the lists that were asked for last.

    Args:
        most: sessions in all lists together; 0 keeps none.
        version: a number that is another one as soon as anything was written.
    """

    def __init__(self, most: int, version: Callable[[], int]) -> None:
        self._most = most
        self._version = version
        self._pages: OrderedDict[Hashable, tuple[int, Kept]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, asked: Hashable, read: Callable[[], Kept]) -> Kept:
        """The list that somebody asks for; read if it is not here, or no longer true."""
        # Before it is read: what is written meanwhile makes it too old, not too new.
        version = self._version()
        with self._lock:
            kept = self._pages.get(asked)
            if kept is not None and kept[0] == version:
                self._pages.move_to_end(asked)
                return kept[1]
        page = read()
        self._keep(asked, version, page)
        return page

    def _keep(self, asked: Hashable, version: int, page: Kept) -> None:
        if _size(page) > self._most:
            return
        with self._lock:
            before = self._pages.pop(asked, None)
            if before is not None:
                self._size -= _size(before[1])
            self._pages[asked] = version, page
            self._size += _size(page)
            while self._size > self._most:
                _, (_, oldest) = self._pages.popitem(last=False)
                self._size -= _size(oldest)


def _size(page: Page) -> int:
    # An empty list takes room too.
    return max(1, len(page.sessions))
