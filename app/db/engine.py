"""The engine: the connection pool, the time-outs and the options of each database."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

TRANSACTION_SETTINGS = "transaction_settings"
"""Name of the execution option that holds the SQL to append to each ``BEGIN``."""
POOL_TIMEOUT = "pool_timeout"
"""Name of the execution option that holds the seconds to wait for a connection of the pool."""


def create_engine(
    url: str, *, pool_size: int, timeout: int, statement_timeout: int | None = None, prepared_statements: bool = True
) -> AsyncEngine:
    """Create an engine for ``url``, without connecting yet. It is in autocommit: ``Transaction`` sends BEGIN itself.

    ``timeout`` (seconds) bounds every wait: for a connection of the pool, to connect, for a lock and for a statement.
    If the server does not answer at all, the connection is closed after twice that time. ``statement_timeout``
    (seconds), if given, replaces ``timeout`` for locks and statements.

    Pass ``prepared_statements=False`` behind a pooler that may give each transaction another connection of the server.
    Then no named statement is prepared, and each transaction sets the settings of its session itself.
    """
    options: dict[str, Any] = {
        "poolclass": AsyncAdaptedQueuePool,
        "isolation_level": "AUTOCOMMIT",
        "pool_size": pool_size,
        "max_overflow": 0,  # DATABASE_POOL_SIZE is a hard limit
        "pool_timeout": timeout,
        "pool_reset_on_return": None,  # callers end their transaction before they return the connection
        "hide_parameters": True,  # errors are logged, and parameters are names, addresses and hashes
        "execution_options": {POOL_TIMEOUT: timeout},
    }
    if make_url(url).get_backend_name() == "sqlite":
        engine = create_async_engine(url, connect_args={"timeout": timeout}, **options)
        event.listen(engine.sync_engine, "do_connect", _open_existing)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        return engine
    statement_timeout = statement_timeout or timeout
    milliseconds = str(statement_timeout * 1000)
    # Twice as long, so that the server's own time-out comes first: that one leaves the connection usable.
    connect_args: dict[str, Any] = {"timeout": timeout, "command_timeout": statement_timeout * 2}
    session = {
        "timezone": "UTC",
        "lock_timeout": milliseconds,
        "statement_timeout": milliseconds,
        "idle_in_transaction_session_timeout": str(statement_timeout * 4000),
        "jit": "off",  # compiling a statement takes longer than running it
    }
    if prepared_statements:
        # The server's default may be stricter: under REPEATABLE READ a lost race fails with a serialization error
        # instead of violating a constraint.
        isolation = {"default_transaction_isolation": "read committed"}
        connect_args["server_settings"] = {"application_name": "doctor-appointments"} | session | isolation
    else:
        connect_args |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
        connect_args["prepared_statement_name_func"] = str  # str() is the empty name: an unnamed statement
        set_local = "".join(f"; SET LOCAL {name} = '{value}'" for name, value in session.items())
        options["execution_options"][TRANSACTION_SETTINGS] = f" ISOLATION LEVEL READ COMMITTED{set_local}"
    engine = create_async_engine(url, connect_args=connect_args, **options)
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    event.listen(engine.sync_engine, "invalidate", _terminate_after_time_out)
    return engine


def is_postgresql(engine: AsyncEngine) -> bool:
    """Return whether the database is PostgreSQL; otherwise it is SQLite."""
    return engine.dialect.name == "postgresql"


class DatabaseFile:
    """The file of an SQLite database, which must be the same file for as long as the process runs.

    SQLite keeps a file open after it was deleted or replaced. Writes to it succeed, but are lost when the process ends.
    On PostgreSQL every check passes.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._path = None if is_postgresql(engine) else Path(engine.url.database or "").absolute()
        self._identity = _identify(self._path)

    def create(self) -> None:
        """Create an empty file if there is none. Raises ``OSError`` if that fails. Nothing else creates the file."""
        if self._path:
            self._path.touch()
            self._identity = _identify(self._path)

    def check(self) -> None:
        """Raise ``OSError`` if the file was deleted or replaced."""
        if _identify(self._path) != self._identity:
            raise FileNotFoundError("the database file was deleted or replaced; restart the server")


def _identify(path: Path | None) -> tuple[int, int] | None:
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found else None


def _open_existing(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> None:
    # By default SQLite creates an empty database if the file is missing.
    arguments[0] = f"file:{quote(arguments[0])}?mode=rw"
    options["uri"] = True


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # By default, SQLite checks no foreign keys. In WAL mode, NORMAL could lose the last commits in a power cut.
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    # A server that restarts cuts all connections. This replaces them before a statement is sent on one of them.
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError


def _terminate_after_time_out(connection: Any, _record: object, error: BaseException | None) -> None:
    # Otherwise SQLAlchemy sends a message to close the connection, and waits two seconds for the server to answer.
    if isinstance(error, TimeoutError):
        connection.driver_connection.terminate()
