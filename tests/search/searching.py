"""Searches for slots, and doctors who are open for one morning."""

from typing import Any

import httpx2

from tests.conftest import Register
from tests.people import Person

# On Tuesday, 1 December 2026. At the start of a test, the clock shows 08:00 UTC of this day.
MORNING = ("2026-12-01T09:00:00Z", "2026-12-01T12:00:00Z")


async def search_slots(caller: httpx2.AsyncClient | Person, **query: str) -> list[dict[str, Any]]:
    """Return the first page of a search; ``from_`` is sent as ``from``."""
    response = await caller.get("/search/slots", params={name.rstrip("_"): value for name, value in query.items()})
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()
    return found


async def find_starts(caller: httpx2.AsyncClient | Person, **query: str) -> list[str]:
    return [each["start_time"] for each in await search_slots(caller, **query)]


async def find_doctors(client: httpx2.AsyncClient, **query: str) -> set[str]:
    """Return the names of the doctors whose slots are found."""
    return {each["doctor"]["name"] for each in await search_slots(client, **query)}


async def open_doctor(register: Register, name: str, **fields: str) -> Person:
    doctor = await register("doctor", name=name, **fields)
    await doctor.publish(*MORNING)
    return doctor
