"""Statements that are made once and run with every request, by the driver itself (ADR 0025).

SQLAlchemy writes the SQL and says how values pass to the database and back. That is done once; what it does anew for
each execution, beside that, takes several times as long as the driver.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from asyncpg import IntegrityConstraintViolationError, InterfaceError, PostgresError
from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.compiler import SQLCompiler

type Values = Mapping[str, Any]

_DRIVER = "driver"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that is the same every time but for its parameters.

    An INSERT or an UPDATE writes the columns that are among the names of the values. It cannot have lists for an
    ``IN``, nor columns with a default that SQLAlchemy would have to fill in.
    """

    statement: Select[*tuple[Any, ...]] | Insert | Update | Delete
    _compiled: dict[tuple[Dialect, tuple[str, ...]], "_Compiled"] = field(default_factory=dict, init=False, repr=False)

    def compiled(self, dialect: Dialect, names: tuple[str, ...]) -> "_Compiled":
        """How it is sent with values of these names."""
        key = dialect, names
        if (found := self._compiled.get(key)) is None:
            found = self._compiled[key] = _compile(self.statement, dialect, names)
        return found


async def fetch(session: AsyncSession, prepared: Prepared, values: Values) -> list[Any]:
    """The rows that the statement returns, as named tuples.

    Raises what SQLAlchemy would raise: ``IntegrityError`` or another ``DBAPIError``, with the driver's own as ``orig``.
    """
    driver: _Driver | None = session.info.get(_DRIVER)
    if driver is None:
        result = await session.execute(prepared.statement, values)
        _find_driver(session)
        return list(result) if prepared.statement.exported_columns else []
    compiled = prepared.compiled(driver.connection.dialect, tuple(values))
    bound = compiled.bind(values)
    with _announced(driver.connection, compiled.sql, bound):
        return [compiled.read(row) for row in await driver.fetch(compiled.sql, bound)]


async def send(session: AsyncSession, prepared: Prepared, rows: Sequence[Values]) -> None:
    """Runs a statement that returns nothing once for each of some values, all of the same names.

    Raises what ``fetch`` raises.
    """
    if len(rows) == 1:
        await fetch(session, prepared, rows[0])
        return
    driver: _Driver | None = session.info.get(_DRIVER)
    if driver is None:
        await session.execute(prepared.statement, rows)
        _find_driver(session)
        return
    compiled = prepared.compiled(driver.connection.dialect, tuple(rows[0]))
    bound = [compiled.bind(values) for values in rows]
    with _announced(driver.connection, compiled.sql, bound, many=True):
        await driver.send(compiled.sql, bound)


@dataclass(frozen=True, slots=True)
class _Driver:
    connection: Connection
    fetch: Callable[[str, Sequence[Any]], Awaitable[Iterable[Iterable[Any]]]]
    send: Callable[[str, Sequence[Sequence[Any]]], Awaitable[object]]


def _find_driver(session: AsyncSession) -> None:
    # The first statement of a transaction goes all the way through SQLAlchemy, which takes a connection and begins.
    connection = session.sync_session.connection()
    driver: Any = connection.connection.driver_connection
    fetch = driver.execute_fetchall if connection.dialect.name == "sqlite" else _spreading(driver.fetch)
    session.info[_DRIVER] = _Driver(connection, fetch, driver.executemany)


def _spreading(fetch: Callable[..., Awaitable[Iterable[Iterable[Any]]]]) -> Any:
    return lambda sql, bound: fetch(sql, *bound)


@contextmanager
def _announced(connection: Connection, sql: str, bound: Sequence[Any], *, many: bool = False) -> Iterator[None]:
    """Tells whoever listens to SQLAlchemy's statements of this one, and makes its errors of the driver's."""
    for listener in connection.dispatch.before_cursor_execute:
        listener(connection, None, sql, bound, None, many)
    try:
        yield
    except (PostgresError, InterfaceError, sqlite3.Error) as error:
        violated = isinstance(error, (IntegrityConstraintViolationError, sqlite3.IntegrityError))
        translated = IntegrityError if violated else DBAPIError
        raise translated(sql, None, error, hide_parameters=True) from error


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    parameters: Sequence[tuple[str, Callable[[Any], Any] | None]]
    constants: Values
    processed: Sequence[tuple[int, Callable[[Any], Any]]]
    """Where in a row there is something that is not yet what it stands for."""
    make_row: Callable[[Iterable[Any]], Any]

    def bind(self, values: Values) -> list[Any]:
        known = {**self.constants, **values}
        return [process(known[name]) if process else known[name] for name, process in self.parameters]

    def read(self, row: Iterable[Any]) -> Any:
        if not self.processed:
            return self.make_row(row)
        read = list(row)
        for place, process in self.processed:
            read[place] = process(read[place])
        return self.make_row(read)


def _compile(statement: Any, dialect: Dialect, names: tuple[str, ...]) -> _Compiled:
    compiled = cast("SQLCompiler", statement.compile(dialect=dialect, column_keys=names))
    types = {name: bind.type.dialect_impl(dialect) for bind, name in compiled.bind_names.items()}
    columns = list(statement.exported_columns)
    processors = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
    # A class of its own for each statement, whose columns are known here alone.
    row: Any = namedtuple("Row", [column.key or "" for column in columns], rename=True)  # type: ignore[misc]  # noqa: PYI024
    return _Compiled(
        compiled.string,
        [(name, types[name].bind_processor(dialect)) for name in compiled.positiontup or ()],
        {name: bind.value for bind, name in compiled.bind_names.items() if not bind.required},
        [(place, process) for place, process in enumerate(processors) if process],
        row._make,
    )
