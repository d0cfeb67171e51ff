"""Transactions that wait for a lock without taking a connection."""

import asyncio
from collections.abc import Awaitable
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.errors import DomainError
from app.db.database import Database, Transaction
from app.db.engine import create_engine
from app.db.lock_queues import PERMITS_PER_LOCK, LockQueues
from app.db.locks import lock_ids

LOCK = uuid4()


async def test_waiting_transactions_leave_connections_to_others(database: Database) -> None:
    """The pool has five connections. The transactions run in order, and each of them once."""
    first_has_lock, proceed = asyncio.Event(), asyncio.Event()
    ends: list[int] = []

    async def work(number: int) -> int:
        async def lock(transaction: Transaction) -> int:
            await lock_ids(transaction, LOCK)
            await transaction.execute(text("SELECT 1"))
            first_has_lock.set()
            await proceed.wait()
            ends.append(number)
            return number

        return await database.write_in_turn(lock)

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(work(number)) for number in range(50)]
        await first_has_lock.wait()
        for _ in range(20):
            async with database.read() as transaction:
                assert await transaction.scalar(text("SELECT 1")) == 1
        assert not ends
        proceed.set()
    assert [task.result() for task in running] == list(range(50))
    assert sorted(ends) == list(range(50))


async def test_lock_turn_over_the_time_limit_is_busy(database_url: str) -> None:
    engine = create_engine(database_url, pool_size=5, timeout=1)
    database = Database(engine)
    first_has_lock, done = asyncio.Event(), asyncio.Event()

    async def lock(transaction: Transaction) -> None:
        await lock_ids(transaction, LOCK)
        await transaction.execute(text("SELECT 1"))
        first_has_lock.set()
        await done.wait()

    async with asyncio.TaskGroup() as group:
        first = group.create_task(database.write_in_turn(lock))
        await first_has_lock.wait()
        others = [group.create_task(assert_busy(database.write_in_turn(lock))) for _ in range(PERMITS_PER_LOCK + 1)]
        await asyncio.gather(*others)
        assert not first.done()
        done.set()
    await database.write_in_turn(lock)
    await engine.dispose()


async def test_locks_taken_in_any_order_do_not_deadlock(database: Database) -> None:
    """Each transaction takes two locks, in either order."""
    locks = [uuid4() for _ in range(2)]
    runs = 0

    async def work(number: int) -> None:
        async def lock(transaction: Transaction) -> None:
            nonlocal runs
            await lock_ids(transaction, *locks[:: 1 if number % 2 else -1])
            await lock_ids(transaction, *locks, LOCK)
            runs += 1

        await database.write_in_turn(lock)

    await asyncio.gather(*(work(number) for number in range(30)))
    assert runs == 30


async def test_writer_without_a_connection_releases_its_turn(short_timeout_engine: AsyncEngine) -> None:
    database = Database(short_timeout_engine)  # with one connection
    async with database.read() as holder:
        await holder.execute(text("SELECT 1"))
        with pytest.raises(DomainError, match="busy"):
            async with database.write() as transaction:
                await transaction.execute(text("SELECT 1"))
    async with database.write() as transaction:
        assert await transaction.scalar(text("SELECT 1")) == 1


async def test_unused_lock_queue_is_removed() -> None:
    queues = LockQueues()
    async with queues.permits() as permits:
        await permits.acquire(frozenset({1, 2}))
        await permits.acquire(frozenset({2, 3}))
        assert set(queues._queues) == {1, 2, 3}
    del permits
    assert not queues._queues


async def assert_busy(work: Awaitable[None]) -> None:
    with pytest.raises(DomainError, match="busy"):
        await work
