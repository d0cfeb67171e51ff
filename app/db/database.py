"""Transactions. This is the only module that begins, commits and rolls back."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, overload

from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy import Connection, CursorResult, Dialect, Executable, ScalarResult
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.selectable import TypedReturnsRows

from app.core.errors import DomainError
from app.core.fair_locks import ClientFairLock, current_client
from app.db.driver import Driver
from app.db.engine import POOL_TIMEOUT, TRANSACTION_SETTINGS, DatabaseFile, is_postgresql
from app.db.lock_queues import LockPermits, LockQueueFull, LockQueues
from app.db.prepared import Prepared, Values

type Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Transaction:
    """One transaction. It takes a connection and begins when its first statement is run.

    ``execute``, ``scalar`` and ``scalars`` work like those of SQLAlchemy's ``AsyncConnection``. Statements that run
    with every request are ``Prepared``, and are sent by the driver (ADR 0026).
    """

    def __init__(
        self,
        engine: AsyncEngine,
        file: DatabaseFile,
        begin: str,
        *,
        reads: bool = False,
        turns: ClientFairLock | None = None,
        permits: LockPermits | None = None,
    ) -> None:
        self.dialect: Dialect = engine.dialect
        self.permits = permits
        self._turns = turns
        self._turn = AsyncExitStack()
        self._engine = engine
        self._file = file
        self._begin = begin
        self._reads = reads
        self._driver: Driver | None = None

    async def connection(self) -> AsyncConnection:
        """Return the connection, with the transaction begun. Do not commit or roll back on it."""
        return (self._driver or await self._open()).connection

    async def run_sync[T](self, function: Callable[[Connection], T]) -> T:
        """Call ``function``, such as a migration, with a synchronous SQLAlchemy connection; return its result."""
        connection = await self.connection()
        if not connection.in_transaction():
            # Without this, Alembic begins a transaction itself and commits it.
            await connection.begin()
        return await connection.run_sync(function)

    @overload
    async def execute[*Ts](
        self, statement: TypedReturnsRows[*Ts], parameters: Parameters = None
    ) -> CursorResult[*Ts]: ...
    @overload
    async def execute(self, statement: Executable, parameters: Parameters = None) -> CursorResult[*tuple[Any, ...]]: ...
    async def execute(self, statement: Any, parameters: Parameters = None) -> Any:
        """Run a statement and return its result, with all rows already fetched."""
        return await (await self.connection()).execute(statement, parameters)

    @overload
    async def scalar[T](
        self, statement: TypedReturnsRows[T, *tuple[Any, ...]], parameters: Parameters = None
    ) -> T | None: ...
    @overload
    async def scalar(self, statement: Executable, parameters: Parameters = None) -> Any: ...
    async def scalar(self, statement: Any, parameters: Parameters = None) -> Any:
        """Run a statement and return the first column of the first row, or ``None`` if there is no row."""
        return (await self.execute(statement, parameters)).scalar()

    @overload
    async def scalars[T](
        self, statement: TypedReturnsRows[T, *tuple[Any, ...]], parameters: Parameters = None
    ) -> ScalarResult[T]: ...
    @overload
    async def scalars(self, statement: Executable, parameters: Parameters = None) -> ScalarResult[Any]: ...
    async def scalars(self, statement: Any, parameters: Parameters = None) -> Any:
        """Run a statement and return the first column of each row."""
        return (await self.execute(statement, parameters)).scalars()

    async def fetch(self, prepared: Prepared, values: Values) -> list[Any]:
        """Run a prepared statement and return its rows as named tuples. It raises the same errors as ``execute``."""
        return list(await self.fetch_lazily(prepared, values))

    async def fetch_lazily(self, prepared: Prepared, values: Values) -> Iterator[Any]:
        """Do the same as ``fetch``, but convert each row only when the iterator reaches it.

        All rows are fetched at once. This is for results of thousands of rows, which take long to convert.
        """
        driver = self._driver or await self._open()
        compiled = prepared.compiled(self.dialect, tuple(values))
        return map(compiled.read, await driver.fetch(compiled.sql, compiled.bind(values)))

    async def send(self, prepared: Prepared, rows: Sequence[Values]) -> None:
        """Run a statement that returns no rows, once with each of ``rows``. All of them must have the same names."""
        if len(rows) == 1:
            await self.fetch(prepared, rows[0])
            return
        driver = self._driver or await self._open()
        compiled = prepared.compiled(self.dialect, tuple(rows[0]))
        await driver.send(compiled.sql, [compiled.bind(values) for values in rows])

    async def release(self) -> None:
        """Return a reader's connection to the pool before a long computation. A writer keeps its transaction.

        The next statement begins a new transaction, so it may see newer data.
        """
        if self._reads:
            await self._end("ROLLBACK")

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Roll back the statements inside the context if it raises. The transaction stays usable either way."""
        driver = self._driver or await self._open()
        await driver.run("SAVEPOINT part")
        try:
            yield
        except Exception:
            await driver.run("ROLLBACK TO SAVEPOINT part")
            raise
        await driver.run("RELEASE SAVEPOINT part")

    async def commit(self) -> None:
        """Commit the transaction. Only ``Database`` calls this."""
        if await self._end("COMMIT") == "ROLLBACK":
            # PostgreSQL reports ROLLBACK when an earlier statement failed, even if the error was caught.
            raise RuntimeError("a statement had failed, so nothing was committed")
        # Check after the commit, not before: a file that is still in place now was in place during the commit.
        self._file.check()

    async def rollback(self) -> None:
        """Roll the transaction back. Only ``Database`` calls this."""
        # When a connection is cut or closed, the server rolls back by itself.
        with suppress(DBAPIError, OSError, ValueError):
            await self._end("ROLLBACK")

    async def _open(self) -> Driver:
        self._file.check()
        if self._turns:
            async with asyncio.timeout(_pool_timeout(self._engine)):
                await self._turn.enter_async_context(self._turns.hold(current_client.get()))
        try:
            self._driver = await Driver.acquire(self._engine)
        except BaseException:
            await self._turn.aclose()
            raise
        await _control(self._driver, self._begin)
        return self._driver

    async def _end(self, statement: str) -> object:
        if self._driver is None:
            return None
        # Cleared first: after a COMMIT that fails, the ROLLBACK must not use the same connection again.
        driver, self._driver = self._driver, None
        try:
            return await _control(driver, statement)
        finally:
            driver.release()
            await self._turn.aclose()


