"""Asking for the earliest visits, in a clinic whose doctors are open for a morning."""

from typing import Any

import httpx2

from tests.conftest import Register
from tests.people import Person

# On Tuesday, 1 December 2026, at 08:00 UTC, as the clock shows.
MORNING = ("2026-12-01T09:00:00Z", "2026-12-01T12:00:00Z")


async def find(asker: httpx2.AsyncClient | Person, **query: str) -> list[str]:
    """The starts of the visits that are found."""
    return [each["start_time"] for each in await answer(asker, **query)]


async def answer(asker: httpx2.AsyncClient | Person, **query: str) -> list[dict[str, Any]]:
    """What is found; ``from_`` is sent as ``from``."""
    answered = await asker.get("/search/slots", params={name.rstrip("_"): value for name, value in query.items()})
    assert answered.status_code == 200, answered.text
    found: list[dict[str, Any]] = answered.json()
    return found


async def names(client: httpx2.AsyncClient, **query: str) -> set[str]:
    """With whom the visits are that are found."""
    return {each["doctor"]["name"] for each in await answer(client, **query)}


async def open_doctor(register: Register, name: str, **fields: str) -> Person:
    doctor = await register("doctor", name=name, **fields)
    await doctor.publish(*MORNING)
    return doctor
