"""Who commits, and what becomes of a database that is away."""

import asyncio
import sqlite3
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import thread_time
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import Insert, event, insert, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core import computing
from app.core.computing import Computation
from app.core.dependencies import Resources
from app.core.errors import DomainError
from app.core.turns import Turns, current_client
from app.db.engine import is_postgresql
from app.db.session import Session, Sessions
from app.models import PasswordReset
from tests.databases import connected
from tests.people import PASSWORD, Person, problem

LATER = datetime(2026, 12, 1, tzinfo=UTC)


def add(token_hash: str = "x", user_id: UUID | None = None) -> Insert:
    return insert(PasswordReset).values(token_hash=token_hash, user_id=user_id, expires_at=LATER)


async def count(sessions: Sessions) -> int:
    async with sessions.read() as session:
        counted: int = await session.scalar(text("SELECT count(*) FROM password_resets"))
        return counted


async def test_a_write_is_committed_at_the_end(sessions: Sessions) -> None:
    async with sessions.write() as session:
        await session.execute(add())
    assert await count(sessions) == 1


async def test_a_write_that_raises_leaves_nothing(sessions: Sessions) -> None:
    async def write_and_fail() -> None:
        async with sessions.write() as session:
            await session.execute(add())
            raise LookupError

    with pytest.raises(LookupError):
        await write_and_fail()
    assert await count(sessions) == 0


