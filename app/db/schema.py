"""The schema of the database: its revision and its migrations."""

import asyncio
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.errors import DomainError
from app.db.database import Database
from app.db.engine import is_postgresql

MIGRATIONS = Path(__file__).parents[2] / "migrations"
LOCK_TIMEOUT_SECONDS = 4.0
"""How long a migration waits for a lock. Every request that needs the same table queues behind it meanwhile."""
MAX_LOCK_ATTEMPTS = 30
PAUSE_SECONDS = 5.0
"""The pause between two attempts, in which the queued requests can run."""

log = logging.getLogger(__name__)

_LOCK_MIGRATIONS = text("SELECT pg_advisory_xact_lock(hashtext('doctor-appointments migrations'))")
_SET_LOCK_TIMEOUT = text("SELECT set_config('lock_timeout', :seconds, true)")


class UnknownSchemaError(Exception):
    """The database has a schema that this version of the application cannot use."""


class UnavailableDatabaseError(Exception):
    """The database could not be reached or opened at the start."""


@cache
def newest_revision() -> str | None:
    """Return the revision of the newest migration, which this version of the application needs."""
    return ScriptDirectory(MIGRATIONS).get_current_head()


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Migrate the database up to ``revision``. Concurrent calls wait for each other.

    All migrations are one transaction, except that a migration with ``begins_transaction = True`` begins a new one: it
    needs the locks of the migrations before it to have been released. On PostgreSQL, a transaction that does not get a
    lock within ``LOCK_TIMEOUT_SECONDS`` is rolled back and tried again. Raises ``DomainError`` ``busy`` if the last
    attempt fails, too, or if the database cannot be reached.
    """

    def step(config: Config, current: str | None) -> bool:
        scripts = list(ScriptDirectory.from_config(config).iterate_revisions(revision, current or "base"))[::-1]
        begins = (number for number, script in enumerate(scripts) if number and _begins_transaction(script))
        end = next(begins, len(scripts))
        if scripts:
            command.upgrade(config, scripts[end - 1].revision)
        return end < len(scripts)

    while await _migrate(engine, step):
        pass


async def downgrade(engine: AsyncEngine, revision: str) -> None:
    """Migrate the database down to ``revision``, in one transaction."""
    await _migrate(engine, lambda config, _: command.downgrade(config, revision))


async def ensure_newest(engine: AsyncEngine) -> None:
    """Check that the schema is the newest. An SQLite database with an older schema, or none, is migrated first.

    Raises ``UnknownSchemaError`` if the schema is another one, and ``UnavailableDatabaseError``, with the database's
    own message, if the database cannot be used.
    """
    database = Database(engine)
    try:
        database.create_file()
        async with database.read() as transaction:
            revision = await transaction.run_sync(_revision)
    except DomainError as error:
        cause = getattr(error.__cause__, "orig", None) or error.__cause__
        raise UnavailableDatabaseError(f"the database cannot be used: {cause}") from None
    if revision == newest_revision():
        return
    if not is_postgresql(engine) and revision in _known_revisions() | {None}:
        try:
            await upgrade(engine)
        except DomainError:
            raise UnavailableDatabaseError("the database is locked: another process may be migrating it") from None
    else:
        raise UnknownSchemaError(
            f"the database has schema {revision or 'none'}, this version needs {newest_revision()}: "
            "bring it up to date with 'python -m app.cli migrate' (make migrate), or run the version it belongs to"
        )


async def check_writable(database: Database) -> bool:
    """Return whether the database accepts writes and has the newest schema.

    Raises ``DomainError`` ``busy`` if it is unavailable.
    """
    update = text("UPDATE alembic_version SET version_num = version_num RETURNING version_num")
    try:
        async with database.write() as transaction:
            return bool(await transaction.scalar(update) == newest_revision())
    except DBAPIError:  # the table does not exist, or this role may not write to it
        return False


async def _migrate[T](engine: AsyncEngine, step: Callable[[Config, str | None], T]) -> T:
    """Run ``step``, which is passed the current revision, in one transaction."""

    def run(connection: Connection) -> T:
        config = Config(attributes={"connection": connection})
        # Alembic's parser of settings reads a single % as the start of a variable.
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        return step(config, _revision(connection))

    database = Database(engine)
    database.create_file()
    attempt = 0
    while True:
        attempt += 1
        try:
            async with database.write() as transaction:
                if is_postgresql(engine):
                    # SQLite has taken its one write lock already; this is the same for PostgreSQL.
                    await transaction.execute(_LOCK_MIGRATIONS)
                    # Not set earlier: waiting for another migration blocks no requests, but waiting for a table does.
                    await transaction.execute(_SET_LOCK_TIMEOUT, {"seconds": f"{LOCK_TIMEOUT_SECONDS}s"})
                return await transaction.run_sync(run)
        except DomainError as error:
            if not _has_lost_a_lock(error.__cause__) or attempt == MAX_LOCK_ATTEMPTS:
                raise
            log.warning("the migration did not get a lock within %g s; attempt %d", LOCK_TIMEOUT_SECONDS, attempt)
            await asyncio.sleep(PAUSE_SECONDS)


def _begins_transaction(script: Script) -> bool:
    return getattr(script.module, "begins_transaction", False)


def _has_lost_a_lock(error: BaseException | None) -> bool:
    # Lock time-out, and deadlock: a migration locks several tables, and PostgreSQL may choose it as the victim.
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in {"55P03", "40P01"}


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _known_revisions() -> set[str | None]:
    return {script.revision for script in ScriptDirectory(MIGRATIONS).walk_revisions()}
