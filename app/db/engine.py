"""The engine: pools, time-outs, and how transactions begin on each database."""

from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool


def create_engine(url: str, *, pool_size: int, timeout: int, statement_timeout: int | None = None) -> AsyncEngine:
    """An engine for ``url``; nothing is connected yet.

    ``timeout`` (seconds) bounds every wait: for a connection of the pool, to connect, for a lock, and for a statement.
    A server that no longer answers at all is given up after twice that. ``statement_timeout``, where it is given, holds
    for locks and statements instead.
    """
    options: dict[str, Any] = {
        "poolclass": AsyncAdaptedQueuePool,
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": timeout,
        "hide_parameters": True,  # they are names, addresses and hashes, and errors are logged
    }
    if make_url(url).get_backend_name() == "sqlite":
        engine = create_async_engine(url, connect_args={"timeout": timeout}, **options)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    statement_timeout = statement_timeout or timeout
    milliseconds = str(statement_timeout * 1000)
    return create_async_engine(
        url,
        connect_args={
            "timeout": timeout,
            "command_timeout": statement_timeout * 2,
            "server_settings": {
                "application_name": "doctor-appointments",
                "timezone": "UTC",
                "lock_timeout": milliseconds,
                "statement_timeout": milliseconds,
                "idle_in_transaction_session_timeout": str(statement_timeout * 4000),
                # Whatever the server's default: under REPEATABLE READ a lost race is an error, not an answer.
                "default_transaction_isolation": "read committed",
                "jit": "off",  # statements here take less time than compiling one
            },
        },
        **options,
    )


def for_reading(engine: AsyncEngine) -> AsyncEngine:
    """The same engine and pool, in transactions that cannot write."""
    return engine.execution_options(**({"postgresql_readonly": True} if is_postgresql(engine) else {}))


def for_writing(engine: AsyncEngine) -> AsyncEngine:
    """The same engine and pool, in transactions that are sure to be able to write once they have begun."""
    return engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")


def is_postgresql(engine: AsyncEngine) -> bool:
    """Whether the server is PostgreSQL; the other one is SQLite."""
    return engine.dialect.name == "postgresql"


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions by itself, too late and without a lock; _begin_sqlite does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer that begins as a reader finds "database is locked" when it comes to write: it must queue at the start.
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
