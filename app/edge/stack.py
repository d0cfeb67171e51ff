"""The middlewares, in their order."""

from uuid import UUID

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp
from uuid_utils.compat import uuid4
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.core.settings import Settings
from app.edge.canonical import Canonical
from app.edge.in_flight import InFlight
from app.edge.limits import RateLimits
from app.edge.metrics import Metrics
from app.edge.watching import Bugs, Watch
from app.routers.requests import BodyLimit

MAX_BODY_BYTES = 64 * 1024
# Whatever the API reads and says beyond what every browser lets through.
READ = ("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-Request-ID")
SAID = (
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Searched-Until",
    "X-Request-ID",
)


def add_edge(app: FastAPI, settings: Settings) -> None:
    """Puts everything around the application that a request passes before its route; each wraps those above it."""
    app.state.metrics = Metrics()
    app.add_middleware(Bugs)
    app.add_middleware(InFlight, limit=settings.max_in_flight_per_client)
    app.add_middleware(RateLimits)
    if settings.cors_allowed:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_allowed,
            allow_credentials=settings.cors_credentials,
            allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=READ,
            expose_headers=SAID,
        )
    app.add_middleware(Watch, metrics=app.state.metrics, production=settings.environment == "production")
    app.add_middleware(BodyLimit, limit=MAX_BODY_BYTES, seconds=settings.request_body_seconds)
    app.add_middleware(Canonical)
    if settings.proxies:
        app.add_middleware(_ProxyHeaders, trusted=settings.proxies)
    # A client's own id is taken over if it is a UUID as RFC 9562 writes it: whatever else it writes is not for our log.
    app.add_middleware(
        CorrelationIdMiddleware,
        generator=lambda: str(uuid4()),
        validator=_is_uuid,
        transformer=str.lower,
        update_request_header=False,
    )


def _ProxyHeaders(app: ASGIApp, trusted: tuple[str, ...]) -> ASGIApp:  # noqa: N802 - the factory stands for the class
    # uvicorn has types of its own for the same protocol.
    return ProxyHeadersMiddleware(app, list(trusted))  # type: ignore[arg-type,return-value]


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
