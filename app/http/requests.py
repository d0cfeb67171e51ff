"""Reading requests strictly: what is ambiguous is refused, before it is looked at more closely."""

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

MAX_NESTING = 4000
"""In the JSON of one request; a text of 2,000 brackets and a full weekly plan together have fewer."""


class StrictRequest(Request):
    """A request whose JSON is RFC 8259 in UTF-8, with no name twice in an object and no number beyond all bounds."""

    async def json(self) -> Any:
        """The body; ``json.JSONDecodeError``, which never quotes it, for anything that is not strict JSON."""
        if not hasattr(self, "_json"):
            self._json = _read_json(await self.body())
        return self._json

    async def form(self, **limits: Any) -> FormData:  # type: ignore[override] # it is awaited, and nothing else
        """The form; refused if a field stands twice in it (RFC 6749 section 3.2)."""
        form = await super().form(**limits)
        if len(form.keys()) != len(form.multi_items()):
            raise HTTPException(HTTPStatus.BAD_REQUEST)
        return form


class BodyLimitMiddleware:
    """Middleware that reads no more of a body than ``limit`` bytes, and no longer than ``seconds``: 413 or 408.

    Starlette's own answers in plain text, past the handlers of the application, and knows no time. A body is read
    before a connection of the database is taken, so a slow one holds none.

    An answer that is complete before the body was read is sent at once. What is left of the body is then read and
    thrown away, again for ``seconds`` and up to ``MAX_DISCARDED_BYTES``, before the connection may be closed: a client
    that is still sending would otherwise see a broken connection instead of the answer. A client that sends nothing
    for ``MAX_SILENCE_SECONDS`` is not waited for.
    """

    def __init__(self, app: ASGIApp, limit: int, seconds: float) -> None:
        self.app = app
        self.limit = limit
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, with a body that has an end."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        left = self.limit
        deadline = asyncio.get_running_loop().time() + self.seconds
        declared = _declared_length(scope)
        may_be_large = declared is None or declared > self.limit
        complete = declared == 0
        held_back = False

        async def receive_within_limit() -> Message:
            nonlocal left, complete
            if complete:  # whoever still asks wants to know whether the client is there
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

        async def send_before_the_end(message: Message) -> None:
            nonlocal held_back
            if not complete:
                if message["type"] == "http.response.start" and may_be_large:
                    MutableHeaders(scope=message)["Connection"] = "close"
                elif message["type"] == "http.response.body" and not message.get("more_body", False):
                    held_back = True
                    message = {**message, "more_body": True}
            await send(message)

        await self.app(scope, receive_within_limit, send_before_the_end)
        if held_back:
            await _discard_body(receive, self.seconds)
            await send({"type": "http.response.body"})


MAX_DISCARDED_BYTES = 16 * 1024 * 1024
MAX_SILENCE_SECONDS = 2.0
_MAY_REPEAT = {"status"}


def _declared_length(scope: Scope) -> int | None:
    """The length that the request declares for its body; ``None`` if the body is sent in chunks."""
    headers = Headers(scope=scope)
    if "transfer-encoding" in headers:
        return None
    declared = headers.get("content-length", "")
    # Python converts no more than some thousands of digits; so many are too large in any case.
    return int(declared[:20]) if declared.isascii() and declared.isdecimal() else 0


async def _discard_body(receive: Receive, seconds: float) -> None:
    left = MAX_DISCARDED_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while left > 0:
                async with asyncio.timeout(MAX_SILENCE_SECONDS):
                    message = await receive()
                if not message.get("more_body", False):  # the end, or the client is gone
                    return
                left -= len(message["body"])


class StoredAnswer(Exception):  # noqa: N818 - not an error: the request has been answered before
    """Raised by a dependency that knows the answer already."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class StrictRoute(APIRoute):
    """A route that reads its requests strictly, in one transaction, and answers again what it has answered before.

    What is to be committed with the answer is written when the answer is there: see ``request.state.before_commit``
    and, for GETs that are recorded, ``run_in_transaction``.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The usual handler, on a strict request."""
        handle = super().get_route_handler()
        recorded = any(each.call is open_audit for each in self.dependant.dependencies)

        async def handle_strictly(received: Request) -> Response:
            request = StrictRequest(received.scope, received.receive)
            request.state.operation = self.name
            request.state.recorded = recorded
            # Patterns of paths end before a line feed, too; and of two tokens nobody knows which is meant.
            if not request.scope["path"].isprintable():
                raise HTTPException(HTTPStatus.NOT_FOUND)
            if len(request.headers.getlist("Authorization")) > 1:
                raise DomainError("not_authenticated")
            counted = Counter(name for name, _ in request.query_params.multi_items() if name not in _MAY_REPEAT)
            if twice := [name for name, count in counted.items() if count > 1]:
                raise RequestValidationError(
                    [{"type": "value_error", "loc": ("query", twice[0]), "ctx": {"error": "stands there twice"}}]
                )

            async def answer(transaction: Transaction) -> Response:
                request.state.transaction, request.state.before_commit = transaction, []
                try:
                    return await handle(request)
                except StoredAnswer as replay:
                    return replay.response

            async def keep(transaction: Transaction, response: Response) -> None:
                request.state.transaction = transaction
                for write in request.state.before_commit:
                    await write(response)

            # Committed, and not sent yet: had that failed, nobody would be told that it worked.
            return await run_in_transaction(request, answer, keep)

        return handle_strictly


def _read_json(body: bytes) -> Any:
    # Before anything is built of them: an attack is nothing but these, and no request of ours has half as many.
    if body.count(b"[") + body.count(b"{") > MAX_NESTING:
        raise _bad("has too many lists and objects")
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
        raise _bad("a name stands twice in an object")
    return members


def _refuse_constant(_name: str) -> None:
    raise _bad("NaN and Infinity are not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _bad("a number is out of range")
    return number


_STRICT = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite)
