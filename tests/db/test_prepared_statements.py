"""Statements that are sent by the driver: results and errors must be those of SQLAlchemy."""

import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import bindparam, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.errors import DomainError
from app.core.permissions import Role
from app.db.base import table_of
from app.db.database import Database
from app.db.prepared import Prepared
from app.models import Doctor, PasswordReset, User
from tests.conftest import Register
from tests.people import Person

RESETS, DOCTORS, USERS = table_of(PasswordReset), table_of(Doctor), table_of(User)
INSERT = Prepared(insert(RESETS).returning(RESETS.c.token_hash, RESETS.c.expires_at))
INSERT_ONLY = Prepared(insert(RESETS))
FIND = Prepared(select(RESETS.c.token_hash, RESETS.c.expires_at).where(RESETS.c.token_hash == bindparam("wanted")))
UPDATE = Prepared(update(RESETS).where(RESETS.c.token_hash == bindparam("wanted")))
DELETE = Prepared(delete(RESETS).where(RESETS.c.token_hash == bindparam("wanted")))
# An enum, a list as JSON, an instant, NULLs, a column named twice, and a constant.
SELECT_DOCTOR = Prepared(
    select(USERS.c.id, DOCTORS.c.id, USERS.c.role, DOCTORS.c.languages, USERS.c.created_at, USERS.c.suspended_at)
    .join(DOCTORS, DOCTORS.c.id == USERS.c.id)
    .where(USERS.c.id == bindparam("wanted"), DOCTORS.c.default_visit_minutes > 1)
)
LATER = datetime(2026, 12, 1, 12, tzinfo=timezone(timedelta(hours=5)))
EARLIER = datetime(2026, 11, 1, tzinfo=UTC)


def make_row(**values: Any) -> dict[str, Any]:
    return {"token_hash": uuid4().hex, "user_id": None, "expires_at": LATER} | values


async def test_prepared_rows_equal_those_of_sqlalchemy(database: Database, doctor: Person, register: Register) -> None:
    other = await register("doctor", time_zone="Europe/Berlin")
    assert (await other.patch("/doctors/me", {"languages": ["de", "pt-BR"]})).status_code == 200
    async with database.read() as transaction:
        for person in (doctor, other):
            wanted = {"wanted": UUID(person.id)}
            [expected] = await transaction.execute(SELECT_DOCTOR.statement, wanted)
            [found] = await transaction.fetch(SELECT_DOCTOR, wanted)
            assert tuple(found) == tuple(expected)
            assert (found.role, found.suspended_at, found.created_at.tzinfo) == (Role.DOCTOR, None, UTC)
            assert found.languages == expected.languages


async def test_prepared_writes_are_stored(database: Database) -> None:
    first, second, third = make_row(), make_row(), make_row()
    async with database.write() as transaction:
        [new] = await transaction.fetch(INSERT, first)
        assert (new.token_hash, new.expires_at) == (first["token_hash"], LATER)
        [new] = await transaction.fetch(INSERT, second)
        assert (new.token_hash, new.expires_at) == (second["token_hash"], LATER)
        await transaction.send(INSERT_ONLY, [third])
        await transaction.send(UPDATE, [{"wanted": row["token_hash"], "expires_at": EARLIER} for row in (first, third)])
        assert await transaction.fetch(DELETE, {"wanted": second["token_hash"]}) == []
    async with database.read() as transaction:
        rows = await transaction.execute(select(RESETS.c.token_hash, RESETS.c.expires_at))
        assert {tuple(row) for row in rows} == {(row["token_hash"], EARLIER) for row in (first, third)}


async def test_transaction_can_begin_with_many_rows(database: Database) -> None:
    rows = [make_row(), make_row()]
    async with database.write() as transaction:
        await transaction.send(INSERT_ONLY, rows)
        assert len(await transaction.fetch(FIND, {"wanted": rows[1]["token_hash"]})) == 1


@pytest.mark.parametrize("rows_per_write", [1, 2])
async def test_prepared_errors_are_those_of_sqlalchemy(database: Database, rows_per_write: int) -> None:
    row = make_row()

    async def write(times: int) -> None:
        async with database.write() as transaction:
            await transaction.send(INSERT_ONLY, [row] * times)

    if rows_per_write == 1:
        await write(1)
    with pytest.raises(IntegrityError) as caught:
        await write(rows_per_write)
    assert caught.value.hide_parameters
    assert isinstance(caught.value.orig, (sqlite3.IntegrityError, asyncpg.UniqueViolationError))


async def test_missing_parameter_is_an_error(database: Database) -> None:
    async with database.write() as transaction:
        with pytest.raises(KeyError, match="wanted"):
            await transaction.fetch(UPDATE, {"expires_at": LATER})


async def test_naive_time_is_refused(database: Database) -> None:
    async with database.write() as transaction:
        with pytest.raises(TypeError, match="an instant needs a time zone"):
            await transaction.fetch(INSERT, make_row(expires_at=LATER.replace(tzinfo=None)))


async def test_prepared_writes_are_rolled_back_by_an_exception(database: Database) -> None:
    row = make_row()

    async def write_and_fail() -> None:
        async with database.write() as transaction:
            await transaction.fetch(INSERT, row)
            raise LookupError

    with pytest.raises(LookupError):
        await write_and_fail()
    async with database.read() as transaction:
        assert await transaction.fetch(FIND, {"wanted": row["token_hash"]}) == []


async def test_prepared_statements_are_observed(database: Database, statements: list[str]) -> None:
    async with database.write() as transaction:
        await transaction.fetch(INSERT, make_row())
        await transaction.send(INSERT_ONLY, [make_row(), make_row()])
        await transaction.execute(text("SELECT 1"))
    assert [each.split()[0] for each in statements] == ["INSERT", "INSERT", "SELECT"]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_connection_terminated_before_a_prepared_statement_is_busy(
    short_timeout_engine: AsyncEngine, database: Database
) -> None:
    interrupted = Database(short_timeout_engine)

    async def write_while_terminated() -> None:
        async with interrupted.write() as transaction, database.write() as other:
            pid = await transaction.scalar(text("SELECT pg_backend_pid()"))
            # Returns when the process has ended, or after a minute.
            assert await other.scalar(text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": pid})
            await transaction.fetch(INSERT, make_row())

    with pytest.raises(DomainError, match="busy"):
        await write_while_terminated()
    async with interrupted.write() as transaction:
        assert await transaction.fetch(INSERT, make_row())


async def test_lock_over_the_time_limit_is_busy(short_timeout_engine: AsyncEngine, database: Database) -> None:
    row = make_row()

    async def write_same_row() -> None:
        async with Database(short_timeout_engine).write() as transaction:
            await transaction.fetch(INSERT, row)

    async with database.write() as holder:
        await holder.fetch(INSERT, row)
        with pytest.raises(DomainError, match="busy"):
            await write_same_row()
