"""With which statuses an operation can refuse, and what each means."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracker.web.operations import Operation

TOLD: Mapping[int, tuple[str, str]] = {
    400: ("a parameter or the body is not as it should be", ""),
    401: ("no token, or a bad one", "WWW-Authenticate"),
    403: ("the token does not allow this, or the request comes from another site", ""),
    404: ("what the path names is not there", ""),
    413: ("the body is too long", ""),
    421: ("the server does not go by the name in Host", ""),
    422: ("an event is not as it should be; nothing was stored", ""),
    423: ("somebody else uses what is needed; trying later can help", ""),
    429: ("too much is waiting; send it again", "Retry-After"),
    500: ("the server failed; its log says why", ""),
    503: ("what it needs is not there; the hint says how to get it", ""),
    507: ("there is no room on the disk", ""),
}
"""By status: what it means, and the header that comes with it."""

_GATE = (403, 413, 421, 500)
"""Where these come from, every request passes."""


def statuses_of(operation: Operation) -> list[int]:
    """All the statuses of an operation's refusals."""
    found = {*_GATE, *operation.refusals}
    if operation.scopes:
        found |= {401, 403}
    if operation.parts is not None:
        found.add(404)
    reads_body = operation.body is not None and operation.body.checked
    if operation.query is not None or reads_body or operation.method == "POST":
        found.add(400)
    return sorted(found)
