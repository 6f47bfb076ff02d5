"""Records one session: each event is on disk before ``emit`` returns, and travels later.

Nothing here waits for a network, so a prompt is never held up; the tracker may be down for as long
as it likes. Secrets are masked before anything touches the disk.
"""

from __future__ import annotations

import json
import os
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from schemas.errors import SessionopsError, StepFailed
from tracker.client.courier import Courier
from tracker.client.delivery import deliver
from tracker.client.identifiers import event_identifier, session_identifier
from tracker.client.plain import plain
from tracker.client.redact import redact_data
from tracker.client.spool import SPOOL_LIMIT, Spool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.settings import Settings

FLUSH_SECONDS = 2.0
"""How long the end of a session waits for a tracker that does not answer; refusal is immediate."""

_URGENT = frozenset({"session_start", "session_end"})


class Emitter:
    """One session's events.

    Args:
        facts: from ``tracker.client.facts.session_facts``.
        settings: the settings in force; with ``session.enabled`` false nothing is recorded.
        session_id: to go on with a session that has begun already.
        began: when the session began, where that was before now.
        delivery: ``background`` sends from a thread and adds checkpoints; ``manual`` sends when
            ``flush`` or ``end`` is called.
        strict: fail when an event cannot be written to disk, instead of counting the loss.
        spool_limit: bytes that all spool files together may take.
    """

    def __init__(
        self,
        facts: Mapping[str, Any],
        settings: Settings,
        *,
        session_id: str | None = None,
        began: datetime | None = None,
        delivery: Literal["background", "manual"] = "background",
        strict: bool = False,
        spool_limit: int = SPOOL_LIMIT,
    ) -> None:
        self.session_id = session_id or session_identifier()
        self.dropped = 0
        self._facts = dict(facts)
        self._settings = settings
        self._enabled = settings.flag("mahavishnu.session.enabled")
        self._delivery = delivery
        self._strict = strict
        self._spool_limit = spool_limit
        self._spool: Spool | None = None
        self._courier: Courier | None = None
        # Reentrant: a signal handler may end the session while an event is being written.
        self._lock = threading.RLock()
        self._sequence = 0
        self._lost = 0
        self._failure = ""
        self._late_start: dict[str, Any] = {}
        self._began_before = began
        self._began = _monotonic(began)
        self._ended = False
        self._pid = os.getpid()

    @property
    def problem(self) -> str:
        """Why events are not stored or do not arrive at the moment; empty: all is well."""
        return self._failure or (self._courier.problem if self._courier else "")

    def start(self) -> None:
        """Record that the session began.

        Raises:
            StepFailed: the record is strict and the disk would not take it.
        """
        self._began = _monotonic(self._began_before)
        facts = redact_data(plain(self._facts))
        began = self._began_before or datetime.now(UTC)
        self._record("session_start", {}, timestamp=began, session=facts)

    def emit(
        self,
        event_type: str,
        data: Mapping[str, Any],
        *,
        duration_seconds: float | None = None,
        exit_code: int | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        """Record an event.

        Args:
            event_type: ``command``, ``error``, ``step``, ``checkpoint``.
            data: what happened, in JSON types; texts are redacted, and cut when very long.
            duration_seconds: how long it took.
            exit_code: how it ended; 0 is well.
            timestamp: when it began, with a time zone; None: now.

        Raises:
            StepFailed: the record is strict and the disk would not take it.
        """
        fields: dict[str, Any] = {}
        if duration_seconds is not None:
            fields["duration_seconds"] = max(0.0, duration_seconds)
        if exit_code is not None:
            fields["exit_code"] = exit_code
        self._record(event_type, data, timestamp=timestamp, **fields)

    def end(self, exit_code: int | None = 0, data: Mapping[str, Any] | None = None) -> None:
        """Record that the session ended, and give its events a moment to arrive.

        Takes at most ``FLUSH_SECONDS``; what has not arrived by then is delivered later.

        Args:
            exit_code: of the session; anything but 0 makes it a failed one; None: nobody knows.
            data: more about the end, such as ``{"reason": "SIGHUP"}``.
        """
        if self._ended:
            return
        took = time.monotonic() - self._began
        known: dict[str, Any] = {} if exit_code is None else {"exit_code": exit_code}
        self._record("session_end", data or {}, duration_seconds=took, **known)
        self._ended = True
        if not self._mine():
            return
        if self._courier is not None:
            self._courier.finish(FLUSH_SECONDS)
        elif self._spool is not None:
            self.flush()
            self._spool.close()

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Try to deliver everything now.

        Returns:
            Whether the tracker has acknowledged all events of this emitter.
        """
        if self._spool is None:
            return True
        if self._courier is not None:
            return self._courier.flush(seconds)
        from tracker.client.servers import session_buddy

        most = self._settings.count("mahavishnu.event_buffer.max_size")
        try:
            with session_buddy(self._settings, "ingest", timeout=seconds) as client:
                deliver(self._spool, client, most)
        except (SessionopsError, OSError) as error:
            self._failure = str(error)
        return self._spool.unsent == 0

    def _mine(self) -> bool:
        """False in a child made by ``fork``: session, file and thread are its parent's."""
        return self._enabled and os.getpid() == self._pid

    def _record(
        self,
        event_type: str,
        data: Mapping[str, Any],
        *,
        timestamp: datetime | None = None,
        **fields: Any,
    ) -> None:
        if self._ended or not self._mine():
            return
        try:
            with self._lock:
                spool = self._opened()
                self._catch_up(spool)
                self._write(spool, event_type, data, timestamp, **fields)
                self._failure = ""
        except OSError as error:
            if event_type == "session_start":
                self._late_start = {"timestamp": timestamp, **fields}
            self._lost += 1
            self.dropped += 1
            self._failure = (
                f"an event could not be written to {self._settings.places.spool}: {error}"
            )
            if self._strict:
                raise StepFailed(self._failure, hint="make room, or check its rights") from None
            return
        if self._courier is not None:
            self._courier.notify(urgent=event_type in _URGENT)

    def _catch_up(self, spool: Spool) -> None:
        """Write the start and the number of other events that the disk would not take."""
        # Without its start nobody knows whose events the others are.
        if self._late_start:
            self._write(spool, "session_start", {}, **self._late_start)
            self._late_start = {}
            self._lost -= 1
            self.dropped -= 1
        if self._lost:
            self._write(spool, "gap", {"dropped": self._lost, "reason": self._failure})
            self._lost = 0

    def _write(
        self,
        spool: Spool,
        event_type: str,
        data: Mapping[str, Any],
        timestamp: datetime | None = None,
        **fields: Any,
    ) -> None:
        event = {
            "event_id": event_identifier(),
            "session_id": self.session_id,
            "event_type": event_type,
            "timestamp": (timestamp or datetime.now(UTC)).isoformat(),
            "sequence": self._sequence,
            "data": redact_data(plain(dict(data))),
            **fields,
        }
        self._sequence += 1
        spool.append(json.dumps(event, separators=(",", ":")).encode() + b"\n")

    def _opened(self) -> Spool:
        if self._spool is None:
            self._spool = Spool.create(self._settings.places.spool, self._spool_limit)
            if self._delivery == "background":
                self._courier = Courier(self._spool, self._settings, self._beat)
                self._courier.start()
        return self._spool

    def _beat(self) -> None:
        self.emit("checkpoint", {})


def _monotonic(began: datetime | None) -> float:
    """A moment, None meaning now, on the clock that no correction of the time moves."""
    ago = 0.0 if began is None else (datetime.now(UTC) - began).total_seconds()
    return time.monotonic() - max(0.0, ago)
