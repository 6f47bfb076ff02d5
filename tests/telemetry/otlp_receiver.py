"""An OTLP receiver for traces, over gRPC and over HTTP, made of the protocol's own definitions."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)


class Received:
    """What has arrived."""

    def __init__(self):
        self._requests = []
        self._guard = threading.Lock()

    def take(self, request):
        with self._guard:
            self._requests.append(request)

    def raw(self):
        with self._guard:
            return b"".join(request.SerializeToString() for request in self._requests)

    def services(self):
        with self._guard:
            return {
                attribute.value.string_value
                for request in self._requests
                for resource in request.resource_spans
                for attribute in resource.resource.attributes
                if attribute.key == "service.name"
            }

    def spans(self, name=""):
        """The spans, or those of one name, in the order of their beginnings."""
        with self._guard:
            found = [
                span
                for request in self._requests
                for resource in request.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
                if name in {"", span.name}
            ]
        return sorted(found, key=lambda span: span.start_time_unix_nano)


def attributes_of(span):
    return {
        attribute.key: getattr(attribute.value, attribute.value.WhichOneof("value"))
        for attribute in span.attributes
    }


@contextmanager
def over_grpc(port):
    """A receiver on a port of loopback."""
    received = Received()

    class Service(TraceServiceServicer):
        def Export(self, request, context):  # noqa: N802 -- the protocol's name
            received.take(request)
            return ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(Service(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield received
    finally:
        server.stop(None).wait()


@contextmanager
def over_http(port):
    """A receiver on a port of loopback."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known = self.path == "/v1/traces"
            known &= self.headers["Content-Type"] == "application/x-protobuf"
            if known:
                request = ExportTraceServiceRequest()
                request.ParseFromString(body)
                received.take(request)
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