async def test_writers_take_turns_by_client(sessions: Sessions) -> None:
    """On SQLite one writes at a time: whoever sends many writes delays somebody else by one of them."""
    order: list[str] = []

    async def write(client: str) -> None:
        current_client.set(client)
        async with sessions.write() as session:
            await session.execute(add(str(uuid4())))
            order.append(client)

    async with asyncio.TaskGroup() as group:
        for client in (*["busy"] * 9, "other"):
            group.create_task(write(client))
            await asyncio.sleep(0)
    assert len(order) == 10
    if not is_postgresql(sessions.engine):
        assert order.index("other") <= 2


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_computing_waits_for_a_writer_on_sqlite_but_not_for_long(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(computing, "MAX_WAIT_FOR_WRITERS", 60)
    async with sessions.write() as session:
        await session.execute(add())
        task = asyncio.create_task(Computation(Turns(), "", writers=sessions.writers).run(range(1)))
        await session.execute(add("y"))
        assert not task.done()
    assert await task
    monkeypatch.setattr(computing, "MAX_WAIT_FOR_WRITERS", 0.01)
    async with sessions.write() as session:
        await session.execute(add("z"))
        assert await Computation(Turns(), "", writers=sessions.writers).run(range(1))


async def test_writers_do_not_wait_for_a_computation_that_rests(sessions: Sessions) -> None:
    def step(number: int) -> None:
        if number == 0:
            ends = thread_time() + 0.5
            while thread_time() < ends:
                pass

    task = asyncio.create_task(Computation(Turns(), "", writers=sessions.writers).run(map(step, range(2))))
    await asyncio.sleep(0)
    async with sessions.write() as session:
        await session.execute(add())
    assert not task.done()
    assert await task


async def test_a_session_that_asks_nothing_holds_nothing(impatient: AsyncEngine) -> None:
    sessions = Sessions(impatient)  # of one connection
    async with sessions.write(), sessions.read():
        assert await count(sessions) == 0


async def test_an_error_that_was_caught_is_no_commit(sessions: Sessions) -> None:
    """PostgreSQL takes a COMMIT then, and rolls back; SQLite has lost the one statement only."""

    async def write_the_same_twice() -> None:
        async with sessions.write() as session:
            await session.execute(add())
            with pytest.raises(IntegrityError):
                await session.execute(add())

    if sessions.engine.dialect.name == "sqlite":
        await write_the_same_twice()
        assert await count(sessions) == 1
    else:
        with pytest.raises(RuntimeError, match="nothing was committed"):
            await write_the_same_twice()
        assert await count(sessions) == 0


async def test_who_is_cancelled_leaves_a_connection_that_is_of_use(impatient: AsyncEngine) -> None:
    sessions = Sessions(impatient)  # of one connection
    done = asyncio.Event()

    async def write_and_wait() -> None:
        async with sessions.write() as session:
            await session.execute(add())
            done.set()
            await asyncio.sleep(60)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(write_and_wait())
        await done.wait()
        task.cancel()
    assert await count(sessions) == 0


async def test_who_is_cancelled_while_it_begins(impatient: AsyncEngine) -> None:
    """Whether it has begun by then nobody knows, so the next one must not find out."""
    sessions = Sessions(impatient)

    async def write() -> None:
        async with sessions.write() as session:
            await session.execute(add())

    for turns in range(12):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(write())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
        async with sessions.write() as session:
            await session.execute(text("DELETE FROM password_resets"))
        assert await count(sessions) == 0


async def test_a_read_leaves_nothing_whatever_it_does(sessions: Sessions) -> None:
    with suppress(DomainError):  # PostgreSQL says at once that the transaction is read-only
        async with sessions.read() as session:
            await session.execute(add())
    assert await count(sessions) == 0


async def test_a_naive_time_is_refused(sessions: Sessions) -> None:
    with pytest.raises(Exception, match="an instant needs a time zone"):
        async with sessions.write() as session:
            await session.execute(insert(PasswordReset).values(token_hash="x", expires_at=LATER.replace(tzinfo=None)))


async def test_times_come_back_in_utc(sessions: Sessions) -> None:
    async with sessions.write() as session:
        await session.execute(add())
    async with sessions.read() as session:
        row = (await session.execute(PasswordReset.__table__.select())).one()
        assert row.expires_at == LATER
        assert row.expires_at.utcoffset() == timedelta()


async def test_a_mistake_of_ours_is_not_called_busy(sessions: Sessions) -> None:
    with pytest.raises(Exception, match="nonsense"):
        async with sessions.write() as session:
            await session.execute(text("SELECT nonsense FROM nowhere"))
    with pytest.raises(IntegrityError):
        async with sessions.write() as session:
            await session.execute(add(user_id=uuid4()))


async def test_a_lock_that_is_held_too_long(impatient: AsyncEngine, sessions: Sessions) -> None:
    async with sessions.write() as holder:
        await holder.execute(add())
        with pytest.raises(DomainError, match="busy"):
            async with Sessions(impatient).write() as session:
                await session.execute(add())  # waits for the holder


async def test_a_pool_that_stays_empty(impatient: AsyncEngine) -> None:
    sessions = Sessions(impatient)
    async with sessions.read() as holder:
        await holder.execute(text("SELECT 1"))
        with pytest.raises(DomainError, match="busy"):
            await count(sessions)
    assert await count(sessions) == 0


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_connection_that_was_cut_is_replaced(impatient: AsyncEngine, sessions: Sessions) -> None:
    cut = Sessions(impatient)
    async with cut.read() as session:
        pid = await session.scalar(text("SELECT pg_backend_pid()"))
    async with sessions.write() as session:
        # Returns when it has ended, if that takes no longer than a minute.
        assert await session.scalar(text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": pid})
    assert await count(cut) == 0


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_connections_that_were_cut_are_replaced_together(database_url: str, sessions: Sessions) -> None:
    async with connected(database_url) as engine:
        several = Sessions(engine)
        async with several.read() as one, several.read() as other:
            pids = [await each.scalar(text("SELECT pg_backend_pid()")) for each in (one, other)]
        async with sessions.write() as session:
            for pid in pids:
                assert await session.scalar(text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": pid})
        async with several.write() as one, several.write() as other:
            await one.execute(add())
            await other.execute(add("y"))
        assert await count(several) == 2


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_connection_that_is_cut_before_the_commit(impatient: AsyncEngine, sessions: Sessions) -> None:
    cut = Sessions(impatient)

    async def write_and_be_cut() -> None:
        async with cut.write() as session, sessions.write() as other:
            await session.execute(add())
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            assert await other.scalar(text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": pid})

    with pytest.raises(DomainError, match="busy"):
        await write_and_be_cut()
    assert await count(cut) == 0


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_statement_that_takes_too_long(impatient: AsyncEngine) -> None:
    with pytest.raises(DomainError, match="busy"):
        async with Sessions(impatient).read() as session:
            await session.execute(text("SELECT pg_sleep(5)"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://nobody@127.0.0.1:1/nowhere",
        "postgresql+asyncpg://nobody@/nowhere?host=/tmp/there-is-no-such-folder",
        "sqlite+aiosqlite:////there-is-no-such-folder/x.db",
    ],
)
async def test_a_database_that_is_not_there(url: str) -> None:
    async with connected(url) as engine:
        with pytest.raises(DomainError, match="busy"):
            await count(Sessions(engine))


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_database_that_was_dropped(database_url: str) -> None:
    async with connected(database_url.replace("/tests_", "/no_tests_")) as engine:
        with pytest.raises(DomainError, match="busy"):
            await count(Sessions(engine))


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_isolation_is_ours_to_choose(sessions: Sessions) -> None:
    async with sessions.write() as session:
        assert await session.scalar(text("SHOW transaction_isolation")) == "read committed"
        assert await session.scalar(text("SHOW transaction_read_only")) == "off"
    async with sessions.read() as session:
        assert await session.scalar(text("SHOW transaction_read_only")) == "on"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_how_sqlite_is_opened(sessions: Sessions, database_url: str) -> None:
    async with sessions.read() as session:
        assert await session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert await session.scalar(text("PRAGMA foreign_keys")) == 1
        assert await session.scalar(text("PRAGMA synchronous")) == 2  # FULL: a commit survives a power cut
    async with sessions.write() as session:
        await session.execute(text("SELECT 1"))
        with (
            sqlite3.connect(database_url.removeprefix("sqlite+aiosqlite:///"), timeout=0) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("BEGIN IMMEDIATE")  # a writer has the lock from its first statement on
        other.close()


async def test_the_commit_comes_before_the_response(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the commit fails, nobody is told that it worked."""

    async def fail(_session: Session) -> None:
        raise ConnectionResetError

    body = {"email": "ann@example.com", "password": PASSWORD, "name": "Ann", "role": "patient"}
    with monkeypatch.context() as patch:
        patch.setattr(Session, "commit", fail)
        answer = await client.post("/auth/register", json=body)
        problem(answer, 503, "busy")
        assert int(answer.headers["retry-after"]) > 0
    assert (await client.post("/auth/register", json=body)).status_code == 201


async def test_an_error_leaves_nothing(doctor: Person, sessions: Sessions) -> None:
    problem(await doctor.delete(f"/doctors/availability/{uuid4()}"), 404, "not_found")
    async with sessions.read() as session:
        assert await session.scalar(text("SELECT schedule_version FROM doctors")) == 1


async def test_a_request_holds_one_connection(doctor: Person, app: FastAPI) -> None:
    resources: Resources = app.state.resources
    engine = resources.sessions.engine
    taken = 0
    most = 0

    def take(*_: object) -> None:
        nonlocal taken, most
        taken += 1
        most = max(most, taken)

    def give_back(*_: object) -> None:
        nonlocal taken
        taken -= 1

    event.listen(engine.sync_engine.pool, "checkout", take)
    event.listen(engine.sync_engine.pool, "checkin", give_back)
    await doctor.open("2026-12-08T09:00:00Z", "2026-12-08T10:00:00Z")
    await doctor.get("/doctors/me/appointments")
    assert (most, taken) == (1, 0)
