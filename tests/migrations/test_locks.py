"""A migration of a PostgreSQL database in use does not make requests wait for it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.errors import DomainError
from app.db import schema
from app.db.database import Database
from tests.databases import open_engine, temporary_postgresql
from tests.services.interruptions import interrupted

READ = text("SELECT count(*) FROM idempotency_keys")
PATIENCE = 30


@pytest.fixture
async def engine() -> AsyncIterator[AsyncEngine]:
    """A database that lacks one migration, which changes ``idempotency_keys``."""
    async with temporary_postgresql() as url, open_engine(url) as engine:
        await schema.upgrade(engine, "0023")
        yield engine


@pytest.mark.slow
async def test_requests_run_while_a_migration_waits_for_a_lock(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(schema, "LOCK_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(schema, "PAUSE_SECONDS", 0.1)
    database = Database(engine)
    async with asyncio.timeout(PATIENCE):
        async with database.read() as long_transaction:
            await long_transaction.scalar(READ)
            migrating = asyncio.create_task(schema.upgrade(engine, "0024"))
            while "did not get a lock" not in caplog.text:
                # If reads queued behind the migration, they would wait until the long transaction ends.
                async with database.read() as transaction:
                    assert await transaction.scalar(READ) == 0
                await asyncio.sleep(0.01)
            assert not migrating.done()
        await migrating
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT version_num FROM alembic_version")) == "0024"


async def test_migration_without_a_lock_gives_up_and_changes_nothing(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "LOCK_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(schema, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(schema, "MAX_LOCK_ATTEMPTS", 2)
    async with asyncio.timeout(PATIENCE), Database(engine).read() as long_transaction:
        await long_transaction.scalar(READ)
        with pytest.raises(DomainError, match="busy"):
            await schema.upgrade(engine, "0024")
        assert await long_transaction.scalar(text("SELECT version_num FROM alembic_version")) == "0023"


async def test_appointments_can_be_read_while_the_patients_of_the_last_release_are_copied() -> None:
    locks = text("SELECT count(*) FROM pg_locks WHERE relation = 'appointments'::regclass AND mode LIKE '%Exclusive%'")
    held: list[int | None] = []

    async def count_locks(database: Database) -> None:
        async with database.read() as transaction:
            held.append(await transaction.scalar(locks))

    async with temporary_postgresql() as url, open_engine(url) as engine:
        await schema.upgrade(engine, "0025")
        with interrupted(url, count_locks, before="\nINSERT INTO patients", times=2):
            await schema.upgrade(engine)
    assert held == [0, 0]
