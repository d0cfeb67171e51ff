"""The job that seals the audit trail."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from app.core.audit_actions import AuditAction
from app.core.hash_chain import chain_key
from app.db.database import Database
from app.jobs import audit_seal as job
from app.jobs.periodic import run_periodically
from app.repositories.audit import count_unsealed
from app.services import audit
from app.services.audit import BrokenChainError, Event
from tests.databases import bypass_audit_guard, open_engine
from tests.people import Person
from tests.servers import clients, serve

KEY = chain_key("a secret")
NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)


@pytest.fixture(autouse=True)
def log_jobs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "app.jobs")


def run_sealing(database: Database) -> AbstractAsyncContextManager[None]:
    state = job.SealState()
    # The lambda looks ``seal_all`` up at each run, so that tests can replace what it calls.
    return run_periodically("audit seal", lambda: job.seal_all(database, KEY, state), seconds=0.02)


async def record(database: Database, count: int) -> None:
    async with database.write() as transaction:
        await audit.record(transaction, *[Event(AuditAction.GET_APPOINTMENT)] * count, now=NOW)


async def count_sealed(database: Database) -> int:
    return (await audit.verify(database, KEY, progress=lambda _: None)).sealed


async def wait_until(happens: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await happens():  # noqa: ASYNC110 - what is waited for is in a database, or a log
            await asyncio.sleep(0.01)


async def test_new_events_are_sealed_and_each_head_is_logged(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audit, "BATCH", 2)

    async def all_are_sealed() -> bool:
        return await count_sealed(database) == 6

    await record(database, 5)
    async with run_sealing(database), run_sealing(database):
        await record(database, 1)
        await wait_until(all_are_sealed)
    verified = await audit.verify(database, KEY, progress=lambda _: None)
    heads = [message.rpartition(" ")[2] for message in caplog.messages]
    # The job that sealed last may not be the last to log.
    assert str(verified.head) in heads
    assert len(set(heads)) == len(heads) >= 3


async def test_sealing_ends_with_the_application(database: Database) -> None:
    async with run_sealing(database):
        assert any(task.get_name() == "audit seal" for task in asyncio.all_tasks())
    assert not any(task.get_name() == "audit seal" for task in asyncio.all_tasks())


async def test_sealing_writes_nothing_if_no_event_is_new(
    database: Database, statements: list[str], backend: str, database_url: str
) -> None:
    await record(database, 1)
    assert await job.seal_once(database, KEY, job.SealState()) == 1
    statements.clear()
    assert await job.seal_once(database, KEY, job.SealState()) == 0
    assert [each.split()[0] for each in statements if not each.startswith("BEGIN")] == ["SELECT"] * 3
    if backend == "sqlite":
        with sqlite3.connect(database_url.removeprefix("sqlite+aiosqlite:///"), timeout=0) as writer:
            writer.execute("BEGIN IMMEDIATE")
            assert await job.seal_once(database, KEY, job.SealState()) == 0
        writer.close()


async def test_unavailable_database_is_logged_once_and_retried(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def rename(old: str, new: str) -> None:
        async with database.write() as transaction:
            await transaction.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    async def is_logged(words: str) -> bool:
        return any(words in message for message in caplog.messages)

    tries = before = 0
    seal_once = job.seal_once

    async def counting(*arguments: object) -> int:
        nonlocal tries
        tries += 1
        return await seal_once(*arguments)  # type: ignore[arg-type] # passed on unchanged

    async def tried_again() -> bool:
        return tries >= before + 3

    monkeypatch.setattr(job, "seal_once", counting)
    await record(database, 1)
    await rename("audit_events", "renamed")
    try:
        async with run_sealing(database):
            await wait_until(lambda: is_logged("job failed: audit seal"))
            before = tries
            await wait_until(tried_again)
            assert sum("job failed: audit seal" in message for message in caplog.messages) == 1
            await rename("renamed", "audit_events")
            await wait_until(lambda: is_logged("job recovered: audit seal"))
    except TimeoutError:
        await rename("renamed", "audit_events")
        raise
    assert await count_sealed(database) == 1


async def test_unreachable_server_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def is_logged() -> bool:
        return bool(caplog.messages)

    async with (
        open_engine("postgresql+asyncpg://someone@127.0.0.1:1/nowhere") as engine,
        run_sealing(Database(engine)),
    ):
        await wait_until(is_logged)
    assert "job failed: audit seal" in caplog.messages[0]


@pytest.mark.slow
async def test_two_server_processes_continue_one_chain(database: Database, database_url: str) -> None:
    async def all_are_sealed() -> bool:
        verified = await audit.verify(database, chain_key("of these servers"), progress=lambda _: None)
        return (verified.sealed, verified.unsealed) == (44, 0)

    async with serve(database_url, processes=2, AUDIT_KEY="of these servers") as servers, clients(servers) as opened:
        people = await asyncio.gather(*(Person.register(client, "patient") for client in opened))
        for _ in range(4):
            await asyncio.gather(*(person.patch("/auth/me", {"name": "Ann"}) for person in people for _ in range(5)))
        await wait_until(all_are_sealed)


async def test_unsealed_events_are_not_sealed_again(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    async def is_logged() -> bool:
        return any("job failed: audit seal" in message for message in caplog.messages)

    state = job.SealState()
    await record(database, 3)
    assert await job.seal_once(database, KEY, state) == 3
    async with database.write() as transaction:
        await bypass_audit_guard(transaction)
        await transaction.execute(text("UPDATE audit_events SET position = NULL, hash = NULL WHERE position > 1"))
    with pytest.raises(BrokenChainError, match="has lost position 3"):
        await job.seal_once(database, KEY, state)
    async with run_periodically("audit seal", lambda: job.seal_all(database, KEY, state), seconds=0.02):
        await wait_until(is_logged)
    assert await count_sealed(database) == 1


async def test_truncated_trail_is_noticed_without_new_events(database: Database) -> None:
    state = job.SealState()
    await record(database, 3)
    await job.seal_all(database, KEY, state)
    assert not state.failing
    async with database.write() as transaction:
        await bypass_audit_guard(transaction)
        await transaction.execute(text("DELETE FROM audit_events WHERE position > 1"))
    with pytest.raises(BrokenChainError, match="has lost position 3"):
        await job.seal_all(database, KEY, state)
    assert state.failing


async def test_last_events_are_sealed_at_shutdown(database: Database) -> None:
    async with run_sealing(database):
        await wait_until(lambda: is_everything_sealed(database))
        await record(database, 1)
    assert await is_everything_sealed(database)


async def is_everything_sealed(database: Database) -> bool:
    async with database.read() as transaction:
        return await count_unsealed(transaction) == 0
