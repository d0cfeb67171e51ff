"""The engine: pools, time-outs, and how each database is opened."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

TRANSACTION_SETTINGS = "transaction_settings"
"""The execution option of an engine with what follows each ``BEGIN``."""


def create_engine(
    url: str, *, pool_size: int, timeout: int, statement_timeout: int | None = None, prepared_statements: bool = True
) -> AsyncEngine:
    """An engine for ``url``; nothing is connected yet, and no transaction begins by itself: see ``Session``.

    ``timeout`` (seconds) bounds every wait: for a connection of the pool, to connect, for a lock, and for a statement.
    A server that no longer answers at all is given up after twice that. ``statement_timeout``, where it is given, holds
    for locks and statements instead.

    ``prepared_statements=False`` is for a pooler that gives each transaction another connection of the server: no
    statement is prepared under a name, and the settings of the session are set in each transaction.
    """
    options: dict[str, Any] = {
        "poolclass": AsyncAdaptedQueuePool,
        "isolation_level": "AUTOCOMMIT",
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": timeout,
        "pool_reset_on_return": None,  # whoever gives one back has ended what was begun on it
        "hide_parameters": True,  # they are names, addresses and hashes, and errors are logged
    }
    if make_url(url).get_backend_name() == "sqlite":
        engine = create_async_engine(url, connect_args={"timeout": timeout}, **options)
        event.listen(engine.sync_engine, "do_connect", _open_existing)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        return engine
    statement_timeout = statement_timeout or timeout
    milliseconds = str(statement_timeout * 1000)
    connect_args: dict[str, Any] = {"timeout": timeout, "command_timeout": statement_timeout * 2}
    session = {
        "timezone": "UTC",
        "lock_timeout": milliseconds,
        "statement_timeout": milliseconds,
        "idle_in_transaction_session_timeout": str(statement_timeout * 4000),
        "jit": "off",  # statements here take less time than compiling one
    }
    if prepared_statements:
        # Whatever the server's default: under REPEATABLE READ a lost race is an error, not an answer.
        isolation = {"default_transaction_isolation": "read committed"}
        connect_args["server_settings"] = {"application_name": "doctor-appointments"} | session | isolation
    else:
        connect_args |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
        connect_args["prepared_statement_name_func"] = str  # an unnamed statement
        set_local = "".join(f"; SET LOCAL {name} = '{value}'" for name, value in session.items())
        options["execution_options"] = {TRANSACTION_SETTINGS: f" ISOLATION LEVEL READ COMMITTED{set_local}"}
    engine = create_async_engine(url, connect_args=connect_args, **options)
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    event.listen(engine.sync_engine, "invalidate", _terminate_after_time_out)
    return engine


def is_postgresql(engine: AsyncEngine) -> bool:
    """Whether the server is PostgreSQL; the other one is SQLite."""
    return engine.dialect.name == "postgresql"


class DatabaseFile:
    """The file of an SQLite database. It must stay the one that it was at the start.

    A file that is deleted or replaced stays open, and takes writes that are gone with the process.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._path = None if is_postgresql(engine) else Path(engine.url.database or "").absolute()
        self._identity = _identify(self._path)

    def create(self) -> None:
        """Makes an empty file where there is none; nothing else ever does. ``OSError`` if it cannot be made."""
        if self._path:
            self._path.touch()
            self._identity = _identify(self._path)

    def check(self) -> None:
        """``OSError`` if the file is not there any more, or is another one."""
        if _identify(self._path) != self._identity:
            raise FileNotFoundError("the database file was deleted or replaced; restart the server")


def _identify(path: Path | None) -> tuple[int, int] | None:
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found else None


def _open_existing(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> None:
    # By itself SQLite makes an empty database of a file that is missing.
    arguments[0] = f"file:{quote(arguments[0])}?mode=rw"
    options["uri"] = True


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    # A server that has gone away has cut them all: they are replaced before anything is lost on them.
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError


def _terminate_after_time_out(connection: Any, _record: object, error: BaseException | None) -> None:
    # SQLAlchemy closes a connection by a message first, and waits two seconds for the server to answer it.
    if isinstance(error, TimeoutError):
        connection.driver_connection.terminate()
