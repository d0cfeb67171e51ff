"""Whatever has happened, a search answers what looking at every slot of every doctor would."""

import httpx2
import pytest
from fastapi import FastAPI

from app.jobs.looking import look_once
from tests.conftest import SetClock
from tests.search.worlds import World, search

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
            await look_once(resources.sessions, resources.processor, clock)
        viewer = world.random.choice([None, *world.patients])
        query = world.query()
        expected = await world.scan(viewer, query)
        limit = world.random.choice((3, 20)) if len(expected) < 60 else 100
        assert await search(viewer or client, query, limit) == expected, query
        hits += bool(expected)
    assert hits >= STEPS // 3, "the worlds are too empty to show anything"
