"""Whatever has happened, a search answers what looking at every slot of every doctor would."""

from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest
from fastapi import FastAPI

from app.jobs.next_slot_index import update_next_slots
from tests.conftest import SetClock
from tests.search.worlds import World, search, search_on_own_clocks

STEPS = 12


@pytest.mark.parametrize("seed", range(6))
async def test_a_search_is_as_good_as_looking_at_everything(
    app: FastAPI, client: httpx2.AsyncClient, clock: SetClock, seed: int
) -> None:
    resources = app.state.resources
    world = World(client, resources, clock, seed)
    await world.people(doctors=7, patients=3)
    hits = 0
    for _ in range(STEPS):
        for _ in range(world.random.randint(1, 4)):
            await world.happen()
        if world.random.random() < 0.2:
            await update_next_slots(resources.database, resources.processor, clock)
        viewer = world.random.choice([None, *world.patients])
        query = world.query()
        expected = await world.scan(viewer, query)
        limit = world.random.choice((3, 20)) if len(expected) < 60 else 100
        assert await search(viewer or client, query, limit) == expected, query
        hits += bool(expected)
    assert hits >= STEPS // 3, "the worlds are too empty to show anything"


@pytest.mark.parametrize("seed", range(4))
async def test_a_search_on_each_doctors_own_clock_is_as_good(
    app: FastAPI, client: httpx2.AsyncClient, clock: SetClock, seed: int
) -> None:
    world = World(client, app.state.resources, clock, seed)
    await world.people(doctors=7, patients=3)
    hits = 0
    for _ in range(STEPS):
        for _ in range(world.random.randint(1, 4)):
            await world.happen()
        viewer = world.random.choice([None, *world.patients])
        days = world.random.choice((None, 0, 1, 2, 5))
        query = replace(
            world.query(),
            time_zone=None,
            mode=None,
            visit=None,
            between=world.random.choice((("00:00", "12:00"), ("12:00", "17:00"), ("17:00", "24:00"), None)),
            first=None,
            first_day=clock.time.date() + timedelta(days=days) if days is not None else None,
            last=clock.time + timedelta(days=12),
        )
        expected = await world.scan(viewer, query)
        limit = world.random.choice((3, 20)) if len(expected) < 60 else 100
        assert await search_on_own_clocks(world, viewer, query, limit) == expected, query
        hits += bool(expected)
    assert hits >= STEPS // 3, "the worlds are too empty to show anything"
