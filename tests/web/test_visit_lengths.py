"""A visit keeps the length that was held or booked, even if its type changes."""

import re
from typing import Any

import httpx2
import pytest

from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, get_slots
from tests.web.conftest import Forms
from tests.web.markup import read_hidden

ELEVEN, END = "2026-12-08T16:00:00Z", "2026-12-08T16:20:00Z"
LATER, LATER_END = "2026-12-08T17:20:00Z", "2026-12-08T17:40:00Z"


@pytest.fixture
async def visit_type(doctor: Person) -> str:
    """A visit type of twenty minutes, with buffers of ten minutes before and after."""
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    offered = await doctor.add_visit_type(duration_minutes=20, buffer_before_minutes=10, buffer_after_minutes=10)
    return str(offered["id"])


async def lengthen(doctor: Person, visit_type: str) -> None:
    changed = await doctor.patch(
        f"/doctors/me/visit-types/{visit_type}",
        {"duration_minutes": 60, "buffer_before_minutes": 0, "buffer_after_minutes": 30},
    )
    assert changed.status_code == 200


async def hold(patient: Person, doctor: Person, visit_type: str | None, start: str = ELEVEN) -> dict[str, Any]:
    wanted = {"doctor_id": doctor.id, "start_time": start} | ({"visit_type_id": visit_type} if visit_type else {})
    response = await patient.post("/holds", wanted)
    assert response.status_code == 201, response.text
    held: dict[str, Any] = response.json()
    return held


@pytest.mark.parametrize("end", [None, END], ids=["without end", "with end"])
async def test_held_visit_keeps_its_length_and_buffers(
    doctor: Person, patient: Person, register: Register, visit_type: str, end: str | None
) -> None:
    other = await register()
    held = await hold(patient, doctor, visit_type)
    await lengthen(doctor, visit_type)
    booked = await patient.book(doctor, ELEVEN, end, visit_type_id=visit_type, hold_id=held["id"])
    assert (booked["start_time"], booked["end_time"]) == (ELEVEN, END)
    # The visit keeps its own buffer of ten minutes, and does not get one of half an hour.
    found = await get_slots(other, doctor, "2026-12-08T15:00:00Z", "2026-12-08T18:00:00Z", visit_type)
    assert [start for start, _, _ in found] == ["2026-12-08T17:00:00Z"]


async def test_held_time_is_booked_longer_on_request(doctor: Person, patient: Person, visit_type: str) -> None:
    held = await hold(patient, doctor, visit_type)
    await doctor.patch(f"/doctors/me/visit-types/{visit_type}", {"duration_minutes": 60, "slot_step_minutes": 30})
    booked = await patient.book(doctor, ELEVEN, "2026-12-08T17:00:00Z", visit_type_id=visit_type, hold_id=held["id"])
    assert booked["end_time"] == "2026-12-08T17:00:00Z"


async def test_held_time_is_refused_during_time_off(doctor: Person, patient: Person, visit_type: str) -> None:
    held = await hold(patient, doctor, visit_type)
    await lengthen(doctor, visit_type)
    await doctor.take_time_off("2026-12-08T16:10:00Z", LATER)
    refused = await patient.try_to_book(doctor, ELEVEN, visit_type_id=visit_type, hold_id=held["id"])
    assert_problem(refused, 409, "time_off")


async def test_expired_hold_does_not_keep_its_length(
    doctor: Person, patient: Person, visit_type: str, clock: SetClock
) -> None:
    held = await hold(patient, doctor, visit_type)
    await doctor.patch(f"/doctors/me/visit-types/{visit_type}", {"duration_minutes": 40, "slot_step_minutes": 20})
    clock.advance(minutes=5)
    assert_problem(
        await patient.try_to_book(doctor, ELEVEN, END, visit_type_id=visit_type, hold_id=held["id"]),
        409,
        "wrong_length",
    )
    booked = await patient.book(doctor, ELEVEN, visit_type_id=visit_type, hold_id=held["id"])
    assert booked["end_time"] == "2026-12-08T16:40:00Z"


