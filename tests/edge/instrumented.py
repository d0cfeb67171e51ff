"""The application, instrumented by the tool that ``INSTRUMENTATION`` names; see ``tests/edge/test_telemetry.py``."""

import os

if os.environ["INSTRUMENTATION"] == "sentry":
    import sentry_sdk

    # Nothing listens at this address, so events are lost.
    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", traces_sample_rate=1.0)
else:
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
    from opentelemetry.sdk.trace import TracerProvider

    # Its package metadata does not name SQLAlchemy 2.1 yet.
    SQLAlchemyInstrumentor().instrument(tracer_provider=TracerProvider(), skip_dep_check=True)

from app.main import app

__all__ = ["app"]
