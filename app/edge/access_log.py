"""What is seen of each request: one line in the log, one measurement, and headers on the answer."""

import logging
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.addresses import UNKNOWN, read_address
from app.edge.metrics import Metrics
from app.http.problems import RenderProblem, server_error_response

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# What an answer says unless its route says otherwise.
DEFAULT_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# Only where TLS is certain; a browser would hold a machine of a developer to it for a year.
PRODUCTION_HEADERS = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}

log = logging.getLogger(__name__)


class AccessLogMiddleware:
    """Middleware that logs and measures each request by its operation, and completes the headers of each answer.

    Nothing that a client writes comes into the log or into a label: the operation is the name of the route, and what
    is not known is ``unknown``.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, production: bool) -> None:
        self.app = app
        self.metrics = metrics
        headers = DEFAULT_HEADERS | (PRODUCTION_HEADERS if production else {})
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, and looks at what comes of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        ended = 0.0
        status = 0  # stays if nobody was there any more to be answered

        async def send_completed(message: Message) -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = int(message["status"])
                said = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(each for each in self.headers if each[0] not in said)]
            await send(message)
            if not message.get("more_body") and message["type"] == "http.response.body":
                ended = perf_counter()

        with self.metrics.in_flight.track_inprogress():
            try:
                await self.app(scope, receive, send_completed)
            finally:
                # Without what was left for after the answer, such as mail.
                self._note(scope, status, (ended or perf_counter()) - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        operation = getattr(scope.get("route"), "name", None) or UNKNOWN
        method = scope["method"] if scope["method"] in METHODS else UNKNOWN
        self.metrics.seconds.labels(operation, method, status).observe(seconds)
        client = read_address(scope["client"][0] if scope["client"] else None)
        code = scope.get("state", {}).get("code")
        log.info(
            "request",
            extra={
                "method": method,
                "operation": operation,
                "status": status,
                "duration_ms": round(seconds * 1000, 1),
                "client": str(client or UNKNOWN),
                **({"code": code} if code else {}),
            },
        )


class ServerErrorMiddleware:
    """Middleware that answers an exception that nobody expected, and logs it, once.

    The framework's own stands outside all others: its answers would have no headers, and the server would log again.
    """

    def __init__(self, app: ASGIApp, *, render_problem: RenderProblem) -> None:
        self.app = app
        self.render_problem = render_problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on; if the answer has begun it cannot be mended, and the server logs and hangs up."""
        begun = False

        async def send_noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        except Exception:
            if begun or scope["type"] != "http":
                raise
            log.exception("bug")
            await self.render_problem(scope, server_error_response())(scope, receive, send)
