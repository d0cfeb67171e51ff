"""The job that looks for next visits gets on, however busy the process is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.core import computing
from app.core.computing import Processor
from app.core.errors import DomainError
from app.db.session import Sessions
from app.jobs.looking import look_once
from app.repositories.offers import list_outdated
from tests.access.test_unknown_time_zone import lose_zone
from tests.conftest import Join, SetClock
from tests.search.asking import open_doctor


class BusyProcessor(Processor):
    """Gives a few turns, and then no more."""

    turns = 0

    @asynccontextmanager
    async def take_turn(self, client: str) -> AsyncIterator[None]:
        if not self.turns:
            await asyncio.Event().wait()
        self.turns -= 1
        async with super().take_turn(client):
            yield


@pytest.fixture
async def processor(join: Join, monkeypatch: pytest.MonkeyPatch) -> BusyProcessor:
    """Has a step in each turn, and the offers of three doctors to look at."""
    for name in ("Dr A", "Dr B", "Dr C"):
        await open_doctor(join, name)
    monkeypatch.setattr(computing, "SLICE", 0)
    monkeypatch.setattr(computing, "MAX_WAIT", 0.5)
    return BusyProcessor()


async def count_outdated(sessions: Sessions, clock: SetClock) -> int:
    async with sessions.read() as session:
        return len(await list_outdated(session, clock(), limit=10))


async def test_what_was_found_before_the_turns_ran_out_is_kept(
    sessions: Sessions, processor: BusyProcessor, clock: SetClock
) -> None:
    for left in (2, 1, 0):
        processor.turns = 1
        await look_once(sessions, processor, clock)
        assert await count_outdated(sessions, clock) == left


async def test_a_job_without_a_turn_fails(sessions: Sessions, processor: BusyProcessor, clock: SetClock) -> None:
    with pytest.raises(DomainError, match="busy"):
        await look_once(sessions, processor, clock)
    assert await count_outdated(sessions, clock) == 3


async def test_a_job_without_a_turn_keeps_what_needs_no_computing(
    sessions: Sessions, processor: BusyProcessor, clock: SetClock, join: Join
) -> None:
    lost = await join("doctor")
    await lose_zone(sessions, lost)
    await look_once(sessions, processor, clock)
    assert await count_outdated(sessions, clock) == 3
