"""Requests in the one form that routes know."""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class CanonicalPathMiddleware:
    """Middleware that answers ``HEAD`` as ``GET`` without the body, and a path that ends with a slash as without it.

    RFC 9110 section 9.3.2 asks for the former. A slash is dropped and not redirected: a redirect would be built from
    the ``Host`` header. Only one is, and only one that was sent as such: ``//`` and ``%2F`` are other paths.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on in its canonical form."""
        if scope["type"] == "http":
            changes: dict[str, Any] = {}
            if _ends_with_slash(scope):
                changes = {"path": scope["path"][:-1], "raw_path": scope["raw_path"][:-1]}
            if scope["method"] == "HEAD":
                # The server has to see the method that was sent: the answer to a HEAD has a length and no body.
                changes["method"] = "GET"
                send = _without_body(send)
            scope = {**scope, **changes} if changes else scope
        await self.app(scope, receive, send)


def _ends_with_slash(scope: Scope) -> bool:
    path: str = scope["path"]
    raw_path: bytes = scope.get("raw_path") or b""
    below_root = path.removeprefix(scope.get("root_path", ""))
    return len(below_root) > 1 and raw_path.endswith(b"/") and not path.endswith("//")


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
