"""The only place that commits and rolls back."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from asyncpg import InterfaceError, PostgresError
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from app.core.errors import DomainError
from app.db.engine import for_reading, for_writing


class Sessions:
    """Transactions on one engine.

    Both kinds take a connection at their first statement, not before. A database that is away, overloaded or locked
    for too long is ``DomainError`` ``busy``: nothing was changed, and the same call may succeed later.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._reading = for_reading(engine)
        self._writing = for_writing(engine)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A transaction that cannot change anything; always rolled back."""
        async with (
            busy_if_away(),
            AsyncSession(self._reading, autoflush=False, sync_session_class=_ReadSession) as session,
        ):
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A transaction that is committed at the end, and rolled back if anything is raised."""
        async with busy_if_away():
            session = AsyncSession(self._writing, expire_on_commit=False)
            try:
                yield session
                await session.commit()  # gives the connection back, too
            except BaseException:
                await asyncio.shield(session.close())
                raise


class _ReadSession(Session):
    pass


@event.listens_for(_ReadSession, "before_flush")
def _refuse_flush(_session: Session, _context: object, _instances: object) -> None:
    raise RuntimeError("a read session cannot write")


@asynccontextmanager
async def busy_if_away() -> AsyncIterator[None]:
    """Makes ``DomainError`` ``busy`` of every error that says that the database cannot be had for the moment."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, PostgresError, InterfaceError, OSError) as error:
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
    if isinstance(error, (PoolTimeoutError, InterfaceError, OSError)):  # no connection free in time, or none to be had
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause: Any = error.orig if isinstance(error, DBAPIError) else error
    if (sqlstate := getattr(cause, "sqlstate", None)) is not None:
        return sqlstate[:2] in _PASSING_CLASSES
    # The low byte is the primary result code.
    return getattr(cause, "sqlite_errorcode", -1) & 0xFF in _PASSING_CODES
