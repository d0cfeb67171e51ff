"""The application: settings, resources, middleware, routers and jobs are put together here. It contains no logic."""

import asyncio
import gc
import logging
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from tzdata import IANA_VERSION

from app.adapters.mail import Mailer, bounded, print_mail
from app.core import clock as system_clock
from app.core.clock import Clock
from app.core.dependencies import Resources
from app.core.hash_chain import chain_key
from app.core.logging import logging_to
from app.core.rate_limits import RateLimiter
from app.core.security import Passwords
from app.core.settings import InvalidSettingsError, Settings, read_settings
from app.db.database import Database
from app.db.engine import create_engine
from app.db.schema import UnavailableDatabaseError, UnknownSchemaError, ensure_newest
from app.edge import metrics
from app.edge.connections import Connections, warn_unless_bounded
from app.edge.middleware import add_middleware
from app.edge.startup import run_lifespan
from app.http import problems
from app.jobs import audit_seal, cleanup, next_slot_index, time_zones
from app.jobs.periodic import run_periodically
from app.routers import (
    admin,
    appointments,
    attendance,
    audit,
    auth,
    clinic_patients,
    clinics,
    clock_changes,
    dependants,
    docs,
    doctors,
    email_addresses,
    health,
    holds,
    invitations,
    members,
    patients,
    privacy,
    schedule,
    search,
    second_factor,
    sessions,
    slots,
    suspended_doctors,
    visit_types,
)
from app.services.time_zones import OlderTimeZonesError, register_release
from app.web.kit import problems as problem_pages
from app.web.kit.auth import find_cookie_account
from app.web.routers import PAGE_ROUTERS

log = logging.getLogger(__name__)

# The project is not installed, so importlib.metadata does not know it; the image contains this file, too.
_PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
VERSION: str = _PROJECT["project"]["version"]


@asynccontextmanager
async def open_resources(settings: Settings, clock: Clock, mailer: Mailer | None) -> AsyncIterator[Resources]:
    """Open the resources of the application, and close them at the end of the context.

    Without a ``mailer``, messages are printed. An SQLite database is migrated. Raises ``UnknownSchemaError``,
    ``UnavailableDatabaseError`` or ``OlderTimeZonesError`` if the database cannot be used.
    """
    engine = create_engine(
        settings.database_url,
        pool_size=settings.database_pool_size,
        timeout=settings.database_timeout_seconds,
        prepared_statements=settings.database_prepared_statements,
    )
    passwords = Passwords(settings)
    try:
        # Migrates only SQLite. On PostgreSQL the server may run as a role that owns no tables (ADR 0032).
        await ensure_newest(engine)
        database = Database(engine)
        await register_release(database, allow_older=settings.allow_older_time_zones, now=clock())
        log.info("time zones: IANA %s", IANA_VERSION)
        yield Resources(
            settings,
            database,
            passwords,
            clock,
            bounded(mailer or print_mail),
            RateLimiter(settings),
            sends_mail=mailer is not None,
        )
    finally:
        passwords.close()
        await engine.dispose()


