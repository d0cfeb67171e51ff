"""Strict requests: ambiguous ones are refused before they are validated (ADR 0006)."""

import asyncio
import json
import math
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import FormData, Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.dependencies import run_in_transaction
from app.core.errors import DomainError
from app.db.database import Transaction
from app.http.audit import open_audit
from app.http.routes import list_dependencies

MAX_BRACKETS = 4000
"""The maximum number of ``[`` and ``{`` in the body of one request, those in texts included.

The largest valid bodies, a text of 2,000 brackets or full weekly hours, have fewer."""


class StrictRequest(Request):
    """A request that accepts only RFC 8259 JSON in UTF-8, without duplicate keys and numbers out of range."""

    async def json(self) -> Any:
        """Return the body. Raises ``json.JSONDecodeError``, whose message never quotes the body, if it is refused."""
        if not hasattr(self, "parsed"):
            self.parsed = _read_json(await self.body())
        return self.parsed

    async def form(self, **limits: Any) -> FormData:  # type: ignore[override] # it is awaited, and nothing else
        """Return the form. Raises ``HTTPException`` 400 if a field appears more than once (RFC 6749 section 3.2)."""
        form = await super().form(**limits)
        if len(form.keys()) != len(form.multi_items()):
            raise HTTPException(HTTPStatus.BAD_REQUEST)
        return form


class BodyLimitMiddleware:
    """Middleware that reads a body of at most ``limit`` bytes for at most ``seconds``; otherwise it is a 413 or 408.

    Starlette's own middleware has no time limit, and answers in plain text without the exception handlers of the
    application. A body is read before the request takes a database connection, so a slow body does not hold one.

    If the response is complete before the body was read, it is sent at once. The rest of the body is then read and
    discarded, for at most ``seconds`` and ``MAX_DISCARDED_BYTES``, before the connection may be closed. Otherwise a
    client that is still sending would see a broken connection instead of the response. Discarding ends early when the
    client sends nothing for ``MAX_SILENCE_SECONDS``.
    """

    def __init__(self, app: ASGIApp, limit: int, seconds: float) -> None:
        self.app = app
        self.limit = limit
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with the limited body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        left = self.limit
        deadline = asyncio.get_running_loop().time() + self.seconds
        declared = _declared_length(scope)
        may_be_large = declared is None or declared > self.limit
        complete = declared == 0
        is_end_held_back = False

        async def receive_within_limit() -> Message:
            nonlocal left, complete
            if complete:  # the application waits for the disconnect
                return await receive()
            if declared is None or declared <= self.limit:
                try:
                    async with asyncio.timeout_at(deadline):
                        message = await receive()
                except TimeoutError:
                    raise HTTPException(HTTPStatus.REQUEST_TIMEOUT) from None
                complete = not message.get("more_body", False)
                left -= len(message.get("body", b""))
                if left >= 0:
                    return message
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

        async def send_holding_back_end(message: Message) -> None:
            nonlocal is_end_held_back
            if not complete:
                if message["type"] == "http.response.start" and may_be_large:
                    MutableHeaders(scope=message)["Connection"] = "close"
                elif message["type"] == "http.response.body" and not message.get("more_body", False):
                    is_end_held_back = True
                    message = {**message, "more_body": True}
            await send(message)

        await self.app(scope, receive_within_limit, send_holding_back_end)
        if is_end_held_back:
            await _discard_body(receive, self.seconds)
            await send({"type": "http.response.body"})


MAX_DISCARDED_BYTES = 16 * 1024 * 1024
MAX_SILENCE_SECONDS = 2.0
_MAY_REPEAT = {"status"}  # the only query parameter that is a list


def _declared_length(scope: Scope) -> int | None:
    """Return the declared length of the body in bytes: 0 if there is none, ``None`` if the body is sent in chunks."""
    headers = Headers(scope=scope)
    # If both headers are there, Transfer-Encoding decides (RFC 9112 section 6.3).
    if "transfer-encoding" in headers:
        return None
    declared = headers.get("content-length", "")
    # Python refuses to convert thousands of digits. A number of 20 digits is already over every limit.
    return int(declared[:20]) if declared.isascii() and declared.isdecimal() else 0


async def _discard_body(receive: Receive, seconds: float) -> None:
    left = MAX_DISCARDED_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while left > 0:
                async with asyncio.timeout(MAX_SILENCE_SECONDS):
                    message = await receive()
                if not message.get("more_body", False):  # the end of the body, or the client has disconnected
                    return
                left -= len(message["body"])


class ReplayedResponse(Exception):  # noqa: N818 - not an error: the request has been answered before
    """Raised by a dependency to answer a repeated request with its stored response."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class StrictRoute(APIRoute):
    """A route that reads its requests strictly, runs in one transaction, and supports stored responses.

    The callbacks in ``request.state.before_commit`` get the finished response, and write what must be committed with
    it. For GETs that are recorded in the audit trail, see ``run_in_transaction``.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of ``APIRoute``, called with a strict request inside a transaction."""
        handle = super().get_route_handler()
        recorded = open_audit in list_dependencies(self)

        async def handle_strictly(received: Request) -> Response:
            request = StrictRequest(received.scope, received.receive)
            request.state.operation = self.name
            request.state.recorded = recorded
            # The ``$`` of a path pattern also matches before a line feed at the end.
            if not request.scope["path"].isprintable():
                raise HTTPException(HTTPStatus.NOT_FOUND)
            # With two tokens it is ambiguous who the caller is.
            if len(request.headers.getlist("Authorization")) > 1:
                raise DomainError("not_authenticated")
            counted = Counter(name for name, _ in request.query_params.multi_items() if name not in _MAY_REPEAT)
            if repeated := [name for name, count in counted.items() if count > 1]:
                raise RequestValidationError(
                    [{"type": "value_error", "loc": ("query", repeated[0]), "ctx": {"error": "appears more than once"}}]
                )

            async def answer(transaction: Transaction) -> Response:
                # Emptied, because the request may run a second time, after it has queued for a lock (ADR 0044).
                request.state.transaction, request.state.before_commit = transaction, []
                try:
                    return await handle(request)
                # Caught inside the transaction, because a repeated response is recorded like the first one (ADR 0017).
                except ReplayedResponse as replay:
                    return replay.response

            async def keep(transaction: Transaction, response: Response) -> None:
                request.state.transaction = transaction
                for write in request.state.before_commit:
                    await write(response)

            # The response is returned, and then sent, only after the commit. If the commit fails, the client gets an
            # error instead of a success.
            return await run_in_transaction(request, answer, keep)

        return handle_strictly


def _read_json(body: bytes) -> Any:
    # Count before parsing: a body of nothing but brackets would use much memory and time.
    if body.count(b"[") + body.count(b"{") > MAX_BRACKETS:
        raise _bad("too many lists and objects")
    try:
        return _STRICT.decode(body.decode())
    except json.JSONDecodeError:
        raise
    except UnicodeDecodeError:
        raise _bad("not UTF-8") from None
    except RecursionError:
        raise _bad("nested too deeply") from None
    except ValueError:  # an integer of thousands of digits
        raise _bad("a number is too long") from None


def _bad(message: str) -> json.JSONDecodeError:
    return json.JSONDecodeError(message, "", 0)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _bad("duplicate key in object")
    return members


def _refuse_constant(_name: str) -> None:
    raise _bad("NaN and Infinity are not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _bad("a number is out of range")
    return number


_STRICT = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite)
