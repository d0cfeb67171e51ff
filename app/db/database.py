"""The only place that begins, commits and rolls back."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, cast, overload

from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy import Connection, CursorResult, Dialect, Executable, ScalarResult
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.selectable import TypedReturnsRows

from app.core.errors import DomainError
from app.core.fair_locks import ClientFairLock, current_client
from app.db.driver import Driver
from app.db.engine import TRANSACTION_SETTINGS, DatabaseFile, is_postgresql
from app.db.lock_queues import LockPermits, LockQueueFull, LockQueues
from app.db.prepared import Prepared, Values

type Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Transaction:
    """One transaction. It takes a connection and begins with its first statement, not before.

    ``execute``, ``scalar`` and ``scalars`` are those of SQLAlchemy's ``AsyncConnection``. What runs with every request
    is ``Prepared``, and goes to the driver (ADR 0026).
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
        self._begun: Driver | None = None

    async def connection(self) -> AsyncConnection:
        """The connection, on which the transaction has begun; it is not to be ended there."""
        return (self._begun or await self._open()).connection

    async def run_sync[T](self, function: Callable[[Connection], T]) -> T:
        """What a function returns that knows SQLAlchemy's synchronous connection alone, like a migration."""
        connection = await self.connection()
        if not connection.in_transaction():
            # Alembic would begin one, and commit.
            await connection.begin()
        return await connection.run_sync(function)

    @overload
    async def execute[*Ts](
        self, statement: TypedReturnsRows[*Ts], parameters: Parameters = None
    ) -> CursorResult[*Ts]: ...
    @overload
    async def execute(self, statement: Executable, parameters: Parameters = None) -> CursorResult[*tuple[Any, ...]]: ...
    async def execute(self, statement: Any, parameters: Parameters = None) -> Any:
        """Runs a statement, and returns all of its rows."""
        return await (await self.connection()).execute(statement, parameters)

    @overload
    async def scalar[T](
        self, statement: TypedReturnsRows[T, *tuple[Any, ...]], parameters: Parameters = None
    ) -> T | None: ...
    @overload
    async def scalar(self, statement: Executable, parameters: Parameters = None) -> Any: ...
    async def scalar(self, statement: Any, parameters: Parameters = None) -> Any:
        """The first column of the first row, if there is one."""
        return (await self.execute(statement, parameters)).scalar()

    @overload
    async def scalars[T](
        self, statement: TypedReturnsRows[T, *tuple[Any, ...]], parameters: Parameters = None
    ) -> ScalarResult[T]: ...
    @overload
    async def scalars(self, statement: Executable, parameters: Parameters = None) -> ScalarResult[Any]: ...
    async def scalars(self, statement: Any, parameters: Parameters = None) -> Any:
        """The first column of each row."""
        return (await self.execute(statement, parameters)).scalars()

    async def fetch(self, prepared: Prepared, values: Values) -> list[Any]:
        """The rows that a statement returns, as named tuples; raises what ``execute`` raises."""
        return list(await self.fetch_lazily(prepared, values))

    async def fetch_lazily(self, prepared: Prepared, values: Values) -> Iterator[Any]:
        """The same rows, all of them fetched, but each made a tuple only when it is asked for.

        For results of thousands of rows, which take long to convert.
        """
        driver = self._begun or await self._open()
        compiled = prepared.compiled(self.dialect, tuple(values))
        return map(compiled.read, await driver.fetch(compiled.sql, compiled.bind(values)))

    async def send(self, prepared: Prepared, rows: Sequence[Values]) -> None:
        """Runs a statement that returns nothing once with each of some values, all of the same names."""
        if len(rows) == 1:
            await self.fetch(prepared, rows[0])
            return
        driver = self._begun or await self._open()
        compiled = prepared.compiled(self.dialect, tuple(rows[0]))
        await driver.send(compiled.sql, [compiled.bind(values) for values in rows])

    async def release(self) -> None:
        """Gives the connection of a reader back before a long computation; the next statement begins anew.

        A writer keeps its transaction.
        """
        if self._reads:
            await self._end("ROLLBACK")

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Takes back what is done inside it if that raises; the transaction goes on either way."""
        driver = self._begun or await self._open()
        await driver.run("SAVEPOINT part")
        try:
            yield
        except Exception:
            await driver.run("ROLLBACK TO SAVEPOINT part")
            raise
        await driver.run("RELEASE SAVEPOINT part")

    async def commit(self) -> None:
        """Ends the transaction; for ``Database`` alone."""
        if await self._end("COMMIT") == "ROLLBACK":
            # PostgreSQL's answer if a statement has failed, whoever has caught that: nothing is kept.
            raise RuntimeError("a statement had failed, so nothing was committed")
        # Now, and not before: what is in the file at this moment was not committed into a deleted one.
        self._file.check()

    async def rollback(self) -> None:
        """Takes everything back; for ``Database`` alone."""
        with suppress(DBAPIError, OSError, ValueError):  # a connection that was cut or closed has done so
            await self._end("ROLLBACK")

    async def _open(self) -> Driver:
        self._file.check()
        if self._turns:
            async with asyncio.timeout(_get_patience(self._engine)):
                await self._turn.enter_async_context(self._turns.hold(current_client.get()))
        try:
            self._begun = await Driver.acquire(self._engine)
        except BaseException:
            await self._turn.aclose()
            raise
        await _control(self._begun, self._begin)
        return self._begun

    async def _end(self, how: str) -> object:
        if self._begun is None:
            return None
        driver, self._begun = self._begun, None
        try:
            return await _control(driver, how)
        finally:
            driver.release()
            await self._turn.aclose()


def _get_patience(engine: AsyncEngine) -> float:
    """How many seconds a request may wait for its turn: as long as for a connection."""
    return cast("QueuePool", engine.pool).timeout()


async def _control(driver: Driver, how: str) -> object:
    try:
        return await driver.run(how)
    except BaseException:
        # Nobody knows what it is in now.
        await driver.invalidate()
        raise


class Database:
    """Transactions on one engine.

    A database that is away, overloaded or locked for too long is ``DomainError`` ``busy``, and the same call may
    succeed later. Nothing was changed, with one exception: if the connection is lost during COMMIT, the outcome is
    unknown.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._file = DatabaseFile(engine)
        self._queues = LockQueues()
        # SQLite has one writer at a time. The others would each keep a connection while they wait.
        self.writers = None if is_postgresql(engine) else ClientFairLock()
        """The turns of writers on SQLite."""
        # On SQLite a writer that begins as a reader finds "database is locked" when it comes to write: it must queue
        # at the start.
        settings = engine.sync_engine.get_execution_options().get(TRANSACTION_SETTINGS, "")
        self._begin_reading, self._begin_writing = (
            (f"BEGIN READ ONLY{settings and ',' + settings}", f"BEGIN{settings}")
            if is_postgresql(engine)
            else ("BEGIN", "BEGIN IMMEDIATE")
        )

    def create_file(self) -> None:
        """Makes an SQLite database that is missing, empty; ``DomainError`` ``busy`` if that cannot be done."""
        with busy_if_away():
            self._file.create()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """A transaction that cannot change anything; always rolled back."""
        with busy_if_away():
            transaction = Transaction(self.engine, self._file, self._begin_reading, reads=True)
            try:
                yield transaction
            except BaseException:
                await asyncio.shield(transaction.rollback())
                raise
            await transaction.rollback()

    @asynccontextmanager
    async def write(self, permits: LockPermits | None = None) -> AsyncIterator[Transaction]:
        """A transaction that is committed at the end, and rolled back if anything is raised."""
        with busy_if_away():
            transaction = Transaction(self.engine, self._file, self._begin_writing, turns=self.writers, permits=permits)
            try:
                yield transaction
                await transaction.commit()
            except BaseException:
                await asyncio.shield(transaction.rollback())
                raise

    async def write_in_turn[Result](self, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
        """Runs ``work`` in a transaction as ``write`` opens it, and returns what it returns.

        If ``work`` wants a lock for which many of this process wait already (see ``lock_ids``), its transaction is
        rolled back. It runs again when it is its turn, so up to there it must have no effect outside the database.
        ``DomainError`` ``busy`` if its turn does not come in time.
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
                except LockQueueFull as crowded:
                    wanted = crowded.keys
                    deadline = deadline or asyncio.get_running_loop().time() + _get_patience(self.engine)


@contextmanager
def busy_if_away() -> Iterator[None]:
    """Makes ``DomainError`` ``busy`` of every error that says that the database cannot be had for the moment."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, PostgresError, InterfaceError, InternalClientError, OSError) as error:
        if not _may_succeed_later(error):
            raise
        raise DomainError("busy") from error


# SQLSTATE classes of PostgreSQL, appendix A: connection exception, invalid transaction state (a standby), transaction
# rollback (deadlock), insufficient resources, object in use (lock time-out), operator intervention (statement time-out
# and shutdown), system error.
_PASSING_CLASSES = frozenset({"08", "25", "40", "53", "55", "57", "58"})
_WAITED_TOO_LONG = frozenset({"55P03", "57014"})  # lock time-out, statement time-out
# The same for SQLite: busy, locked, read-only file, input/output error, full disk, file that cannot be opened.
_PASSING_CODES = frozenset(
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
    """Whether a statement was given up because somebody else held for too long what it wanted."""
    return getattr(error.orig, "sqlstate", None) in _WAITED_TOO_LONG


def _may_succeed_later(error: Exception) -> bool:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause: Any = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, (PoolTimeoutError, InterfaceError, OSError)):  # no connection free in time, or none to be had
        return True
    # On a connection that the server has said it ends, but has not closed yet, asyncpg takes no statements, and calls
    # that an internal error. Its subclasses, like ``ProtocolError``, are faults.
    if type(cause) is InternalClientError:
        return True
    if (sqlstate := getattr(cause, "sqlstate", None)) is not None:
        return sqlstate[:2] in _PASSING_CLASSES
    # The low byte is the primary result code.
    return getattr(cause, "sqlite_errorcode", -1) & 0xFF in _PASSING_CODES
