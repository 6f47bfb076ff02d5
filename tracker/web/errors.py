"""What becomes of an error in a server: a status and an ``ErrorBody``, never a traceback.

Busy 423   InvalidInput 400   NotAuthorised 401   Forbidden 403   NotFound 404
Unreachable 502   DiskFull 507   Refused: the status it carries   any other 500
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response

from schemas.errors import (
    Busy,
    DiskFull,
    InvalidInput,
    NotAuthorised,
    NotFound,
    SessionopsError,
    Unreachable,
)
from tracker.web.auth import Forbidden

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

_STATUS: dict[type[BaseException], int] = {
    Forbidden: 403,
    NotAuthorised: 401,
    InvalidInput: 400,
    NotFound: 404,
    Busy: 423,
    Unreachable: 502,
    DiskFull: 507,
}


class Refused(SessionopsError):
    """A request that is refused with a status that no other error stands for.

    Args:
        status: the HTTP status, 400 or above: 413, 421, 422, 429, 507, ...
        message: what was wrong, in one line.
        hint: what to do next, in one line.
        headers: headers of the answer, such as ``Retry-After``.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        hint: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.headers = dict(headers or {})


def status_of(error: SessionopsError) -> int:
    """The HTTP status that an error answers with."""
    if isinstance(error, Refused):
        return error.status
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)


def error_answer(
    status: int,
    message: str,
    request_id: str,
    *,
    hint: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer in the shape of ``schemas.session.ErrorBody``."""
    body = {"error": message, "hint": hint, "request_id": request_id}
    return Response(
        json.dumps(body) + "\n", status, headers=dict(headers or {}), media_type="application/json"
    )


async def answer_known_error(request: Request, error: Exception) -> Response:
    """Exception handler for every ``SessionopsError``."""
    assert isinstance(error, SessionopsError)  # noqa: S101 -- registered for this class only
    return known_error_answer(error, request_id_of(request))


def known_error_answer(error: SessionopsError, request_id: str) -> Response:
    """What a client is told of an error that we know."""
    headers: dict[str, str] = {}
    if isinstance(error, Refused):
        headers |= error.headers
    status = status_of(error)
    if status == 401:  # noqa: PLR2004 -- Unauthorized, RFC 9110 section 15.5.2
        headers["WWW-Authenticate"] = 'Bearer realm="sessionops"'
    message = f"{error.where}: {error.message}" if error.where else error.message
    return error_answer(status, message, request_id, hint=error.hint, headers=headers)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Exception handler for Starlette's own refusals: no such route, wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101 -- registered for this class only
    return error_answer(
        error.status_code, error.detail, request_id_of(request), headers=error.headers
    )


def request_id_of(request: Request) -> str:
    """The id that this request has in the log and in its answer."""
    return str(request.scope.get("state", {}).get("request_id", ""))