def _pool_timeout(engine: AsyncEngine) -> float:
    """Return how many seconds a request may wait for its turn: as long as for a connection of the pool."""
    timeout: float = engine.get_execution_options()[POOL_TIMEOUT]
    return timeout


async def _control(driver: Driver, statement: str) -> object:
    """Run BEGIN, COMMIT or ROLLBACK, and return the status that the driver reports."""
    try:
        return await driver.run(statement)
    except BaseException:
        # The connection's transaction state is unknown, so it is closed.
        await driver.invalidate()
        raise


class Database:
    """Transactions on one engine.

    If the database is unreachable, overloaded or locked for too long, ``DomainError`` ``busy`` is raised: the same call
    may succeed later. Nothing was changed, with one exception: if the connection is lost during COMMIT, the outcome
    is unknown.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._file = DatabaseFile(engine)
        self._queues = LockQueues()
        # SQLite has one writer at a time. The others wait here, so that they do not keep a connection while they wait.
        self.writers = None if is_postgresql(engine) else ClientFairLock()
        """The turns of writers on SQLite, ``None`` on PostgreSQL."""
        # On SQLite a transaction that begins as a reader and then writes may fail with "database is locked". So writers
        # take the write lock when they begin.
        settings = engine.get_execution_options().get(TRANSACTION_SETTINGS, "")
        self._begin_reading, self._begin_writing = (
            (f"BEGIN READ ONLY{settings and ',' + settings}", f"BEGIN{settings}")
            if is_postgresql(engine)
            else ("BEGIN", "BEGIN IMMEDIATE")
        )

    def create_file(self) -> None:
        """Create an empty SQLite database if the file is missing. Raises ``DomainError`` ``busy`` if that fails."""
        with busy_if_away():
            self._file.create()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """Open a transaction that cannot change anything. It is always rolled back."""
        with busy_if_away():
            transaction = Transaction(self.engine, self._file, self._begin_reading, reads=True)
            try:
                yield transaction
            except BaseException:
                # Shielded, because a request that is cancelled must still return its connection.
                await asyncio.shield(transaction.rollback())
                raise
            await transaction.rollback()

    @asynccontextmanager
    async def write(self, permits: LockPermits | None = None) -> AsyncIterator[Transaction]:
        """Open a transaction that is committed at the end of the context, or rolled back if the context raises."""
        with busy_if_away():
            transaction = Transaction(self.engine, self._file, self._begin_writing, turns=self.writers, permits=permits)
            try:
                yield transaction
                await transaction.commit()
            except BaseException:
                await asyncio.shield(transaction.rollback())
                raise

    async def write_in_turn[Result](self, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
        """Run ``work`` in a transaction as opened by ``write``, and return its result.

        If ``work`` needs a lock for which transactions of this process are already queued (see ``lock_ids``), its
        transaction is rolled back, and ``work`` runs again from the start when it is its turn. So it must have no
        effect outside the database before it locks. Raises ``DomainError`` ``busy`` if its turn does not come within
        the pool's time-out.
        """
        wanted: frozenset[int] = frozenset()
        deadline: float | None = None
        while True:
            async with self._queues.permits() as permits:
                with busy_if_away():
                    async with asyncio.timeout_at(deadline):
                        await permits.wait_for(wanted)
                try:
                    async with self.write(permits) as transaction:
                        return await work(transaction)
                except LockQueueFull as full:
                    # All locks of the transaction, even those it had: permits are awaited in one order, while nothing
                    # is held.
                    wanted = full.keys
                    # Counted from the first refusal, so that queueing again does not extend the total wait.
                    deadline = deadline or asyncio.get_running_loop().time() + _pool_timeout(self.engine)


@contextmanager
def busy_if_away() -> Iterator[None]:
    """Convert errors of a database that is temporarily unavailable to ``DomainError`` ``busy``; pass on all others."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, PostgresError, InterfaceError, InternalClientError, OSError) as error:
        if not _may_succeed_later(error):
            raise
        raise DomainError("busy") from error


