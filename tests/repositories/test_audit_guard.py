"""The database lets the audit trail grow, and nothing else, whoever writes."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.db.database import Database, Transaction
from app.models import AuditEvent

FIRST, SECOND = (f"00000000-0000-7000-8000-{number:012}" for number in (1, 2))
COLUMNS = [column.name for column in AuditEvent.__table__.columns]
FACTS = [column for column in COLUMNS if column not in {"position", "hash"}]
OTHER = {
    "id": "'00000000-0000-7000-8000-000000000003'",
    "occurred_at": "'2026-12-02 00:00:00Z'",
    "actor_role": "'doctor'",
} | {f"{who}_id": "'00000000-0000-7000-8000-000000000009'" for who in ("actor", "patient", "object")}


@pytest.fixture(autouse=True)
async def events(database: Database, backend: str) -> None:
    """One that is sealed, and one that is not."""
    for id_ in (FIRST, SECOND):
        await run(
            database,
            backend,
            f"INSERT INTO audit_events (id, occurred_at, action, outcome) "
            f"VALUES ('{id_}', '2026-12-01 00:00:00Z', 'look', 'ok')",
        )
    await run(database, backend, f"UPDATE audit_events SET position = 1, hash = 'x' WHERE id = '{FIRST}'")


async def run(database: Database, backend: str, statement: str) -> None:
    if backend == "sqlite":  # ids and times are spelt otherwise there
        for id_ in (FIRST, SECOND):
            statement = statement.replace(id_, id_.replace("-", ""))
        statement = statement.replace(":00Z'", ":00.000000'")
    async with database.write() as transaction:
        await transaction.execute(text(statement))


async def rows(transaction: Transaction) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await transaction.execute(text("SELECT * FROM audit_events ORDER BY id"))]


async def refuse(database: Database, backend: str, statement: str) -> None:
    async with database.read() as transaction:
        before = await rows(transaction)
    with pytest.raises(IntegrityError, match="audit_events can only grow"):
        await run(database, backend, statement)
    async with database.read() as transaction:
        assert await rows(transaction) == before


@pytest.mark.parametrize("which", [FIRST, SECOND])
async def test_nothing_is_deleted(database: Database, backend: str, which: str) -> None:
    await refuse(database, backend, f"DELETE FROM audit_events WHERE id = '{which}'")


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_nothing_is_truncated(database: Database, backend: str) -> None:
    await refuse(database, backend, "TRUNCATE audit_events")


@pytest.mark.parametrize("column", FACTS)
async def test_no_fact_is_changed_not_even_while_sealing(database: Database, backend: str, column: str) -> None:
    change = f"{column} = {OTHER.get(column, "'other'")}"
    for which in (FIRST, SECOND):
        await refuse(database, backend, f"UPDATE audit_events SET {change} WHERE id = '{which}'")
    await refuse(database, backend, f"UPDATE audit_events SET position = 2, hash = 'y', {change} WHERE id = '{SECOND}'")


@pytest.mark.parametrize("change", ["hash = 'y'", "position = 7", "position = NULL, hash = NULL", "action = action"])
async def test_a_seal_is_not_changed(database: Database, backend: str, change: str) -> None:
    await refuse(database, backend, f"UPDATE audit_events SET {change} WHERE id = '{FIRST}'")


async def test_half_a_seal_is_none(database: Database, backend: str) -> None:
    with pytest.raises(IntegrityError, match=r"sealed|can only grow"):
        await run(database, backend, f"UPDATE audit_events SET position = 2 WHERE id = '{SECOND}'")
    with pytest.raises(IntegrityError, match=r"sealed|can only grow"):
        await run(database, backend, f"UPDATE audit_events SET hash = 'y' WHERE id = '{SECOND}'")


async def test_nothing_is_born_sealed(database: Database, backend: str) -> None:
    await refuse(
        database,
        backend,
        "INSERT INTO audit_events (id, occurred_at, action, outcome, position, hash) "
        "VALUES ('00000000-0000-7000-8000-000000000003', '2026-12-01 00:00:00Z', 'look', 'ok', 2, 'y')",
    )


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_nothing_is_replaced(database: Database, backend: str) -> None:
    """REPLACE deletes what is in its way, and asks no trigger for DELETE."""
    await refuse(
        database,
        backend,
        f"INSERT OR REPLACE INTO audit_events (id, occurred_at, action, outcome) "
        f"VALUES ('{FIRST}', '2026-12-01 00:00:00Z', 'other', 'ok')",
    )
    await refuse(
        database, backend, f"UPDATE OR REPLACE audit_events SET position = 1, hash = 'y' WHERE id = '{SECOND}'"
    )
    with pytest.raises(Exception, match="no column named rowid"):
        await run(
            database,
            backend,
            "INSERT OR REPLACE INTO audit_events (rowid, id, occurred_at, action, outcome) VALUES (1, 'x', '', '', '')",
        )


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_nothing_is_overwritten_on_conflict(database: Database, backend: str) -> None:
    await refuse(
        database,
        backend,
        f"INSERT INTO audit_events (id, occurred_at, action, outcome) "
        f"VALUES ('{FIRST}', '2026-12-01 00:00:00Z', 'other', 'ok') ON CONFLICT (id) DO UPDATE SET action = 'other'",
    )
