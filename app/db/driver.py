"""A connection as its driver gives it, for what SQLAlchemy takes too long for (ADR 0026)."""

import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from asyncpg import IntegrityConstraintViolationError, InterfaceError, PostgresError
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection


class Driver:
    """The driver's own calls, on a connection that SQLAlchemy has taken from its pool.

    Errors are those that SQLAlchemy would raise: ``IntegrityError`` or another ``DBAPIError``, with the driver's own
    as ``orig``. Whoever listens to its ``before_cursor_execute`` hears of statements with values, too.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        taken: Any = connection.sync_connection
        driver = taken.connection.driver_connection
        self._connection = taken
        self._listeners = taken.dispatch.before_cursor_execute
        self._fetch: Callable[..., Awaitable[Any]]
        self._run: Callable[[str], Awaitable[Any]]
        self._many: Callable[[str, Sequence[Sequence[Any]]], Awaitable[Any]] = driver.executemany
        if connection.dialect.name == "sqlite":
            self._run, self._fetch = driver.execute_fetchall, lambda sql, *bound: driver.execute_fetchall(sql, bound)
        else:
            self._run, self._fetch = driver.execute, driver.fetch

    async def run(self, sql: str) -> Any:
        """Sends a statement without values; returns what the driver says of it."""
        return await _translated(self._run(sql), sql)

    async def fetch(self, sql: str, values: Sequence[Any]) -> Iterable[Iterable[Any]]:
        """The rows that a statement returns."""
        for listener in self._listeners:
            listener(self._connection, None, sql, values, None, False)
        rows: Iterable[Iterable[Any]] = await _translated(self._fetch(sql, *values), sql)
        return rows

    async def send(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Runs a statement that returns nothing, once with each of some values."""
        for listener in self._listeners:
            listener(self._connection, None, sql, rows, None, True)
        await _translated(self._many(sql, rows), sql)


async def _translated(sent: Awaitable[Any], sql: str) -> Any:
    try:
        return await sent
    except (PostgresError, InterfaceError, sqlite3.Error) as error:
        violated = isinstance(error, (IntegrityConstraintViolationError, sqlite3.IntegrityError))
        raise (IntegrityError if violated else DBAPIError)(sql, None, error, hide_parameters=True) from error
