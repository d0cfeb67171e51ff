"""The job that updates the index of next slots, in a busy process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.core import computing
from app.core.errors import DomainError
from app.core.fair_locks import ClientFairLock
from app.db.database import Database
from app.jobs.next_slot_index import update_next_slots
from app.repositories.search_offers import list_outdated
from tests.access.unknown_time_zone import set_unknown_time_zone
from tests.conftest import Register, SetClock
from tests.search.searching import open_doctor


class LimitedTurns(ClientFairLock):
    """A lock that can be taken ``left`` times, and then never again."""

    left = 0

    @asynccontextmanager
    async def hold(self, client: str) -> AsyncIterator[None]:
        if not self.left:
            await asyncio.Event().wait()
        self.left -= 1
        async with super().hold(client):
            yield


@pytest.fixture
async def turns(register: Register, monkeypatch: pytest.MonkeyPatch) -> LimitedTurns:
    """Turns of one step each, for the outdated offers of three doctors."""
    for name in ("Dr A", "Dr B", "Dr C"):
        await open_doctor(register, name)
    monkeypatch.setattr(computing, "SLICE", 0)
    monkeypatch.setattr(computing, "MAX_WAIT", 0.5)
    return LimitedTurns()


async def count_outdated(database: Database, clock: SetClock) -> int:
    async with database.read() as transaction:
        return len(await list_outdated(transaction, clock(), limit=10))


async def test_bounds_found_before_the_turns_ran_out_are_saved(
    database: Database, turns: LimitedTurns, clock: SetClock
) -> None:
    for left in (2, 1, 0):
        turns.left = 1
        await update_next_slots(database, turns, clock)
        assert await count_outdated(database, clock) == left


async def test_job_without_a_turn_fails(database: Database, turns: LimitedTurns, clock: SetClock) -> None:
    with pytest.raises(DomainError, match="busy"):
        await update_next_slots(database, turns, clock)
    assert await count_outdated(database, clock) == 3


async def test_job_without_a_turn_saves_bounds_that_need_no_computation(
    database: Database, turns: LimitedTurns, clock: SetClock, register: Register
) -> None:
    unknown = await register("doctor")
    await set_unknown_time_zone(database, unknown)
    await update_next_slots(database, turns, clock)
    assert await count_outdated(database, clock) == 3
