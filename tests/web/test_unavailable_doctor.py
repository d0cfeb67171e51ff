"""A visit with a doctor who can no longer be booked."""

import re
from datetime import UTC, datetime

import httpx2
import pytest
from sqlalchemy import text

from app.db.database import Database
from tests.conftest import SetClock
from tests.people import Person, assert_problem
from tests.web.conftest import Forms

TEN, ELEVEN = "2026-12-08T15:00:00Z", "2026-12-08T16:00:00Z"


@pytest.fixture
async def visit(doctor: Person, patient: Person) -> str:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    return str((await patient.book(doctor, TEN))["id"])


@pytest.fixture(params=["suspended", "unapproved"])
async def unavailable(
    request: pytest.FixtureRequest, visit: str, doctor: Person, admin: Person, database: Database
) -> str:
    """A visit with a doctor who can no longer be booked."""
    if request.param == "suspended":
        assert (
            await admin.post(f"/admin/users/{doctor.id}/suspend", {"reason": "Has retired from the practice"})
        ).status_code == 200
    else:
        async with database.write() as transaction:
            await transaction.execute(text("UPDATE doctors SET approved_at = NULL"))
    return visit


async def test_visit_of_an_unavailable_doctor_cannot_be_moved(patient: Person, unavailable: str) -> None:
    path = f"/appointments/{unavailable}"
    before = (await patient.get(path)).json()
    assert_problem(await patient.post(f"{path}/reschedule", {"start_time": ELEVEN}), 409, "doctor_unavailable")
    assert (await patient.get(path)).json() == before


async def test_visit_of_an_unavailable_doctor_can_be_cancelled(patient: Person, unavailable: str) -> None:
    cancelled = await patient.post(f"/appointments/{unavailable}/cancel", {"reason": "The doctor has left"})
    assert cancelled.json()["status"] == "cancelled"


async def test_page_offers_to_cancel_but_not_to_move(
    patient: Person, unavailable: str, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await forms.sign_in(patient)
    address = f"/my/appointments/{unavailable}"
    shown = (await client.get(address)).text
    assert "This doctor is not taking bookings at the moment" in shown
    assert "Find another doctor" in shown
    assert f"{address}/move" not in shown
    for query in ("", f"?start={TEN}"):
        moved = await client.get(f"{address}/move{query}")
        assert (moved.status_code, moved.headers["location"]) == (303, address)
    refused = await forms.send(f"{address}/move", on=address, version="1", start=ELEVEN)
    assert refused.status_code == 409
    assert "This doctor is not taking bookings at the moment." in refused.text
    assert f"{address}/move?" not in refused.text
    assert (await forms.send(f"{address}/cancel", version="1")).status_code == 303
    shown = (await client.get(address)).text
    assert "/with/" not in shown
    assert "Find another doctor" in shown


async def test_page_offers_nothing_after_the_cut_off(
    patient: Person, unavailable: str, forms: Forms, client: httpx2.AsyncClient, clock: SetClock, database: Database
) -> None:
    async with database.write() as transaction:
        await transaction.execute(text("UPDATE doctors SET cancel_cutoff_minutes = 60"))
    clock.time = datetime(2026, 12, 8, 14, 30, tzinfo=UTC)
    await forms.sign_in(patient)
    shown = (await client.get(f"/my/appointments/{unavailable}")).text
    assert "This doctor is not taking bookings at the moment." in shown
    assert not re.search(r'href="[^"]*/(move|cancel)"', shown)


async def test_links_of_a_visit_with_an_erased_doctor_work(
    doctor: Person, patient: Person, visit: str, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await doctor.delete(f"/appointments/{visit}")
    assert (await doctor.delete("/auth/me")).status_code == 204
    await forms.sign_in(patient)
    shown = (await client.get(f"/my/appointments/{visit}")).text
    links = set(re.findall(r'href="(/[^"]*)"', shown))
    assert links
    assert not [link for link in links if (await client.get(link)).status_code != 200]


async def test_unapproved_doctor_can_move_visits(doctor: Person, visit: str, database: Database) -> None:
    async with database.write() as transaction:
        await transaction.execute(text("UPDATE doctors SET approved_at = NULL"))
    moved = await doctor.post(f"/appointments/{visit}/reschedule", {"start_time": ELEVEN})
    assert moved.json()["start_time"] == ELEVEN
