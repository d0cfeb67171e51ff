"""Which schema the database has, and bringing it to the newest."""

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
    """The database has a schema that this version of the application is not written for."""


class UnavailableDatabaseError(Exception):
    """There was no database to start with."""


@cache
def newest_revision() -> str | None:
    """The revision that this version of the application is written for."""
    return ScriptDirectory(MIGRATIONS).get_current_head()


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Migrates the database up to ``revision``, in one transaction; others who try meanwhile wait.

    ``DomainError`` ``busy`` if the database cannot be reached.
    """
    await _migrate(engine, lambda config: command.upgrade(config, revision))


async def downgrade(engine: AsyncEngine, revision: str) -> None:
    """Migrates the database down to ``revision``, in one transaction."""
    await _migrate(engine, lambda config: command.downgrade(config, revision))


async def ensure_newest(engine: AsyncEngine) -> None:
    """Migrates an embedded SQLite database; raises ``UnknownSchemaError`` if the schema is not the newest then.

    ``UnavailableDatabaseError``, with what the database has said, if it cannot be had.
    """
    database = Database(engine)
    try:
        database.create_file()
        async with database.read() as transaction:
            revision = await transaction.run_sync(_revision)
    except DomainError as error:
        said = getattr(error.__cause__, "orig", None) or error.__cause__
        raise UnavailableDatabaseError(f"the database cannot be used: {said}") from None
    if revision == newest_revision():
        return
    if not is_postgresql(engine) and revision in _known_revisions() | {None}:
        await upgrade(engine)
    else:
        raise UnknownSchemaError(
            f"the database has schema {revision or 'none'}, this version needs {newest_revision()}: "
            "bring it up to date with 'python -m app.cli migrate' (make migrate), or run the version that fits"
        )


async def check_writable(database: Database) -> bool:
    """Whether the database takes writes and has the newest schema; ``DomainError`` ``busy`` if it is away."""
    update = text("UPDATE alembic_version SET version_num = version_num RETURNING version_num")
    try:
        async with database.write() as transaction:
            return bool(await transaction.scalar(update) == newest_revision())
    except DBAPIError:  # without such a table, or not to be written
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
            # SQLite has taken its one write lock already; this is the same for PostgreSQL.
            await transaction.execute(text("SELECT pg_advisory_xact_lock(hashtext('doctor-appointments migrations'))"))
        await transaction.run_sync(run)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _known_revisions() -> set[str | None]:
    return {script.revision for script in ScriptDirectory(MIGRATIONS).walk_revisions()}
