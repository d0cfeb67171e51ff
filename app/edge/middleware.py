"""The middleware, in its order."""

from collections.abc import Callable
from uuid import UUID

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI, Request
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp
from uuid_utils.compat import uuid4
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.core.settings import Settings
from app.edge.access_log import AccessLogMiddleware, ServerErrorMiddleware
from app.edge.canonical import CanonicalPathMiddleware
from app.edge.in_flight import InFlightMiddleware
from app.edge.metrics import Metrics
from app.edge.rate_limits import RateLimitMiddleware
from app.http.problems import RenderProblem
from app.http.requests import BodyLimitMiddleware

MAX_BODY_BYTES = 64 * 1024
# The headers of the API that are not on the safelists of CORS.
ALLOWED_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-Request-ID")
EXPOSED_HEADERS = (
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Searched-Until",
    "X-Request-ID",
)


def add_middleware(
    app: FastAPI,
    settings: Settings,
    *,
    render_problem: RenderProblem,
    find_cookie_account: Callable[[Request], UUID | None],
) -> None:
    """Add all middleware to the application.

    Each middleware wraps those added before it, so a request passes the last one first. ``render_problem`` renders
    errors, as JSON or as a page; ``find_cookie_account`` returns the account that a session cookie names.
    """
    app.state.metrics = Metrics()
    # Innermost, so that a 500 is logged and measured, and gets all headers, like every other response.
    app.add_middleware(ServerErrorMiddleware, render_problem=render_problem)
    app.add_middleware(
        InFlightMiddleware,
        limit=settings.max_in_flight_per_client,
        render_problem=render_problem,
        find_cookie_account=find_cookie_account,
    )
    app.add_middleware(RateLimitMiddleware, render_problem=render_problem)
    # Outside of the limits, so that scripts of other origins can read a 429 and its Retry-After.
    if settings.cors_allowed:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_allowed,
            allow_credentials=settings.cors_credentials,
            allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=ALLOWED_HEADERS,
            expose_headers=EXPOSED_HEADERS,
        )
    app.add_middleware(AccessLogMiddleware, metrics=app.state.metrics, production=settings.environment == "production")
    # Outside of the log and the limits: while the rest of a body is discarded, the request is no longer in flight. It
    # raises a 413 where the body is read, so that this is logged like every other response (ADR 0006).
    app.add_middleware(BodyLimitMiddleware, limit=MAX_BODY_BYTES, seconds=settings.request_body_seconds)
    # Outside of the limits, which compare paths literally: a slash at the end must not evade them.
    app.add_middleware(CanonicalPathMiddleware)
    # Outside of the log and the limits, which need the address of the client and not of the proxy.
    if settings.proxies:
        app.add_middleware(_ProxyHeaders, trusted=settings.proxies)
    # A client's own request id is accepted only if it is a UUID in the format of RFC 9562, because it is logged.
    app.add_middleware(
        CorrelationIdMiddleware,
        generator=lambda: str(uuid4()),
        validator=_is_uuid,
        transformer=str.lower,
        update_request_header=False,
    )


def _ProxyHeaders(app: ASGIApp, trusted: tuple[str, ...]) -> ASGIApp:  # noqa: N802 - the factory stands for the class
    return ProxyHeadersMiddleware(app, list(trusted))  # type: ignore[arg-type,return-value] # uvicorn's own ASGI types


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
