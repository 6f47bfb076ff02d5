"""Sends spans to an OTLP receiver; the only module that imports OpenTelemetry's SDK.

A receiver that does not answer costs nobody anything: spans wait in a bounded queue, are dropped
when it is full, and the log says once that they do not arrive.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import structlog
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from schemas.release import version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Span

    from schemas.settings import Settings

GRPC, HTTP = "grpc", "http/protobuf"
GRPC_PORT = 4317
TRACES_PATH = "/v1/traces"
SECONDS_TO_END = 2.0
"""How long the end of a server may wait for its last spans to arrive."""

_EXPORT_SECONDS = 5
_DELAY_MILLISECONDS = 1_000

_log = structlog.get_logger("tracing")


class Export:
    """Makes spans and sends them.

    Args:
        exporter: takes them to the receiver.
        service: the name of this server in the traces.
        endpoint: where they go, for messages.
        protocol: ``grpc`` or ``http/protobuf``.
    """

    def __init__(self, exporter: SpanExporter, service: str, endpoint: str, protocol: str) -> None:
        self.endpoint = endpoint
        self.protocol = protocol
        resource = Resource.create({"service.name": service, "service.version": version()})
        # It would wait for half a minute at exit; ``close`` does not.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(_Told(exporter, endpoint), schedule_delay_millis=_DELAY_MILLISECONDS)
        )
        self.tracer = self._provider.get_tracer("sessionops")
        self._incoming = TraceContextTextMapPropagator()

    @classmethod
    def of(cls, service: str, settings: Settings) -> Self:
        """What the settings ask for.

        Raises:
            ValueError: an endpoint or a protocol that cannot be used.
        """
        # The exporters tell of every failure, every few seconds; ``_Told`` says it once.
        for talker in ("opentelemetry", "urllib3", "grpc"):
            logging.getLogger(talker).setLevel(logging.CRITICAL)
        endpoint = settings.text("mahavishnu.observability.otlp_endpoint")
        wanted = settings.text("mahavishnu.observability.otlp_protocol")
        protocol = protocol_for(endpoint, wanted)
        name = settings.text("mahavishnu.observability.service_name") or service
        return cls(_exporter(endpoint, protocol), name, endpoint, protocol)

    @contextmanager
    def request_span(
        self, name: str, carrier: Mapping[str, str], attributes: dict[str, Any]
    ) -> Iterator[Span]:
        """A span for a request, child of the span that the carrier names."""
        with self.tracer.start_as_current_span(
            name,
            context=self._incoming.extract(carrier),
            kind=SpanKind.SERVER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield span

    def close(self) -> None:
        """Send what is left, and give up after ``SECONDS_TO_END``."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(SECONDS_TO_END)
        if ending.is_alive():
            _log.warning("the last traces are lost", to=self.endpoint)


def protocol_for(endpoint: str, wanted: str) -> str:
    """The protocol of a receiver: what is wanted, else gRPC on its own port and HTTP elsewhere.

    Args:
        endpoint: the URL.
        wanted: ``OTEL_EXPORTER_OTLP_PROTOCOL``, or nothing.

    Raises:
        ValueError: not a URL, or a protocol that is not spoken here.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{endpoint!r} is not a URL such as http://localhost:{GRPC_PORT}")
    if wanted not in {"", GRPC, HTTP}:
        raise ValueError(f"{wanted!r} is not a protocol that is spoken here: {GRPC} or {HTTP}")
    return wanted or (GRPC if parts.port == GRPC_PORT else HTTP)


def _exporter(endpoint: str, protocol: str) -> SpanExporter:
    # Both want a whole address; only the environment variable may leave out the path.
    if protocol == GRPC:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc

        return Grpc(endpoint=endpoint, timeout=_EXPORT_SECONDS)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http

    return Http(endpoint=f"{endpoint.rstrip('/')}{TRACES_PATH}", timeout=_EXPORT_SECONDS)


class _Told(SpanExporter):
    """An exporter whose failures are logged once, and so is their end."""

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception:  # noqa: BLE001 -- a receiver must not harm a server
            result = SpanExportResult.FAILURE
        failed = result is not SpanExportResult.SUCCESS
        if failed != self._failing:
            self._failing = failed
            if failed:
                _log.warning("traces do not arrive", to=self._endpoint)
            else:
                _log.info("traces arrive again", to=self._endpoint)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
