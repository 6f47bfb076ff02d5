"""Operations: what a server can be asked, declared once as data beside the code that answers.

Routes, the checks of what a request brings, and the description of the API are all made from the
same ``Operation``, so they cannot differ. Knows no operation itself.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route, request_response

from schemas.errors import InvalidInput
from tracker.web.app import from_loopback, require
from tracker.web.parameters import Parameters, json_answer, read_body, read_query

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from pydantic import BaseModel
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    Endpoint = Callable[[Request], Awaitable[Response]]

JSON = "application/json"

Query = TypeVar("Query")
Body = TypeVar("Body")


@dataclass(slots=True)  # not frozen: that doubles what making one costs, and each request makes one
class Call(Generic[Query, Body]):
    """A request as its operation's handler gets it: allowed, and checked.

    Args:
        request: the request.
        subject: whom its token names; empty: it needed none.
        query: its parameters, as the operation's model has them.
        body: its body, as the operation's model has it.
    """

    request: Request
    subject: str
    query: Query
    body: Body

    def path(self, name: str) -> str:
        """A part of the path, as the route names it."""
        return str(self.request.path_params[name])


@dataclass(frozen=True, slots=True)
class Sent:
    """The body that an operation takes.

    Args:
        model: what it holds.
        required: whether it has to be there; otherwise nothing, or ``null``, means the defaults.
        lines: what a line holds where it may come in lines too.
        media: content types that mean the latter.
        checked: whether the body is read and checked before the handler; if not, it does so.
        example: one that works.
    """

    model: type[BaseModel]
    required: bool = True
    lines: type[BaseModel] | None = None
    media: tuple[str, ...] = ()
    checked: bool = True
    example: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers.

    Args:
        told: what that is, in a line.
        model: the pydantic model or dataclass of the body; None: it is text.
        lines: what a line of it holds, where it comes as NDJSON.
        media: content types that it may have.
    """

    told: str
    model: Any = None
    lines: Any = None
    media: tuple[str, ...] = (JSON,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing that a server can be asked.

    Args:
        method: of HTTP.
        path: as Starlette writes it.
        handler: answers a ``Call`` with a model, which is sent as JSON, or with a ``Response``.
            Its name is the operation's id and its docstring the summary. One that is no coroutine
            function may block: it runs in a thread.
        scopes: what the token has to allow, any of them; none: no token is needed.
        open_on_loopback: from this machine no token is needed either.
        answer: what comes with 200.
        others: what else comes that is no refusal, by status.
        refusals: statuses of refusals that are this operation's own, beyond those that follow from
            the other fields.
        parts: the model of the path's parts.
        query: the model of the parameters; None: they are not looked at.
        body: the body that it takes.
        notes: more than the summary says.
        direct: the handler speaks ASGI itself, and does all that is done for the others here.
    """

    method: str
    path: str
    handler: Callable[..., Any]
    scopes: tuple[str, ...]
    answer: Answer
    open_on_loopback: bool = False
    others: Mapping[int, Answer] | None = None
    refusals: tuple[int, ...] = ()
    parts: type[BaseModel] | None = None
    query: type[BaseModel] | None = Parameters
    body: Sent | None = None
    notes: str = ""
    direct: bool = False

    @property
    def name(self) -> str:
        """The operation's id."""
        return self.handler.__name__

    @property
    def summary(self) -> str:
        """What it does, in a line."""
        return (inspect.getdoc(self.handler) or "").partition("\n")[0].rstrip(".")


def routes_of(operations: Iterable[Operation]) -> list[Route]:
    """The routes of operations: one a path, so that 405 names all the methods that it has."""
    by_path: dict[str, dict[str, ASGIApp]] = {}
    for operation in operations:
        app = operation.handler if operation.direct else request_response(_endpoint(operation))
        by_path.setdefault(operation.path, {})[operation.method] = app
    return [Route(path, _ByMethod(apps), methods=list(apps)) for path, apps in by_path.items()]


def direct_of(operations: Iterable[Operation]) -> dict[tuple[str, str], ASGIApp]:
    """The operations that need no router, by method and path."""
    return {
        (operation.method, operation.path): operation.handler
        for operation in operations
        if operation.direct
    }


class _ByMethod:
    """What answers a path."""

    def __init__(self, apps: Mapping[str, ASGIApp]) -> None:
        self._apps = apps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        await self._apps[method](scope, receive, send)


def _endpoint(operation: Operation) -> Endpoint:
    """What answers a request; all that is the same for each one is found out here, once."""
    handler, scopes, query = operation.handler, operation.scopes, operation.query
    waits = inspect.iscoroutinefunction(handler)
    no_query = query() if query is Parameters else None
    sends_body = operation.method != "GET" and (operation.body is None or operation.body.checked)

    async def answered(request: Request) -> Response:
        subject = ""
        if scopes and not (operation.open_on_loopback and from_loopback(request)):
            subject = require(request, *scopes).subject
        asked: BaseModel | None = no_query
        if query is not None and (no_query is None or request.scope["query_string"]):
            asked = read_query(request, query)
        body = _body(await request.body(), operation.body) if sends_body else None
        call = Call(request, subject, asked, body)
        if waits:
            return _as_response(await handler(call))
        return await run_in_threadpool(lambda: _as_response(handler(call)))

    return answered


def _body(content: bytes, taken: Sent | None) -> BaseModel | None:
    """The body that was sent, as its model has it.

    Raises:
        InvalidInput: it is not as it should be, or there should be none.
    """
    nothing = content.strip() in (b"", b"null")
    if taken is None:
        if not nothing:
            raise InvalidInput("this takes no body")
        return None
    if nothing and not taken.required:
        return taken.model()
    return read_body(content, taken.model)


def _as_response(answer: Any) -> Response:
    return answer if isinstance(answer, Response) else json_answer(answer)
