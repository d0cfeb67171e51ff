"""Create empty databases with the newest schema for tests, and the settings of tests."""

import os
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import Table, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.settings import OFF, Settings
from app.db import schema
from app.db.database import Transaction
from app.db.engine import create_engine
from app.models import User

UNLIMITED: dict[str, Any] = {
    "rate_limit_per_address": OFF,
    "rate_limit_login": OFF,
    "rate_limit_per_account": OFF,
    "max_in_flight_per_client": 100_000,
    "max_search_seconds": 60,
    "max_connections_per_address": 1000,
    "max_upcoming_visits_per_doctor": 0,
    "max_upcoming_visits": 0,
    "max_cancellations_per_day": 0,
}


def settings_for(url: str, **changes: Any) -> Settings:
    """Return the default settings, with cheap hashing and without limits, unless ``changes`` set them.

    Hashing would otherwise take most of the time of the suite. Tests send more requests than one client may.
    """
    cheap: dict[str, Any] = {"password_memory_kib": 8, "password_passes": 1, "log_level": "warning"}
    return Settings(_env_file=None, database_url=url, **cheap | UNLIMITED | changes)


def both_databases(group: str) -> list[object]:
    """Return both databases as parameters of a module's fixture. Tests of one database run in the same worker."""
    return [
        pytest.param(backend, marks=pytest.mark.xdist_group(f"{group} on {backend}"))
        for backend in ("sqlite", "postgresql")
    ]


NO_POSTGRESQL = "TEST_NO_POSTGRESQL"
"""The environment variable with the reason why there is no PostgreSQL server."""


@asynccontextmanager
async def open_engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(url, pool_size=5, timeout=10)
    try:
        yield engine
    finally:
        await engine.dispose()


async def migrate(url: str) -> str:
    async with open_engine(url) as engine:
        await schema.upgrade(engine)
    return url


async def create_postgresql(name: str) -> str:
    """Create an empty database on the test server, replace one with the same name, and return its URL."""
    await _administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
    return _server().set(database=name).render_as_string(hide_password=False)


@asynccontextmanager
async def temporary_postgresql() -> AsyncIterator[str]:
    """Create an empty database on the test server, and drop it at the end."""
    name = f"tests_{uuid4().hex}"
    try:
        yield await create_postgresql(name)
    finally:
        await _administer(f'DROP DATABASE "{name}" WITH (FORCE)')


def _server() -> URL:
    if reason := os.environ.get(NO_POSTGRESQL):
        pytest.skip(reason)
    return make_url(os.environ["TEST_DATABASE_URL"])


async def _administer(*statements: str) -> None:
    async with open_engine(_server().render_as_string(hide_password=False)) as engine, engine.connect() as connection:
        autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in statements:
            await autocommit.execute(text(statement))


async def bypass_audit_guard(transaction: Transaction) -> None:
    """Let this transaction change the audit trail, which triggers prevent otherwise."""
    if transaction.dialect.name == "postgresql":
        # Only a superuser may set this. It disables triggers.
        await transaction.execute(text("SET LOCAL session_replication_role = replica"))
    else:
        for change in ("insert", "update", "delete"):
            await transaction.execute(text(f"DROP TRIGGER IF EXISTS audit_events_{change}"))


TABLES = User.metadata.sorted_tables
"""In an order that satisfies the foreign keys."""


async def delete_all_rows(url: str) -> None:
    """Delete all rows of a PostgreSQL database. For few rows this is faster than TRUNCATE."""
    # As replica, because the triggers of the audit trail would refuse to delete its events.
    await run_script(
        url, ["SET LOCAL session_replication_role = replica", *(f"DELETE FROM {table}" for table in TABLES)]
    )


async def run_script(url: str, statements: Iterable[str]) -> None:
    """Run the statements in one transaction and, on PostgreSQL, in one round trip."""
    script = ";".join(["BEGIN", *statements, "COMMIT"])
    if is_sqlite(url):
        with closing(sqlite3.connect(make_url(url).database or "")) as connection:
            connection.executescript(script)
    else:
        async with open_driver(url) as connection:
            await connection.execute(script)


async def dump_rows(url: str) -> list[str]:
    """Return an ``INSERT`` statement for each row of the database, in an order that satisfies the foreign keys."""
    if is_sqlite(url):
        with closing(sqlite3.connect(make_url(url).database or "")) as connection:
            return [row for table in TABLES for (row,) in connection.execute(_select_inserts(table))]
    selects = (
        f"SELECT format('INSERT INTO {table} SELECT * FROM json_populate_record(NULL::{table}, %L)', "
        f"row_to_json({table})) FROM {table}"
        for table in TABLES
    )
    async with open_driver(url) as connection:
        return [row for (row,) in await connection.fetch(" UNION ALL ".join(selects))]


def _select_inserts(table: Table) -> str:
    names = ", ".join(column.name for column in table.columns)
    values = " || ', ' || ".join(f"quote({column.name})" for column in table.columns)
    return f"SELECT 'INSERT INTO {table} ({names}) VALUES (' || {values} || ')' FROM {table}"


def is_sqlite(url: str) -> bool:
    return make_url(url).get_backend_name() == "sqlite"


@asynccontextmanager
async def open_driver(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect to PostgreSQL without SQLAlchemy."""
    dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()
