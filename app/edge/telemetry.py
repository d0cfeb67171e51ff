"""Traces and metrics by OpenTelemetry, sent to a collector by OTLP over HTTP.

FastAPI makes the spans and the metrics. Nothing that a client writes leaves the process with them (ADR 0020).
"""

from collections.abc import MutableMapping
from typing import Any, override

from fastapi.telemetry import TelemetryConfig
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from app.edge.rate_limits import UNLIMITED_PATHS

REDACTED_ATTRIBUTES = ("http.request.method_original", "server.address", "server.port", "url.path", "url.query")
"""Attributes of a span that contain what a client has sent. The route is recorded as ``http.route``."""


class Telemetry:
    """The providers of traces and metrics, and the configuration with which FastAPI uses them."""

    def __init__(self, endpoint: str) -> None:
        """Send to the collector at ``endpoint``, a URL without a path.

        The SDK reads its other settings from the standard variables, such as ``OTEL_SERVICE_NAME`` and
        ``OTEL_EXPORTER_OTLP_HEADERS``.
        """
        # The default also continues `baggage`, which may be any text that a client sends.
        propagate.set_global_textmap(_NewTracePropagator([]))
        # The lifespan of the application shuts the providers down.
        self._tracers = TracerProvider(shutdown_on_exit=False)
        self._tracers.add_span_processor(_RedactingProcessor())
        self._tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics"))
        self._meters = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
        self.config: TelemetryConfig = {
            "tracer_provider": self._tracers,
            "meter_provider": self._meters,
            "logs": False,  # they would contain the texts of exceptions
            "auto_configure": False,
            "exclude": _is_probe,
        }

    def shut_down(self) -> None:
        """Send what is left and stop the threads; blocks while a collector does not answer."""
        self._tracers.shutdown()
        self._meters.shutdown()


class _NewTracePropagator(CompositePropagator):
    """Begins a new trace with each request.

    Otherwise a client could send any bytes as the ids of a trace, and decide whether its requests are recorded.
    """

    @override
    def extract(self, *args: Any, **kwargs: Any) -> Context:
        return Context()


class _RedactingProcessor(SpanProcessor):
    """Overwrites what a client has sent, before anything is exported."""

    @override
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        for name in REDACTED_ATTRIBUTES:
            if name in (span.attributes or {}):
                span.set_attribute(name, "REDACTED")


def _is_probe(scope: MutableMapping[str, Any]) -> bool:
    return scope["path"] in UNLIMITED_PATHS
