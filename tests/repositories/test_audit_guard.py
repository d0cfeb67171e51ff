"""The database lets the audit trail grow and refuses all other changes, even by raw SQL."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.db.database import Database, Transaction
from app.models import AuditEvent

FIRST, SECOND = (f"00000000-0000-7000-8000-{number:012}" for number in (1, 2))
COLUMNS = [column.name for column in AuditEvent.__table__.columns]
FACTS = [column for column in COLUMNS if column not in {"position", "hash"}]
OTHER_VALUES = {
    "id": "'00000000-0000-7000-8000-000000000003'",
    "occurred_at": "'2026-12-02 00:00:00Z'",
    "actor_role": "'doctor'",
} | dict.fromkeys(("actor_id", "patient_id", "object_id"), "'00000000-0000-7000-8000-000000000009'")


@pytest.fixture(autouse=True)
async def events(database: Database, backend: str) -> None:
    """The first event is sealed, and the second one is not."""
    for id_ in (FIRST, SECOND):
        await run(
            database,
            backend,
            f"INSERT INTO audit_events (id, occurred_at, action, outcome) "
            f"VALUES ('{id_}', '2026-12-01 00:00:00Z', 'look', 'ok')",
        )
    await run(database, backend, f"UPDATE audit_events SET position = 1, hash = 'x' WHERE id = '{FIRST}'")


async def run(database: Database, backend: str, statement: str) -> None:
    if backend == "sqlite":  # SQLite stores ids without hyphens, and times with microseconds
        for id_ in (FIRST, SECOND):
            statement = statement.replace(id_, id_.replace("-", ""))
        statement = statement.replace(":00Z'", ":00.000000'")
    async with database.write() as transaction:
        await transaction.execute(text(statement))


async def read_rows(transaction: Transaction) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await transaction.execute(text("SELECT * FROM audit_events ORDER BY id"))]


async def assert_refused(database: Database, backend: str, statement: str) -> None:
    async with database.read() as transaction:
        before = await read_rows(transaction)
    with pytest.raises(IntegrityError, match="audit_events can only grow"):
        await run(database, backend, statement)
    async with database.read() as transaction:
        assert await read_rows(transaction) == before


async def test_events_cannot_be_deleted(database: Database, backend: str) -> None:
    for id_ in (FIRST, SECOND):
        await assert_refused(database, backend, f"DELETE FROM audit_events WHERE id = '{id_}'")


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_trail_cannot_be_truncated(database: Database, backend: str) -> None:
    await assert_refused(database, backend, "TRUNCATE audit_events")


async def test_facts_of_events_cannot_be_changed_even_while_sealing(database: Database, backend: str) -> None:
    for column in FACTS:
        change = f"{column} = {OTHER_VALUES.get(column, "'other'")}"
        for id_ in (FIRST, SECOND):
            await assert_refused(database, backend, f"UPDATE audit_events SET {change} WHERE id = '{id_}'")
        sealing = f"UPDATE audit_events SET position = 2, hash = 'y', {change} WHERE id = '{SECOND}'"
        await assert_refused(database, backend, sealing)


async def test_sealed_event_cannot_be_sealed_again_or_unsealed(database: Database, backend: str) -> None:
    for change in ("hash = 'y'", "position = 7", "position = NULL, hash = NULL", "action = action"):
        await assert_refused(database, backend, f"UPDATE audit_events SET {change} WHERE id = '{FIRST}'")


async def test_position_and_hash_cannot_be_set_alone(database: Database, backend: str) -> None:
    with pytest.raises(IntegrityError, match=r"sealed|can only grow"):
        await run(database, backend, f"UPDATE audit_events SET position = 2 WHERE id = '{SECOND}'")
    with pytest.raises(IntegrityError, match=r"sealed|can only grow"):
        await run(database, backend, f"UPDATE audit_events SET hash = 'y' WHERE id = '{SECOND}'")


async def test_sealed_event_cannot_be_inserted(database: Database, backend: str) -> None:
    await assert_refused(
        database,
        backend,
        "INSERT INTO audit_events (id, occurred_at, action, outcome, position, hash) "
        "VALUES ('00000000-0000-7000-8000-000000000003', '2026-12-01 00:00:00Z', 'look', 'ok', 2, 'y')",
    )


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_events_cannot_be_replaced(database: Database, backend: str) -> None:
    # REPLACE deletes conflicting rows without running the triggers for DELETE.
    await assert_refused(
        database,
        backend,
        f"INSERT OR REPLACE INTO audit_events (id, occurred_at, action, outcome) "
        f"VALUES ('{FIRST}', '2026-12-01 00:00:00Z', 'other', 'ok')",
    )
    await assert_refused(
        database, backend, f"UPDATE OR REPLACE audit_events SET position = 1, hash = 'y' WHERE id = '{SECOND}'"
    )
    with pytest.raises(Exception, match="no column named rowid"):
        await run(
            database,
            backend,
            "INSERT OR REPLACE INTO audit_events (rowid, id, occurred_at, action, outcome) VALUES (1, 'x', '', '', '')",
        )


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_events_cannot_be_overwritten_on_conflict(database: Database, backend: str) -> None:
    await assert_refused(
        database,
        backend,
        f"INSERT INTO audit_events (id, occurred_at, action, outcome) "
        f"VALUES ('{FIRST}', '2026-12-01 00:00:00Z', 'other', 'ok') ON CONFLICT (id) DO UPDATE SET action = 'other'",
    )
