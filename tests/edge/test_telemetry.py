"""Traces and metrics by OTLP, and instrumentation by third-party tools."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.people import PASSWORD, Person
from tests.servers import Server, clients, serve

pytestmark = pytest.mark.slow

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Collector(HTTPServer):
    """An OpenTelemetry collector that stores what it receives."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.traces: list[bytes] = []
        self.metrics: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def list_spans(self) -> list[tuple[str, str]]:
        """Return the name and the trace of each span."""
        return [
            (span.name, span.trace_id.hex())
            for body in self.traces
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def list_metric_names(self) -> set[str]:
        return {
            metric.name
            for body in self.metrics
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        import gzip  # noqa: PLC0415 - the exporter may compress

        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        {"/v1/traces": self.server.traces, "/v1/metrics": self.server.metrics}[self.path].append(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def start_collector() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()


async def send_requests(server: Server) -> list[str]:
    """Register, log in, fail and search; return the texts that no trace may contain."""
    async with clients([server]) as [client]:
        doctor = await Person.register(client, "doctor", email="secret-address@example.com")
        response = await client.get(
            "/doctors?q=secret-name",
            headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "tracestate": "secret=state"},
        )
        assert response.status_code == 200
        assert (await client.get("/secret-path?token=secret-token")).status_code == 404
        assert (await client.get("/doctors", headers={"Host": "secret-host.example:4242"})).status_code == 200
        assert (await client.post("/auth/login", data={"username": "secret-login", "password": "x"})).status_code == 401
        assert (await doctor.get("/auth/me")).status_code == 200
    return ["secret", "4242", PASSWORD, doctor.token]


async def test_traces_and_metrics_sent_to_the_collector_contain_no_client_text(database_url: str) -> None:
    with start_collector() as collector:
        async with serve(database_url, 1, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as [server]:
            secrets = await send_requests(server)
        # The server sends the rest of its spans when it stops.
        spans = collector.list_spans()
        names = {name for name, _ in spans}
        assert {"POST /auth/register", "GET /doctors", "GET /auth/me", "fastapi.endpoint"} <= names
        assert not [name for name in names if "readyz" in name]
        assert TRACE not in {trace for _, trace in spans}
        assert "http.server.request.duration" in collector.list_metric_names()
        sent = b"".join(collector.traces + collector.metrics)
        assert [secret for secret in secrets if secret.encode() in sent] == []


async def test_server_works_if_the_collector_is_unreachable(database_url: str) -> None:
    endpoint = "http://127.0.0.1:9"
    async with (
        asyncio.timeout(120),
        serve(
            database_url, 1, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_TIMEOUT="1", LOG_LEVEL="error"
        ) as [server],
    ):
        await send_requests(server)


@pytest.mark.parametrize("instrumentation", ["sentry", "opentelemetry"])
async def test_server_works_with_third_party_instrumentation(database_url: str, instrumentation: str) -> None:
    async with serve(
        database_url,
        1,
        app="tests.edge.instrumented:app",
        INSTRUMENTATION=instrumentation,
    ) as [server]:
        await send_requests(server)
