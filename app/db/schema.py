"""The schema of the database: its revision and its migrations."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.errors import DomainError
from app.db.database import Database
from app.db.engine import is_postgresql

MIGRATIONS = Path(__file__).parents[2] / "migrations"


class UnknownSchemaError(Exception):
    """The database has a schema that this version of the application cannot use."""


class UnavailableDatabaseError(Exception):
    """The database could not be reached or opened at the start."""


@cache
def newest_revision() -> str | None:
    """Return the revision of the newest migration, which this version of the application needs."""
    return ScriptDirectory(MIGRATIONS).get_current_head()


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Migrate the database up to ``revision``, in one transaction. Concurrent migrations wait for each other.

    Raises ``DomainError`` ``busy`` if the database cannot be reached.
    """
    await _migrate(engine, lambda config: command.upgrade(config, revision))


async def downgrade(engine: AsyncEngine, revision: str) -> None:
    """Migrate the database down to ``revision``, in one transaction."""
    await _migrate(engine, lambda config: command.downgrade(config, revision))


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
        await upgrade(engine)
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


async def _migrate(engine: AsyncEngine, step: Callable[[Config], None]) -> None:
    def run(connection: Connection) -> None:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        step(config)

    database = Database(engine)
    database.create_file()
    async with database.write() as transaction:
        if is_postgresql(engine):
            # One migration at a time. On SQLite the transaction itself holds the only write lock.
            await transaction.execute(text("SELECT pg_advisory_xact_lock(hashtext('doctor-appointments migrations'))"))
        await transaction.run_sync(run)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _known_revisions() -> set[str | None]:
    return {script.revision for script in ScriptDirectory(MIGRATIONS).walk_revisions()}
