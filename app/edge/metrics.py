"""Metrics for Prometheus, protected by a token."""

from hmac import compare_digest
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Request, Response
from prometheus_client import CollectorRegistry, Gauge, Histogram, Info
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from tzdata import IANA_VERSION

from app.core.dependencies import AppResources, Public
from app.core.errors import DomainError
from app.core.hash_chain import GENESIS_HASH
from app.jobs import audit_seal

router = APIRouter(include_in_schema=False)


class Metrics:
    """The metrics of one application. They have a registry of their own, so one process can run several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.in_flight = Gauge("http_requests_in_flight", "Requests in progress.", registry=self.registry)
        self.seconds = Histogram(
            "http_request_seconds",
            "Time until the response was sent, by operation, method and status.",
            ("operation", "method", "status"),
            registry=self.registry,
        )
        Info("time_zone_data", "The time-zone data in use.", registry=self.registry).info({"version": IANA_VERSION})
        self._audit_trail = audit_seal.SealState()
        head = Gauge("audit_head_position", "The last sealed event of the audit trail.", registry=self.registry)
        archived = Gauge("audit_archived_position", "The last archived event.", registry=self.registry)
        failing = Gauge("audit_sealing_failing", "1 if the last attempt to seal has failed.", registry=self.registry)
        head.set_function(lambda: (self._audit_trail.head or GENESIS_HASH).position)
        archived.set_function(lambda: self._audit_trail.archived)
        failing.set_function(lambda: self._audit_trail.failing)

    def show_audit_trail(self, state: audit_seal.SealState) -> None:
        """Show the state of the audit trail in the metrics. docs/audit.md says what to alert on."""
        self._audit_trail = state


@router.get("/metrics")
async def metrics(
    request: Request, resources: AppResources, _: Public, authorization: Annotated[str, Header()] = ""
) -> Response:
    """Return the metrics in the text format of Prometheus. They need `METRICS_TOKEN`; 404 if it is not set."""
    token = resources.settings.metrics_token.get_secret_value()
    if not token:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    # In constant time, so that the token cannot be guessed byte by byte. Encoded, because text would have to be ASCII.
    if not compare_digest(authorization.encode(), f"Bearer {token}".encode()):
        raise DomainError("not_authenticated")
    found: Metrics = request.app.state.metrics
    return Response(generate_latest(found.registry), media_type=CONTENT_TYPE_LATEST)
