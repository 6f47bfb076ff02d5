"""HTTP as both servers read it: uvicorn's, with a bound on the head and refusals in our shape.

What goes wrong before there is a request never reaches the application, so it is answered here.
"""

from __future__ import annotations

import json
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD = 65_536
"""Bytes of a request line with its headers; uvicorn itself would take in any number."""


class Protocol(HttpToolsProtocol):
    """One connection."""

    _head = 0
    _in_head = True

    def data_received(self, data: bytes) -> None:
        """Take in what was sent; a head that does not end is refused."""
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > LONGEST_HEAD and not self.transport.is_closing():
            self._refuse(431, f"the headers are longer than {LONGEST_HEAD} bytes")

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._in_head, self._head = False, 0
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Called by the parser when what was sent is not HTTP."""
        del msg  # uvicorn's own words, always the same
        self._refuse(400, "this is not an HTTP request")

    def shutdown(self) -> None:
        """Let a request that is under way finish; end the connection if there is none.

        Over TLS a polite close waits for the client to agree, and one that is idle does not listen:
        the server would take all of its grace to stop.
        """
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self.transport.get_extra_info("ssl_object") is not None:
            self.transport.abort()
        else:
            super().shutdown()

    def _refuse(self, status: int, message: str) -> None:
        body = json.dumps({"error": message, "hint": "", "request_id": ""}).encode() + b"\n"
        phrase = HTTPStatus(status).phrase
        head = (
            f"HTTP/1.1 {status} {phrase}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
