"""Pages compute a doctor's slots without a connection, even if the access is recorded, and no more than they need."""

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from app.repositories import bookings
from app.services.slots import MAX_LISTING, MAX_SEARCH
from tests.computing import watch_connections
from tests.people import Person
from tests.web.conftest import Forms

START = "2026-12-08T15:00:00Z"


@pytest.mark.parametrize("path", ["/my/appointments/{id}/move", "/practice/visits/{id}/move", "/with/{doctor}"])
async def test_no_connection_is_held_while_times_are_computed(
    app: FastAPI, forms: Forms, doctor: Person, patient: Person, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    booked = await patient.book(doctor, START)
    await forms.sign_in(doctor if path.startswith("/practice") else patient)
    held = watch_connections(app, monkeypatch)
    shown = await forms.client.get(path.format(id=booked["id"], doctor=doctor.id))
    assert shown.status_code == 200
    assert held
    assert set(held) == {0}


async def test_the_page_of_a_doctor_without_slots_looks_for_one_once(
    client: httpx2.AsyncClient, doctor: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    fetch_taken = bookings.fetch_busy

    async def count(*arguments: Any, **options: Any) -> Any:
        nonlocal reads
        reads += 1
        return await fetch_taken(*arguments, **options)

    monkeypatch.setattr(bookings, "fetch_busy", count)
    shown = await client.get(f"/with/{doctor.id}")
    assert shown.status_code == 200
    assert reads == -(-MAX_SEARCH // MAX_LISTING) + 1, "the year once, and the week that is shown"
