"""Canonical methods and paths of requests."""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class CanonicalPathMiddleware:
    """Middleware that answers ``HEAD`` like ``GET`` without a body, and ignores one slash at the end of a path.

    RFC 9110 section 9.3.2 requires this of ``HEAD``. The slash is removed without a redirect, because a redirect would
    be built from the ``Host`` header. Only one literal slash is removed: ``//`` and ``%2F`` make a different path.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with the canonical request."""
        if scope["type"] == "http":
            changes: dict[str, Any] = {}
            if _ends_with_slash(scope):
                changes = {"path": scope["path"][:-1], "raw_path": scope["raw_path"][:-1]}
            if scope["method"] == "HEAD":
                # Change a copy of the scope: the server needs the original method, because the response to a HEAD has a
                # length but no body.
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
        # The headers stay as they are, Content-Length included: a HEAD has those of the GET (RFC 9110 section 9.3.2).
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
