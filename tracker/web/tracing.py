"""Spans of requests and of what is done for them (guide 2.2); without tracing, next to nothing.

OpenTelemetry is imported only when the settings ask for traces, by ``tracker.web.otlp``. No span
holds what somebody typed: neither a command, nor a query, nor an error's text.
"""

from __future__ import annotations

import functools
import sys
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span, Tracer
    from starlette.types import Scope

    from schemas.settings import Settings
    from tracker.web.otlp import Export

    Attribute = str | int | float | bool


class Answered(Protocol):
    """Who waits for an answer from another thread: a future, or something like one."""

    def set_running_or_notify_cancel(self) -> bool:
        """Whether anybody still waits."""

    def set_result(self, result: Any, /) -> None:
        """Answer."""

    def set_exception(self, error: Exception, /) -> None:
        """Fail."""


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Waiting = TypeVar("Waiting", bound=Answered)

EXTRA = (
    "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-sdk",
)
"""What the extra ``[otel]`` brings. A release has no pip and is on no index, so they are named."""

UNTRACED = frozenset({"/health", "/metrics"})
"""Paths that are asked for every few seconds by machines; their spans would bury the others."""

SERVER_ERROR = 500

_log = structlog.get_logger("tracing")
_export: Export | None = None
_NOTHING: AbstractContextManager[None] = nullcontext()


def wanted(settings: Settings) -> bool:
    """Whether the settings ask for traces: ``tracing_enabled``, or the exporter ``otlp``."""
    exporters = settings.text("mahavishnu.observability.traces_exporter").lower().split(",")
    names = {name.strip() for name in exporters} - {""}
    if "none" in names:
        return False
    return "otlp" in names or settings.flag("mahavishnu.observability.tracing_enabled")


def start(service: str, settings: Settings) -> None:
    """Begin to send traces, if the settings ask for it; a server runs on without them.

    Args:
        service: ``session-buddy`` or ``mahavishnu``; its name in the traces, unless
            ``OTEL_SERVICE_NAME`` says otherwise.
        settings: the settings in force.
    """
    global _export  # noqa: PLW0603 -- one process is one server, and hooks are everywhere
    if not wanted(settings):
        return
    try:
        from tracker.web.otlp import Export
    except ImportError as error:
        _log.warning("no traces", reason=f"{error.name} is not installed", hint=install_line())
        return
    try:
        _export = Export.of(service, settings)
    except (ValueError, ImportError) as error:
        _log.warning("no traces", reason=str(error))
        return
    _log.info("traces are sent", to=_export.endpoint, protocol=_export.protocol)


def install_line() -> str:
    """The command that installs the extra beside the server that runs."""
    return f"the extra [otel]: uv pip install --python {sys.executable} {' '.join(EXTRA)}"


def stop() -> None:
    """Send what is left, for two seconds at the most, and end. Doing it twice is allowed."""
    global _export
    ending, _export = _export, None
    if ending is not None:
        ending.close()


class RequestSpan:
    """The span of a request that is under way."""

    def __init__(self, span: Span, method: str) -> None:
        self._span = span
        self._method = method

    def answered(self, route: str, status: int) -> None:
        """Note what became of the request.

        Args:
            route: the template of its route; empty: none.
            status: of the answer.
        """
        if route:
            self._span.update_name(f"{self._method} {route}")
            self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        if status >= SERVER_ERROR:
            self._span.set_attribute("error.type", str(status))
            _mark_failed(self._span)


def request(scope: Scope) -> AbstractContextManager[RequestSpan | None]:
    """A span around a request; it continues the trace of a client that sends ``traceparent``.

    https://www.w3.org/TR/trace-context/, and the names of
    https://opentelemetry.io/docs/specs/semconv/http/http-spans/.
    """
    if _export is None or scope["path"] in UNTRACED:
        return _NOTHING
    return _request(_export, scope)


@contextmanager
def _request(export: Export, scope: Scope) -> Iterator[RequestSpan]:
    from starlette.datastructures import Headers

    headers, method = Headers(scope=scope), scope["method"]
    client = scope.get("client")
    attributes: dict[str, Attribute] = {
        "http.request.method": method,
        "url.scheme": scope.get("scheme", "http"),
        **({"client.address": client[0]} if client else {}),
    }
    carrier = {name: headers[name] for name in ("traceparent", "tracestate") if name in headers}
    with export.request_span(method, carrier, attributes) as span:
        trace_id = f"{span.get_span_context().trace_id:032x}"
        with structlog.contextvars.bound_contextvars(trace_id=trace_id):
            yield RequestSpan(span, method)


def span(name: str, **attributes: Attribute) -> AbstractContextManager[object]:
    """A span around a piece of work, within the span of the request that it is done for."""
    if _export is None:
        return _NOTHING
    return _span(_export.tracer, name, attributes)


@contextmanager
def _span(tracer: Tracer, name: str, attributes: dict[str, Attribute]) -> Iterator[None]:
    # The texts of errors quote what was asked, so of an error only the class is told.
    with tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield
        except Exception as error:
            current.set_attribute("error.type", type(error).__name__)
            _mark_failed(current)
            raise


def _mark_failed(current: Span) -> None:
    from opentelemetry.trace import StatusCode

    current.set_status(StatusCode.ERROR)


def traced(name: str) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """A decorator: every call is a span."""

    def decorate(work: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        @functools.wraps(work)
        def around(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            if _export is None:
                return work(*args, **kwargs)
            with span(name):
                return work(*args, **kwargs)

        return around

    return decorate


def commit_followed(
    waiting: Waiting, events: int, last_commit: Callable[[], tuple[int, int]]
) -> Waiting:
    """Make spans of a request's wait for the writer and of the commit that it was part of.

    Args:
        waiting: who waits for the commit; told in the writer's thread, right after it.
        events: how many the request holds.
        last_commit: when the newest commit began and ended, in nanoseconds since 1970.

    Returns:
        Who is to be told instead.
    """
    if _export is None:
        return waiting
    return _Followed(_export.tracer, waiting, events, last_commit)  # type: ignore[return-value]


class _Followed:
    """Passes an answer on, and makes its spans."""

    def __init__(
        self,
        tracer: Tracer,
        waiting: Answered,
        events: int,
        last_commit: Callable[[], tuple[int, int]],
    ) -> None:
        from opentelemetry.context import get_current

        self._tracer = tracer
        self._waiting = waiting
        self._events = events
        self._last_commit = last_commit
        self._parent, self._asked = get_current(), time.time_ns()

    def set_running_or_notify_cancel(self) -> bool:
        return self._waiting.set_running_or_notify_cancel()

    def set_result(self, result: Any) -> None:
        self._told(None)
        self._waiting.set_result(result)

    def set_exception(self, error: Exception) -> None:
        self._told(error)
        self._waiting.set_exception(error)

    def _told(self, failure: Exception | None) -> None:
        began, ended = self._last_commit()
        began = max(self._asked, began)
        waited = self._tracer.start_span("ingest.wait", self._parent, start_time=self._asked)
        waited.end(began)
        commit = self._tracer.start_span(
            "ingest.commit",
            self._parent,
            start_time=began,
            attributes={"ingest.events": self._events},
        )
        if failure is not None:
            commit.set_attribute("error.type", type(failure).__name__)
            _mark_failed(commit)
        commit.end(max(began, ended))
