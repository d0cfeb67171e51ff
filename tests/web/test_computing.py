"""Pages compute a doctor's slots without a connection, and no more often than needed."""

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


async def test_no_connection_is_held_while_slots_are_computed(
    app: FastAPI, forms: Forms, doctor: Person, patient: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    visit = (await patient.book(doctor, START))["id"]
    held = watch_connections(app, monkeypatch)
    for person, path in (
        (patient, f"/my/appointments/{visit}/move"),
        (doctor, f"/practice/visits/{visit}/move"),
        (patient, f"/with/{doctor.id}"),
    ):
        await forms.sign_in(person)
        held.clear()
        assert (await forms.client.get(path)).status_code == 200
        assert set(held) == {0}, path


async def test_page_of_a_doctor_without_slots_searches_once(
    client: httpx2.AsyncClient, doctor: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    fetch_busy = bookings.fetch_busy

    async def count(*arguments: Any, **options: Any) -> Any:
        nonlocal reads
        reads += 1
        return await fetch_busy(*arguments, **options)

    monkeypatch.setattr(bookings, "fetch_busy", count)
    shown = await client.get(f"/with/{doctor.id}")
    assert shown.status_code == 200
    assert reads == -(-MAX_SEARCH // MAX_LISTING) + 1, "the year once, and the week on the page"
