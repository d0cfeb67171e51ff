"""The access log, the request metrics and the default headers of responses; and the handling of unexpected errors."""

import logging
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.addresses import UNKNOWN, read_address
from app.edge.metrics import Metrics
from app.http.problems import RenderProblem, server_error_response

# Clients may invent methods. Each would be another label of the metrics, so any other method is ``unknown`` (ADR 0020).
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Added to each response unless its route sets the same header.
DEFAULT_HEADERS = {
    # Responses contain patient data and tokens, which no cache may keep.
    "Cache-Control": "no-store",
    # For responses of the API that are opened in a browser. Pages have a policy of their own (`app/web/kit/pages.py`).
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Paths contain ids, which must not reach other sites.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # The same as `frame-ancestors`, for browsers that do not know it.
    "X-Frame-Options": "DENY",
}
# Only in production, where TLS is certain: a browser would insist on TLS for a developer's machine for a year.
PRODUCTION_HEADERS = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}

log = logging.getLogger(__name__)


class AccessLogMiddleware:
    """Middleware that logs and measures each request, and adds default headers to each response.

    No text that a client sends appears in the log or in a metric label (ADR 0020): the operation is the name of the
    route, and unknown methods, routes and addresses are ``unknown``.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, production: bool) -> None:
        self.app = app
        self.metrics = metrics
        headers = DEFAULT_HEADERS | (PRODUCTION_HEADERS if production else {})
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, then log and measure the request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        ended = 0.0
        status = 0  # 0 when the client disconnected before the response

        async def send_completed(message: Message) -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = int(message["status"])
                present = {name.lower() for name, _ in message["headers"]}
                missing = [header for header in self.headers if header[0] not in present]
                message["headers"] = [*message["headers"], *missing]
            await send(message)
            if not message.get("more_body") and message["type"] == "http.response.body":
                ended = perf_counter()

        with self.metrics.in_flight.track_inprogress():
            try:
                await self.app(scope, receive, send_completed)
            finally:
                # Background tasks, such as mail, run after the response and are not measured.
                self._record(scope, status, (ended or perf_counter()) - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # There is no route if the request was refused before it was matched, or if its path is unknown.
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
    """Middleware that logs an unexpected exception and answers with a 500.

    Starlette's own middleware for this is outside of all others, so its responses would have no default headers, and
    the server would log the exception a second time.
    """

    def __init__(self, app: ASGIApp, *, render_problem: RenderProblem) -> None:
        self.app = app
        self.render_problem = render_problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application.

        If the response has already started when an exception is raised, the exception is passed on: the server then
        logs it and closes the connection.
        """
        has_started = False

        async def send_tracked(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self.app(scope, receive, send_tracked)
        except Exception:
            if has_started or scope["type"] != "http":
                raise
            log.exception("bug")
            await self.render_problem(scope, server_error_response())(scope, receive, send)
