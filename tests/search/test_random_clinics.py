"""A search in a random clinic finds the slots that a list of every slot of every doctor contains."""

import httpx2
import pytest
from fastapi import FastAPI

from app.jobs.next_slot_index import update_next_slots
from tests.conftest import SetClock
from tests.search.clinics import RandomClinic, search

pytestmark = pytest.mark.slow

STEPS = 12
SEEDS = (0, 1, 2, 3, 6, 8)
"""In these clinics enough searches find something."""


@pytest.mark.parametrize("seed", SEEDS)
async def test_search_finds_the_slots_of_all_doctors(
    app: FastAPI, client: httpx2.AsyncClient, clock: SetClock, seed: int
) -> None:
    resources = app.state.resources
    clinic = RandomClinic(client, resources, clock, seed)
    await clinic.register_people(doctors=7, patients=3)
    hits = hits_in_doctor_zones = 0
    for _ in range(STEPS):
        await clinic.run_random_events()
        if clinic.random.random() < 0.2:
            await update_next_slots(resources.database, resources.processor, clock)
        viewer = clinic.random.choice([None, *clinic.patients])
        query = clinic.make_query()
        expected = await clinic.scan(viewer, query)
        limit = clinic.random.choice((3, 20)) if len(expected) < 60 else 100
        assert await search(viewer or client, query, limit) == expected, query
        hits += bool(expected)

        viewer = clinic.random.choice([None, *clinic.patients])
        query = clinic.make_query_in_doctor_zones()
        expected = await clinic.scan(viewer, query)
        limit = clinic.random.choice((3, 20)) if len(expected) < 60 else 100
        assert await clinic.search_in_doctor_zones(viewer, query, limit) == expected, query
        hits_in_doctor_zones += bool(expected)
    assert hits >= STEPS // 3, "too few searches found anything"
    assert hits_in_doctor_zones >= STEPS // 3, "too few searches in the doctors' zones found anything"