# SQLSTATE classes of PostgreSQL, appendix A: connection exception, invalid transaction state (a standby), transaction
# rollback (deadlock), insufficient resources, object in use (lock time-out), operator intervention (statement time-out
# and shutdown), system error.
_TEMPORARY_CLASSES = frozenset({"08", "25", "40", "53", "55", "57", "58"})
_WAITED_TOO_LONG = frozenset({"55P03", "57014"})  # lock time-out, statement time-out
# The same for SQLite: busy, locked, read-only file, input/output error, full disk, file that cannot be opened.
_TEMPORARY_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)


def has_waited_too_long(error: DBAPIError) -> bool:
    """Return whether a statement was cancelled because another transaction held a lock for too long."""
    return getattr(error.orig, "sqlstate", None) in _WAITED_TOO_LONG


def _may_succeed_later(error: Exception) -> bool:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause: Any = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, LookupError):  # Jinja's TemplateNotFound is an OSError, too
        return False
    if isinstance(cause, (PoolTimeoutError, InterfaceError, OSError)):  # the pool is exhausted, or connecting failed
        return True
    # When the server has announced that it ends a connection but has not closed it yet, asyncpg rejects statements with
    # exactly this internal error. Its subclasses, like ``ProtocolError``, are bugs.
    if type(cause) is InternalClientError:
        return True
    if (sqlstate := getattr(cause, "sqlstate", None)) is not None:
        return sqlstate[:2] in _TEMPORARY_CLASSES
    # The low byte is the primary result code.
    return getattr(cause, "sqlite_errorcode", -1) & 0xFF in _TEMPORARY_CODES
