"""Commits, rollbacks and failures of transactions."""

import asyncio
import sqlite3
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import thread_time
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from jinja2 import TemplateNotFound
from sqlalchemy import Insert, event, insert, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core import computing
from app.core.computing import Computation
from app.core.dependencies import Resources
from app.core.errors import DomainError
from app.core.fair_locks import ClientFairLock, current_client
from app.db.database import Database, Transaction, busy_if_away
from app.db.engine import is_postgresql
from app.models import PasswordReset
from tests.databases import open_engine
from tests.people import PASSWORD, Person, assert_problem

LATER = datetime(2026, 12, 1, tzinfo=UTC)


def insert_reset(token_hash: str = "x", user_id: UUID | None = None) -> Insert:
    return insert(PasswordReset).values(token_hash=token_hash, user_id=user_id, expires_at=LATER)


async def count_resets(database: Database) -> int:
    async with database.read() as transaction:
        counted: int = await transaction.scalar(text("SELECT count(*) FROM password_resets"))
        return counted


async def test_write_transaction_is_committed_at_the_end(database: Database) -> None:
    async with database.write() as transaction:
        await transaction.execute(insert_reset())
    assert await count_resets(database) == 1


async def test_write_transaction_that_raises_is_rolled_back(database: Database) -> None:
    async def write_and_fail() -> None:
        async with database.write() as transaction:
            await transaction.execute(insert_reset())
            raise LookupError

    with pytest.raises(LookupError):
        await write_and_fail()
    assert await count_resets(database) == 0