async def test_hold_without_a_visit_type_keeps_its_length(doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    held = await hold(patient, doctor, None)
    await doctor.update_profile(default_visit_minutes=60)
    booked = await patient.book(doctor, ELEVEN, hold_id=held["id"])
    assert booked["end_time"] == held["end_time"] == "2026-12-08T16:30:00Z"


@pytest.mark.parametrize("names_visit_type", [False, True], ids=["without visit type", "with visit type"])
@pytest.mark.parametrize("role", ["doctor", "patient"])
async def test_moved_visit_keeps_its_length(
    doctor: Person, patient: Person, register: Register, visit_type: str, role: str, names_visit_type: bool
) -> None:
    booked = await patient.book(doctor, ELEVEN, visit_type_id=visit_type)
    await lengthen(doctor, visit_type)
    body = {"start_time": LATER} | ({"visit_type_id": visit_type} if names_visit_type else {})
    moved = await {"doctor": doctor, "patient": patient}[role].post(f"/appointments/{booked['id']}/reschedule", body)
    assert (moved.json()["start_time"], moved.json()["end_time"]) == (LATER, LATER_END)
    # The visit has its own buffer of ten minutes, not the half hour of new visits.
    found = await get_slots(await register(), doctor, "2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z", visit_type)
    assert [start for start, _, _ in found] == [
        "2026-12-08T14:00:00Z",
        "2026-12-08T15:30:00Z",
        "2026-12-08T18:30:00Z",
        "2026-12-08T20:00:00Z",
    ]


async def test_visit_moved_to_another_visit_type_takes_its_length(
    doctor: Person, patient: Person, visit_type: str
) -> None:
    booked = await patient.book(doctor, ELEVEN, visit_type_id=visit_type)
    other = await doctor.add_visit_type(name="First visit", duration_minutes=60)
    body = {"start_time": "2026-12-08T17:00:00Z", "visit_type_id": other["id"]}
    moved = await patient.post(f"/appointments/{booked['id']}/reschedule", body)
    assert moved.json()["end_time"] == "2026-12-08T18:00:00Z"


async def test_pages_offer_and_show_the_length_of_the_moved_visit(
    doctor: Person, patient: Person, visit_type: str, forms: Forms, client: httpx2.AsyncClient
) -> None:
    booked = await patient.book(doctor, ELEVEN, visit_type_id=visit_type)
    await lengthen(doctor, visit_type)
    await forms.sign_in(patient)
    address = f"/my/appointments/{booked['id']}/move"
    offered = re.findall(r'name="start" value="([^"]+)"', (await client.get(f"{address}?week=2026-12-08")).text)
    # As close to its own time as twenty minutes fit.
    assert "2026-12-08T15:20:00Z" in offered
    shown = (await client.get(f"{address}?start=2026-12-08T15:20:00Z")).text
    assert "20 minutes" in shown
    moved = await forms.send(
        address, on=f"{address}?start=2026-12-08T15:20:00Z", version="1", start="2026-12-08T15:20:00Z"
    )
    assert moved.status_code == 303
    assert (await patient.get(f"/appointments/{booked['id']}")).json()["end_time"] == "2026-12-08T15:40:00Z"


async def test_page_books_the_length_that_it_shows(
    doctor: Person, patient: Person, visit_type: str, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await forms.sign_in(patient)
    picked = await forms.send("/visit/pick", on="/my/account", doctor=doctor.id, type=visit_type, start=ELEVEN)
    confirmation_page = picked.headers["location"]
    await lengthen(doctor, visit_type)
    shown = (await client.get(confirmation_page)).text
    assert "20 minutes" in shown
    typed = {"doctor": doctor.id, "type": visit_type, "start": ELEVEN, "end": read_hidden(shown, "end")}
    done = await forms.send(confirmation_page, **typed)
    assert done.status_code == 303
    [booked] = (await patient.get("/appointments")).json()
    assert (booked["start_time"], booked["end_time"]) == (ELEVEN, END)


async def test_page_refuses_a_changed_length_after_the_hold_has_expired(
    doctor: Person, patient: Person, visit_type: str, forms: Forms, client: httpx2.AsyncClient, clock: SetClock
) -> None:
    await forms.sign_in(patient)
    picked = await forms.send("/visit/pick", on="/my/account", doctor=doctor.id, type=visit_type, start=ELEVEN)
    confirmation_page = picked.headers["location"]
    shown = (await client.get(confirmation_page)).text
    typed = {"doctor": doctor.id, "type": visit_type, "start": ELEVEN, "end": read_hidden(shown, "end")}
    await lengthen(doctor, visit_type)
    clock.advance(minutes=5)
    refused = await forms.send(confirmation_page, on="/my/account", **typed)
    assert refused.status_code == 409
    assert "The length of the visit has changed." in refused.text
    assert "60 minutes" in refused.text or "1 hour" in refused.text
    assert (await patient.get("/appointments")).json() == []
