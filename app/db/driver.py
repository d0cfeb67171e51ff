"""Calls to the database driver itself, for statements that run with every request (ADR 0025, ADR 0026)."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, Self

from asyncpg import IntegrityConstraintViolationError, InterfaceError, InternalClientError, PostgresError
from sqlalchemy import Connection, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

type Observer = Callable[[str, Sequence[Any]], None]

observers: list[Observer] = []
"""Called with each statement and its parameters before it is sent; for tests and benchmarks.

The engine's events are not fired for these statements. Their listeners expect a cursor and an execution context, which
do not exist here: those of Sentry and OpenTelemetry fail without them.
"""


class Driver:
    """The driver's own calls, on a connection of SQLAlchemy's pool.

    Raises what SQLAlchemy would raise: ``IntegrityError`` or another ``DBAPIError``, with the driver's error as
    ``orig``.
    """

    def __init__(self, engine: AsyncEngine, proxied: PoolProxiedConnection) -> None:
        self._engine = engine
        self._proxied = proxied
        driver: Any = proxied.driver_connection
        self._driver = driver
        self._fetch: Callable[..., Awaitable[Any]]
        self._run: Callable[[str], Awaitable[Any]]
        self._many: Callable[[str, Sequence[Sequence[Any]]], Awaitable[Any]] = driver.executemany
        if engine.dialect.name == "sqlite":
            self._run, self._fetch = driver.execute_fetchall, lambda sql, *bound: driver.execute_fetchall(sql, bound)
        else:
            self._run, self._fetch = driver.execute, driver.fetch

    @classmethod
    async def acquire(cls, engine: AsyncEngine) -> Self:
        """Take a connection from the pool, as soon as one is free; ``release`` returns it.

        A server may refuse the connection: it is starting, has no connections left, refuses the role, or lacks the
        database. None of this is an error of the request, so it is reported as a lost connection.
        """
        try:
            proxied = await engine.raw_connection()
        except engine.dialect.loaded_dbapi.Error as error:
            raise DBAPIError("", None, error, hide_parameters=True, connection_invalidated=True) from error
        return cls(engine, proxied)

    def release(self) -> None:
        """Return the connection to the pool."""
        self._proxied.close()

    async def invalidate(self) -> None:
        """Close the connection, so that it is not used again. It must still be released."""
        # Shielded, because a request that is cancelled must still close its connection.
        await asyncio.shield(self.connection.invalidate())

    @cached_property
    def connection(self) -> AsyncConnection:
        """The same connection as an ``AsyncConnection`` of SQLAlchemy."""
        return AsyncConnection(self._engine, Connection(self._engine.sync_engine, self._proxied))

    async def run(self, sql: str) -> Any:
        """Send a statement without parameters; returns the driver's status."""
        return await self._translate(self._run(sql), sql)

    async def fetch(self, sql: str, values: Sequence[Any]) -> Iterable[Iterable[Any]]:
        """Run a statement and return its rows."""
        for observe in observers:
            observe(sql, values)
        rows: Iterable[Iterable[Any]] = await self._translate(self._fetch(sql, *values), sql)
        return rows

    async def send(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement that returns no rows, once for each row of parameters."""
        for observe in observers:
            observe(sql, rows)
        await self._translate(self._many(sql, rows), sql)

    async def _translate(self, sent: Awaitable[Any], sql: str) -> Any:
        try:
            return await sent
        except TimeoutError:
            # asyncpg raises this when the server does not answer. A ROLLBACK would wait just as long again.
            self._driver.terminate()
            raise
        except (PostgresError, InterfaceError, InternalClientError, sqlite3.Error) as error:
            violated = isinstance(error, (IntegrityConstraintViolationError, sqlite3.IntegrityError))
            raise (IntegrityError if violated else DBAPIError)(sql, None, error, hide_parameters=True) from error