async def test_writers_take_turns_by_client(database: Database) -> None:
    """SQLite has one writer at a time. Many writes of one client delay another client by one of them."""
    order: list[str] = []

    async def write(client: str) -> None:
        current_client.set(client)
        async with database.write() as transaction:
            await transaction.execute(insert_reset(str(uuid4())))
            order.append(client)

    async with asyncio.TaskGroup() as group:
        for client in (*["busy"] * 9, "other"):
            group.create_task(write(client))
            await asyncio.sleep(0)
    assert len(order) == 10
    if not is_postgresql(database.engine):
        assert order.index("other") <= 2


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_computation_waits_for_a_writer_on_sqlite_up_to_a_limit(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(computing, "MAX_WAIT_FOR_WRITERS", 60)
    async with database.write() as transaction:
        await transaction.execute(insert_reset())
        task = asyncio.create_task(Computation(ClientFairLock(), "", writers=database.writers).run(range(1)))
        await transaction.execute(insert_reset("y"))
        assert not task.done()
    assert await task
    monkeypatch.setattr(computing, "MAX_WAIT_FOR_WRITERS", 0.01)
    async with database.write() as transaction:
        await transaction.execute(insert_reset("z"))
        assert await Computation(ClientFairLock(), "", writers=database.writers).run(range(1))


async def test_writers_do_not_wait_for_a_resting_computation(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(computing, "MAX_WAIT", 60)  # on a busy machine half a second of processor time takes longer

    def step(number: int) -> None:
        if number == 0:
            ends = thread_time() + 0.5
            while thread_time() < ends:
                pass

    task = asyncio.create_task(Computation(ClientFairLock(), "", writers=database.writers).run(map(step, range(2))))
    await asyncio.sleep(0)
    async with database.write() as transaction:
        await transaction.execute(insert_reset())
    assert not task.done()
    assert await task


async def test_transaction_without_statements_takes_no_connection(short_timeout_engine: AsyncEngine) -> None:
    database = Database(short_timeout_engine)  # with one connection
    async with database.write(), database.read():
        assert await count_resets(database) == 0


async def test_commit_after_a_caught_error_is_reported_if_it_rolled_back(database: Database) -> None:
    """PostgreSQL accepts the COMMIT but rolls back. SQLite has undone only the failed statement."""

    async def write_same_row_twice() -> None:
        async with database.write() as transaction:
            await transaction.execute(insert_reset())
            with pytest.raises(IntegrityError):
                await transaction.execute(insert_reset())

    if database.engine.dialect.name == "sqlite":
        await write_same_row_twice()
        assert await count_resets(database) == 1
    else:
        with pytest.raises(RuntimeError, match="nothing was committed"):
            await write_same_row_twice()
        assert await count_resets(database) == 0


async def test_connection_is_usable_after_a_transaction_was_cancelled(short_timeout_engine: AsyncEngine) -> None:
    database = Database(short_timeout_engine)  # with one connection
    done = asyncio.Event()

    async def write_and_wait() -> None:
        async with database.write() as transaction:
            await transaction.execute(insert_reset())
            done.set()
            await asyncio.sleep(60)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(write_and_wait())
        await done.wait()
        task.cancel()
    assert await count_resets(database) == 0


async def test_connection_is_usable_after_a_transaction_was_cancelled_while_it_began(
    short_timeout_engine: AsyncEngine,
) -> None:
    """The transaction may have begun when it is cancelled. The next one must not see a difference."""
    database = Database(short_timeout_engine)

    async def write() -> None:
        async with database.write() as transaction:
            await transaction.execute(insert_reset())

    for steps in range(12):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(write())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
        async with database.write() as transaction:
            await transaction.execute(text("DELETE FROM password_resets"))
        assert await count_resets(database) == 0


async def test_read_transaction_never_commits(database: Database) -> None:
    with suppress(DomainError):  # PostgreSQL refuses the statement at once
        async with database.read() as transaction:
            await transaction.execute(insert_reset())
    assert await count_resets(database) == 0


async def test_naive_time_is_refused(database: Database) -> None:
    with pytest.raises(Exception, match="an instant needs a time zone"):
        async with database.write() as transaction:
            await transaction.execute(
                insert(PasswordReset).values(token_hash="x", expires_at=LATER.replace(tzinfo=None))
            )


async def test_times_are_returned_in_utc(database: Database) -> None:
    async with database.write() as transaction:
        await transaction.execute(insert_reset())
    async with database.read() as transaction:
        row = (await transaction.execute(PasswordReset.__table__.select())).one()
        assert row.expires_at == LATER
        assert row.expires_at.utcoffset() == timedelta()


async def test_programming_errors_are_not_reported_as_busy(database: Database) -> None:
    with pytest.raises(Exception, match="nonsense"):
        async with database.write() as transaction:
            await transaction.execute(text("SELECT nonsense FROM nowhere"))
    with pytest.raises(IntegrityError):
        async with database.write() as transaction:
            await transaction.execute(insert_reset(user_id=uuid4()))


async def test_lock_over_the_time_limit_is_busy(short_timeout_engine: AsyncEngine, database: Database) -> None:
    async with database.write() as holder:
        await holder.execute(insert_reset())
        with pytest.raises(DomainError, match="busy"):
            async with Database(short_timeout_engine).write() as transaction:
                await transaction.execute(insert_reset())  # waits for the holder


async def test_exhausted_pool_is_busy(short_timeout_engine: AsyncEngine) -> None:
    database = Database(short_timeout_engine)
    async with database.read() as holder:
        await holder.execute(text("SELECT 1"))
        with pytest.raises(DomainError, match="busy"):
            await count_resets(database)
    assert await count_resets(database) == 0


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_terminated_connection_is_replaced(short_timeout_engine: AsyncEngine, database: Database) -> None:
    interrupted = Database(short_timeout_engine)
    async with interrupted.read() as transaction:
        pid = await transaction.scalar(text("SELECT pg_backend_pid()"))
    async with database.write() as transaction:
        # Returns when the process has ended, or after a minute.
        assert await transaction.scalar(text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": pid})
    assert await count_resets(interrupted) == 0


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_terminated_connections_are_replaced_together(database_url: str, database: Database) -> None:
    async with open_engine(database_url) as engine:
        several = Database(engine)
        async with several.read() as first, several.read() as second:
            pids = [await each.scalar(text("SELECT pg_backend_pid()")) for each in (first, second)]
        async with database.write() as transaction:
            for pid in pids:
                assert await transaction.scalar(text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": pid})
        async with several.write() as first, several.write() as second:
            await first.execute(insert_reset())
            await second.execute(insert_reset("y"))
        assert await count_resets(several) == 2


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_connection_terminated_before_the_commit_is_busy(
    short_timeout_engine: AsyncEngine, database: Database
) -> None:
    interrupted = Database(short_timeout_engine)

    async def write_while_terminated() -> None:
        async with interrupted.write() as transaction, database.write() as other:
            await transaction.execute(insert_reset())
            pid = await transaction.scalar(text("SELECT pg_backend_pid()"))
            assert await other.scalar(text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": pid})

    with pytest.raises(DomainError, match="busy"):
        await write_while_terminated()
    assert await count_resets(interrupted) == 0


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_statement_over_the_time_limit_is_busy(short_timeout_engine: AsyncEngine) -> None:
    with pytest.raises(DomainError, match="busy"):
        async with Database(short_timeout_engine).read() as transaction:
            await transaction.execute(text("SELECT pg_sleep(5)"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://nobody@127.0.0.1:1/nowhere",
        "postgresql+asyncpg://nobody@/nowhere?host=/tmp/there-is-no-such-folder",
        "sqlite+aiosqlite:////there-is-no-such-folder/x.db",
    ],
)
async def test_unreachable_database_is_busy(url: str) -> None:
    async with open_engine(url) as engine:
        with pytest.raises(DomainError, match="busy"):
            await count_resets(Database(engine))


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_dropped_database_is_busy(database_url: str) -> None:
    async with open_engine(database_url.replace("/tests_", "/no_tests_")) as engine:
        with pytest.raises(DomainError, match="busy"):
            await count_resets(Database(engine))


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_transaction_modes_of_postgresql(database: Database) -> None:
    async with database.write() as transaction:
        assert await transaction.scalar(text("SHOW transaction_isolation")) == "read committed"
        assert await transaction.scalar(text("SHOW transaction_read_only")) == "off"
    async with database.read() as transaction:
        assert await transaction.scalar(text("SHOW transaction_read_only")) == "on"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_pragmas_and_write_lock_of_sqlite(database: Database, database_url: str) -> None:
    async with database.read() as transaction:
        assert await transaction.scalar(text("PRAGMA journal_mode")) == "wal"
        assert await transaction.scalar(text("PRAGMA foreign_keys")) == 1
        assert await transaction.scalar(text("PRAGMA synchronous")) == 2  # FULL: a commit survives a power cut
    async with database.write() as transaction:
        await transaction.execute(text("SELECT 1"))
        with (
            sqlite3.connect(database_url.removeprefix("sqlite+aiosqlite:///"), timeout=0) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("BEGIN IMMEDIATE")  # a writer takes the lock with its first statement
        other.close()


async def test_failed_commit_is_never_answered_with_success(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:

    async def fail(_transaction: Transaction) -> None:
        raise ConnectionResetError

    body = {"email": "ann@example.com", "password": PASSWORD, "name": "Ann", "role": "patient"}
    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "commit", fail)
        response = await client.post("/auth/register", json=body)
        assert_problem(response, 503, "busy")
        assert int(response.headers["retry-after"]) > 0
    assert (await client.post("/auth/register", json=body)).status_code == 201


async def test_request_that_fails_changes_nothing(doctor: Person, database: Database) -> None:
    assert_problem(await doctor.delete(f"/doctors/availability/{uuid4()}"), 404, "not_found")
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT schedule_version FROM doctors")) == 1


async def test_request_takes_one_connection_at_a_time(doctor: Person, app: FastAPI) -> None:
    resources: Resources = app.state.resources
    engine = resources.database.engine
    taken = 0
    most_taken = 0
    pool = engine.sync_engine.pool

    def take(*_: object) -> None:
        nonlocal taken, most_taken
        taken += 1
        most_taken = max(most_taken, taken)

    def give_back(*_: object) -> None:
        nonlocal taken
        taken -= 1

    event.listen(pool, "checkout", take)
    event.listen(pool, "checkin", give_back)
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T10:00:00Z")
    await doctor.get("/doctors/me/appointments")
    event.remove(pool, "checkout", take)
    event.remove(pool, "checkin", give_back)
    assert (most_taken, taken) == (1, 0)


def test_missing_template_is_not_an_unavailable_database() -> None:
    """Jinja's error is an ``OSError``, like a connection that is refused."""
    with pytest.raises(TemplateNotFound), busy_if_away():
        raise TemplateNotFound("missing.html")
    with pytest.raises(DomainError) as refused, busy_if_away():
        raise ConnectionRefusedError
    assert refused.value.code == "busy"
