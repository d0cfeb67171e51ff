"""The migrations create the schema of the models on both databases, and can be reverted."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import schema
from app.db.database import Database
from app.models import User
from tests.databases import open_engine, temporary_postgresql

# Autogenerate does not compare exclusion constraints, checks, triggers, index conditions and defaults.
POSTGRESQL = """
SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
  WHERE connamespace = 'public'::regnamespace AND conrelid <> 0
UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT concat_ws(
    ' ', table_name, column_name, data_type, character_maximum_length, is_nullable, column_default)
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc
  WHERE pronamespace = 'public'::regnamespace
    AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql')
"""
ADDED_KEY = re.compile(r"((\w+) \S+) (CONSTRAINT \w+) (REFERENCES .*)")
SQLITE = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"


async def describe(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        rows = await connection.scalars(text(POSTGRESQL if engine.dialect.name == "postgresql" else SQLITE))
        return {line for row in rows for line in split_definition(row) if "alembic_version" not in line}


def split_definition(sql: str) -> list[str]:
    """Return a line for each part of a table, because the order of the parts has no meaning.

    A foreign key that SQLite has added together with its column is written like one of the table.
    """
    sql = " ".join(sql.split())
    if not sql.startswith("CREATE TABLE"):
        return [sql]
    head, _, body = sql.partition("(")
    parts, depth = [""], 0
    for character in body.strip().removesuffix(")"):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    parts = [each for part in parts for each in ADDED_KEY.sub(r"\1\n\3 FOREIGN KEY(\2) \4", part.strip()).split("\n")]
    return [f"{head.strip()}: {part}" for part in parts]


@pytest.fixture
async def engine(backend: str, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """An empty database."""
    if backend == "sqlite":
        sqlite3.connect(tmp_path / "empty.db").close()
        async with open_engine(f"sqlite+aiosqlite:///{tmp_path}/empty.db") as engine:
            yield engine
    else:
        async with temporary_postgresql() as url, open_engine(url) as engine:
            yield engine


async def create_from_models(engine: AsyncEngine) -> None:
    async with Database(engine).write() as transaction:
        if engine.dialect.name == "postgresql":
            await transaction.execute(text("CREATE EXTENSION btree_gist"))
            await transaction.execute(text("CREATE EXTENSION pg_trgm"))
        await transaction.run_sync(User.metadata.create_all)


async def test_migrations_create_the_schema_of_the_models(engine: AsyncEngine) -> None:
    await create_from_models(engine)
    models = await describe(engine)
    assert any("appointments_doctor_busy" in line for line in models)
    async with Database(engine).write() as transaction:
        await transaction.run_sync(User.metadata.drop_all)
    await schema.upgrade(engine)
    assert await describe(engine) == models


async def test_schema_is_the_same_after_down_and_up(engine: AsyncEngine) -> None:
    await schema.upgrade(engine)
    first = await describe(engine)
    await schema.downgrade(engine, "base")
    assert await describe(engine) == set()
    await schema.upgrade(engine)
    assert await describe(engine) == first


async def test_concurrent_migrations_succeed(engine: AsyncEngine) -> None:
    await asyncio.gather(*(schema.upgrade(engine) for _ in range(3)))
    assert any("appointments_doctor_busy" in line for line in await describe(engine))


async def test_failed_migration_changes_nothing(engine: AsyncEngine) -> None:
    async with Database(engine).write() as transaction:
        # The last table of the first migration exists already.
        await transaction.execute(text("CREATE TABLE appointments (id INTEGER)"))
    before = await describe(engine)
    with pytest.raises(DBAPIError):
        await schema.upgrade(engine)
    assert await describe(engine) == before


async def test_sqlite_is_migrated_at_startup_and_postgresql_is_not(engine: AsyncEngine, backend: str) -> None:
    if backend == "sqlite":
        await schema.ensure_newest(engine)
        assert await describe(engine)
    else:
        with pytest.raises(schema.UnknownSchemaError, match="make migrate"):
            await schema.ensure_newest(engine)
        assert await describe(engine) == set()
        await schema.upgrade(engine)
    await schema.ensure_newest(engine)


async def test_newer_schema_is_refused(engine: AsyncEngine) -> None:
    await schema.upgrade(engine)
    async with Database(engine).write() as transaction:
        await transaction.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(schema.UnknownSchemaError, match="9999"):
        await schema.ensure_newest(engine)