def create_app(
    settings: Settings | None = None, *, clock: Clock = system_clock.now, mailer: Mailer | None = None
) -> FastAPI:
    """Create the application. It connects to the database, and migrates it if it is SQLite, only when it starts."""
    settings = settings or read_settings()
    telemetry = None
    if settings.otel_exporter_otlp_endpoint:
        # Importing the SDK takes time and memory, so import it only if it is used.
        from app.edge.telemetry import Telemetry  # noqa: PLC0415

        telemetry = Telemetry(settings.otel_exporter_otlp_endpoint)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Connections]]:
        readable = settings.environment == "development"
        seal_state = audit_seal.SealState()
        app.state.metrics.show_audit_trail(seal_state)
        with logging_to(sys.stderr, readable=readable, level=settings.log_level):
            log.info(
                "confirmed email addresses are %s; approval of doctors is %s",
                "required" if settings.requires_confirmed_email else "optional",
                "required" if settings.requires_doctor_approval else "open",
            )
            async with (
                open_resources(settings, clock, mailer) as resources,
                # The jobs are inside of the resources, because each runs one last time when the server stops.
                run_periodically(
                    "audit seal",
                    partial(audit_seal.seal_all, resources.database, chain_key(settings.sealing_secret), seal_state),
                    seconds=audit_seal.INTERVAL_SECONDS,
                ),
                run_periodically(
                    "next slot index",
                    partial(next_slot_index.update_next_slots, resources.database, resources.processor, clock),
                    seconds=next_slot_index.INTERVAL_SECONDS,
                ),
                run_periodically(
                    "cleanup", partial(cleanup.clean_up, resources.database, clock), seconds=cleanup.INTERVAL_SECONDS
                ),
                run_periodically(
                    "time zones",
                    partial(time_zones.finish_release, resources.database, clock),
                    seconds=time_zones.INTERVAL_SECONDS,
                ),
            ):
                app.state.resources = resources
                if settings.environment == "production":
                    warn_unless_bounded()
                    if mailer is None:
                        log.warning(
                            "messages are only written to the console, not sent: users can confirm addresses and "
                            "reset passwords only with the codes in this server's output"
                        )
                # A full garbage collection that visits all imported objects stops the server for 100 to 200 ms.
                gc.freeze()
                try:
                    yield {"connections": Connections(settings)}
                finally:
                    gc.unfreeze()
                    if telemetry:
                        # In a thread, because it blocks while the collector does not answer.
                        await asyncio.to_thread(telemetry.shut_down)

    app = FastAPI(
        title="Doctor Appointment API",
        summary="Patients find a doctor's free slots and book them; doctors manage their schedule.",
        description=DESCRIPTION,
        version=VERSION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        # FastAPI's own pages load Swagger UI from a CDN. `docs` serves it from this host.
        docs_url=None,
        redoc_url=None,
        # The name of the route is also the operation in logs and metrics, and the action in the audit trail.
        generate_unique_id_function=lambda route: route.name,
        # A redirect would be built from the Host header, which the client chooses.
        redirect_slashes=False,
        telemetry=telemetry.config if telemetry else {"tracing": False, "metrics": False, "logs": False},
    )
    add_middleware(
        app,
        settings,
        render_problem=problem_pages.render_problem,
        find_cookie_account=find_cookie_account,
    )
    app.router.lifespan = partial(  # type: ignore[method-assign] # it sends the report of a failed start
        run_lifespan, app.router.lifespan, (UnavailableDatabaseError, UnknownSchemaError, OlderTimeZonesError)
    )
    problems.add_handlers(app)
    # After the handlers of the API, because it wraps them.
    problem_pages.add_handlers(app)
    docs.add_documentation(app)
    # A request is matched against the routers in this order, so those with the most requests come first.
    for module in (
        appointments,
        attendance,
        clock_changes,
        slots,
        search,
        doctors,
        holds,
        auth,
        email_addresses,
        invitations,
        sessions,
        second_factor,
        schedule,
        visit_types,
        audit,
        patients,
        dependants,
        privacy,
        clinic_patients,
        clinics,
        members,
        admin,
        suspended_doctors,
        health,
        metrics,
        docs,
    ):
        app.include_router(module.router)
    for router in PAGE_ROUTERS:
        app.include_router(router)
    return app


DESCRIPTION = """
- Instants are RFC 3339 with an offset. Responses always use UTC, and also contain the doctor's `time_zone`.
- Errors are `application/problem+json` (RFC 9457). Clients should evaluate their `code`.
- Lists are arrays. The `Link` header contains the next page.
- After a `503`, repeat the same request after `Retry-After` seconds. Nothing was changed, unless the connection to \
the database was lost during the commit: then the outcome is unknown. Repeat it with the same `Idempotency-Key`.
"""

# One line for each wrong setting, instead of a traceback.
try:
    app = create_app()
except InvalidSettingsError as error:
    sys.exit(str(error))
