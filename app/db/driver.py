"""A connection as its driver gives it, for what SQLAlchemy takes too long for (ADR 0026)."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, Self

from asyncpg import IntegrityConstraintViolationError, InterfaceError, InternalClientError, PostgresError
from sqlalchemy import Connection, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class Driver:
    """The driver's own calls, on a connection of SQLAlchemy's pool.

    Errors are those that SQLAlchemy would raise: ``IntegrityError`` or another ``DBAPIError``, with the driver's own
    as ``orig``. Whoever listens to the engine's ``before_cursor_execute`` hears of statements with values, too.
    """

    def __init__(self, engine: AsyncEngine, taken: PoolProxiedConnection) -> None:
        self._engine = engine
        self._taken = taken
        self._dispatch: Any = engine.sync_engine.dispatch
        driver: Any = taken.driver_connection
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
        """One that nobody has, as soon as there is one; it is to be given back.

        Whatever a server says instead of letting us in (it is starting, has no connections left, refuses the role, or
        has no such database) is no fault of the request, so the error says that there is no connection.
        """
        try:
            taken = await engine.raw_connection()
        except engine.dialect.loaded_dbapi.Error as error:
            raise DBAPIError("", None, error, hide_parameters=True, connection_invalidated=True) from error
        return cls(engine, taken)

    def release(self) -> None:
        """Lets the next one have it."""
        self._taken.close()

    async def invalidate(self) -> None:
        """Closes the connection, so that nobody else gets it; it is to be given back all the same."""
        await asyncio.shield(self.connection.invalidate())

    @cached_property
    def connection(self) -> AsyncConnection:
        """SQLAlchemy's view of the connection, made for whoever asks for it."""
        return AsyncConnection(self._engine, Connection(self._engine.sync_engine, self._taken))

    async def run(self, sql: str) -> Any:
        """Sends a statement without values; returns what the driver says of it."""
        return await self._translate(self._run(sql), sql)

    async def fetch(self, sql: str, values: Sequence[Any]) -> Iterable[Iterable[Any]]:
        """The rows that a statement returns."""
        for listener in self._dispatch.before_cursor_execute:
            listener(None, None, sql, values, None, False)
        rows: Iterable[Iterable[Any]] = await self._translate(self._fetch(sql, *values), sql)
        return rows

    async def send(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Runs a statement that returns nothing, once with each of some values."""
        for listener in self._dispatch.before_cursor_execute:
            listener(None, None, sql, rows, None, True)
        await self._translate(self._many(sql, rows), sql)

    async def _translate(self, sent: Awaitable[Any], sql: str) -> Any:
        try:
            return await sent
        except TimeoutError:
            # Only asyncpg raises it, when the server does not answer. A ROLLBACK would wait for as long again.
            self._driver.terminate()
            raise
        except (PostgresError, InterfaceError, InternalClientError, sqlite3.Error) as error:
            violated = isinstance(error, (IntegrityConstraintViolationError, sqlite3.IntegrityError))
            raise (IntegrityError if violated else DBAPIError)(sql, None, error, hide_parameters=True) from error
