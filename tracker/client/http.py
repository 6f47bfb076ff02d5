"""Talks to one of the servers over HTTP; every failure is one of ``schemas.errors`` with a hint.

On the standard library alone: a command that lists sessions must not wait for a large HTTP library
to be imported.
"""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urlsplit

from schemas.errors import (
    Busy,
    DiskFull,
    InvalidInput,
    NotAuthorised,
    NotFound,
    SessionopsError,
    Unreachable,
)
from schemas.health import Health
from tracker.client.tls import Trust

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator


class Rejected(InvalidInput):
    """The server has read the request and will never take it."""


_ERRORS: dict[int, type[SessionopsError]] = {
    400: Rejected,
    401: NotAuthorised,
    403: NotAuthorised,
    404: NotFound,
    409: Busy,
    413: Rejected,
    422: Rejected,
    423: Busy,
    429: Busy,
    507: DiskFull,
}
_PIECE = 1 << 16
_RELAYED = "application/json, text/event-stream"
"""What a client of MCP must say that it takes; the tracker answers with the first."""

_JSONRPC = b'{"jsonrpc"'
_STALE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)
"""How a kept connection that the server has closed meanwhile shows itself."""


class ServerClient:
    """A client of one server that keeps its connection.

    Not to be shared between threads.

    Args:
        base_url: such as ``http://127.0.0.1:8678``.
        token: gives the token for a request; None: requests carry none.
        timeout: seconds to wait for the connection, and for each piece of the answer.
        name: what a person calls the server.
        start_with: the command that starts it.
        trust: whom to believe over https.
    """

    def __init__(
        self,
        base_url: str,
        token: Callable[[], str] | None = None,
        timeout: float = 10.0,
        *,
        name: str = "Session-Buddy",
        start_with: str = "session-buddy mcp start",
        trust: Trust | None = None,
    ) -> None:
        address = urlsplit(base_url)
        self.base_url = base_url
        self._name = name
        self._start_with = start_with
        self._token = token
        self._trust = trust or Trust()
        self._in_clear = address.scheme == "http" and not _is_near(address.hostname or "")
        self._tls = address.scheme == "https"
        self._host, self._port, self._timeout = address.hostname or "", address.port, timeout
        self._opened: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None  # a CA that was replaced meanwhile is read again

    @property
    def _connection(self) -> http.client.HTTPConnection:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> http.client.HTTPConnection:
        if not self._tls:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        context = self._trust.context()
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=self._timeout, context=context
        )

    def get(self, path: str, **query: Any) -> Any:
        """The answer to a GET as JSON; query values that are None are left out.

        Raises:
            Unreachable: no server, or no answer in time.
            NotAuthorised, NotFound, Busy, InvalidInput, SessionopsError: what the server said.
        """
        return self._checked("GET", _target(path, query), None)

    def post(self, path: str, body: Any = None) -> Any:
        """The answer to a POST of JSON; ``bytes`` are sent as they are.

        Raises:
            Unreachable, NotAuthorised, NotFound, Busy, InvalidInput, SessionopsError: as ``get``.
        """
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._checked("POST", path, content)

    def delete(self, path: str) -> Any:
        """The answer to a DELETE as JSON.

        Raises:
            Unreachable, NotAuthorised, NotFound, Busy, InvalidInput, SessionopsError: as ``get``.
        """
        return self._checked("DELETE", path, None)

    def relay(self, path: str, message: bytes, **headers: str) -> bytes:
        """Hand on a JSON-RPC message; the answer is as it came, and empty where none is due.

        Args:
            path: where it goes.
            message: one message in JSON.
            headers: what else the request says of itself.

        Raises:
            Unreachable, NotAuthorised, NotFound, Busy, InvalidInput, SessionopsError: as ``get``,
                unless the answer is one of JSON-RPC, which also tells of errors.
        """
        described = {"Content-Type": "application/json", "Accept": _RELAYED, **headers}
        status, answer = self._exchange("POST", path, message, self._headers() | described)
        if answer and not answer.startswith(_JSONRPC):
            raise self._error(status, answer)
        return answer

    def stream(self, path: str, **query: Any) -> Iterator[bytes]:
        """The answer to a GET in pieces, as they come.

        Raises:
            Unreachable, NotAuthorised, NotFound, Busy, InvalidInput, SessionopsError: as ``get``,
                before the first piece; ``Unreachable`` also when the answer is cut off.
        """
        try:
            self._connection.request("GET", _target(path, query), headers=self._headers())
            response = self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._unreachable(error) from None
        try:
            if response.status >= 400:  # noqa: PLR2004 -- errors begin here, RFC 9110 section 15
                raise self._error(response.status, response.read())
            while piece := response.read(_PIECE):
                yield piece
        except (OSError, http.client.HTTPException):
            message = f"the answer of {self._name} on {self.base_url} was cut off"
            raise Unreachable(message, hint="its log says why; then ask again") from None
        finally:
            self.close()

    def health(self) -> Health:
        """What the server says of itself, also when it is not healthy.

        Raises:
            Unreachable: no server, or something else answers there.
        """
        _, content = self._exchange("GET", "/health", None, {})
        try:
            health = Health.from_dict(json.loads(content))
        except (ValueError, TypeError, AttributeError):
            health = None
        if health is None or not health.service:
            raise Unreachable(
                f"what answers on {self.base_url} is not {self._name}",
                hint="choose another port in the settings, or stop what listens there",
            )
        return health

    def _checked(self, method: str, target: str, content: bytes | None) -> Any:
        headers = self._headers()
        if content is not None:
            headers["Content-Type"] = "application/json"
        status, answer = self._exchange(method, target, content, headers)
        if status >= 400:  # noqa: PLR2004 -- errors begin here, RFC 9110 section 15
            raise self._error(status, answer)
        try:
            return json.loads(answer) if answer else None
        except ValueError:
            message = f"the answer of {self._name} on {self.base_url}{target} is not JSON"
            raise SessionopsError(message) from None

    def _headers(self) -> dict[str, str]:
        if self._token is None:
            return {}
        if self._in_clear and not self._trust.in_clear:
            prefix = self._trust.prefix
            raise InvalidInput(
                f"{self.base_url} is not on this machine, and a token would go there in clear",
                hint=f"write https:// in {prefix}_URL, or use an SSH tunnel",
            )
        return {"Authorization": f"Bearer {self._token()}"}

    def _exchange(
        self, method: str, target: str, content: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        kept = self._opened is not None and self._opened.sock is not None
        try:
            return self._exchange_once(method, target, content, headers)
        except _STALE as error:
            self.close()
            # Asking again is safe: a GET changes nothing, the POSTs that travel over a kept
            # connection are batches of events or calls of MCP tools, whose effect is the same
            # however often they arrive, and what a DELETE has removed is not there to be removed
            # twice.
            if not kept:
                raise self._unreachable(error) from None
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._unreachable(error) from None
        try:
            return self._exchange_once(method, target, content, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._unreachable(error) from None

    def _exchange_once(
        self, method: str, target: str, content: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        self._connection.request(method, target, body=content, headers=headers)
        response = self._connection.getresponse()
        return response.status, response.read()

    def _unreachable(self, error: Exception) -> Unreachable:
        import ssl

        message = f"{self._name} does not answer on {self.base_url}"
        if isinstance(error, ssl.SSLError):
            return Unreachable(self._distrust(error), hint=self._trust.hint(error))
        if isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError):
            return Unreachable(
                f"{self._name} on {self.base_url} has closed the connection",
                hint="see its log; if it speaks TLS, write https:// in the settings",
            )
        if isinstance(error, TimeoutError):
            return Unreachable(
                f"{message} in time", hint=f"{self._start_with.replace(' start', ' restart')}"
            )
        return Unreachable(message, hint=f"start it with: {self._start_with}")

    def _distrust(self, error: ssl.SSLError) -> str:
        reason = getattr(error, "verify_message", "") or (error.reason or "").casefold()
        what = "certificate" if hasattr(error, "verify_code") else "TLS"
        return f"{what} of {self._name} on {self.base_url}: {reason.replace('_', ' ')}"

    def _error(self, status: int, answer: bytes) -> SessionopsError:
        try:
            body = json.loads(answer)
            message, hint = str(body["error"]), str(body.get("hint", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            # Not one of our servers' answers, so it says nothing about what was sent.
            return SessionopsError(
                f"what listens on {self.base_url} answered {status}",
                hint=f"see whether that is {self._name}, or something else on its port",
            )
        if status == 401:  # noqa: PLR2004 -- the guide's words, 4.5 and 6.3
            message = f"401 Unauthorized: {message}"
        kind = _ERRORS.get(status, SessionopsError)
        return kind(message, hint=hint)


def _is_near(host: str) -> bool:
    """Whether requests to a host stay on this machine."""
    if host in {"127.0.0.1", "localhost", "::1"}:
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _target(path: str, query: dict[str, Any]) -> str:
    given = {key: value for key, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path
