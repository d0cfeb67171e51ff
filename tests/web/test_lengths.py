"""A visit keeps the length that was held or booked, even if its type changes."""

import re
from typing import Any

import httpx2
import pytest

from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, get_slots
from tests.web.conftest import Forms

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
    answer = await patient.post("/holds", wanted)
    assert answer.status_code == 201, answer.text
    held: dict[str, Any] = answer.json()
    return held


@pytest.mark.parametrize("end", [None, END])
async def test_a_held_visit_keeps_its_length_and_its_buffers(
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


async def test_a_held_time_is_booked_longer_only_if_that_is_asked_for(
    doctor: Person, patient: Person, visit_type: str
) -> None:
    held = await hold(patient, doctor, visit_type)
    await doctor.patch(f"/doctors/me/visit-types/{visit_type}", {"duration_minutes": 60, "slot_step_minutes": 30})
    booked = await patient.book(doctor, ELEVEN, "2026-12-08T17:00:00Z", visit_type_id=visit_type, hold_id=held["id"])
    assert booked["end_time"] == "2026-12-08T17:00:00Z"


async def test_everything_else_is_checked_again(doctor: Person, patient: Person, visit_type: str) -> None:
    held = await hold(patient, doctor, visit_type)
    await lengthen(doctor, visit_type)
    await doctor.take_time_off("2026-12-08T16:10:00Z", LATER)
    refused = await patient.try_to_book(doctor, ELEVEN, visit_type_id=visit_type, hold_id=held["id"])
    assert_problem(refused, 409, "time_off")


async def test_expired_hold_keeps_no_length(doctor: Person, patient: Person, visit_type: str, clock: SetClock) -> None:
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


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("who", ["doctor", "patient"])
async def test_a_visit_keeps_its_length_when_it_moves(
    doctor: Person, patient: Person, register: Register, visit_type: str, who: str, named: bool
) -> None:
    booked = await patient.book(doctor, ELEVEN, visit_type_id=visit_type)
    await lengthen(doctor, visit_type)
    body = {"start_time": LATER} | ({"visit_type_id": visit_type} if named else {})
    moved = await {"doctor": doctor, "patient": patient}[who].post(f"/appointments/{booked['id']}/reschedule", body)
    assert (moved.json()["start_time"], moved.json()["end_time"]) == (LATER, LATER_END)
    # The visit has its own buffer of ten minutes, not the half hour of new visits.
    found = await get_slots(await register(), doctor, "2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z", visit_type)
    assert [start for start, _, _ in found] == [
        "2026-12-08T14:00:00Z",
        "2026-12-08T15:30:00Z",
        "2026-12-08T18:30:00Z",
        "2026-12-08T20:00:00Z",
    ]


async def test_moving_to_another_visit_type_takes_its_length(doctor: Person, patient: Person, visit_type: str) -> None:
    booked = await patient.book(doctor, ELEVEN, visit_type_id=visit_type)
    other = await doctor.add_visit_type(name="First visit", duration_minutes=60)
    body = {"start_time": "2026-12-08T17:00:00Z", "visit_type_id": other["id"]}
    moved = await patient.post(f"/appointments/{booked['id']}/reschedule", body)
    assert moved.json()["end_time"] == "2026-12-08T18:00:00Z"


async def test_pages_offer_and_say_the_length_that_a_moved_visit_has(
    doctor: Person, patient: Person, visit_type: str, forms: Forms, client: httpx2.AsyncClient
) -> None:
    booked = await patient.book(doctor, ELEVEN, visit_type_id=visit_type)
    await lengthen(doctor, visit_type)
    await forms.sign_in(patient)
    address = f"/my/appointments/{booked['id']}/move"
    offered = re.findall(r'name="start" value="([^"]+)"', (await client.get(f"{address}?week=2026-12-08")).text)
    # As close to its own time as twenty minutes fit, not sixty.
    assert "2026-12-08T15:20:00Z" in offered
    shown = (await client.get(f"{address}?start=2026-12-08T15:20:00Z")).text
    assert "20 minutes" in shown
    moved = await forms.send(
        address, on=f"{address}?start=2026-12-08T15:20:00Z", version="1", start="2026-12-08T15:20:00Z"
    )
    assert moved.status_code == 303
    assert (await patient.get(f"/appointments/{booked['id']}")).json()["end_time"] == "2026-12-08T15:40:00Z"


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found
    return found[1]


async def test_the_page_books_what_it_shows(
    doctor: Person, patient: Person, visit_type: str, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await forms.sign_in(patient)
    picked = await forms.send("/visit/pick", on="/my/account", doctor=doctor.id, type=visit_type, start=ELEVEN)
    confirm_email = picked.headers["location"]
    await lengthen(doctor, visit_type)
    shown = (await client.get(confirm_email)).text
    assert "20 minutes" in shown
    typed = {"doctor": doctor.id, "type": visit_type, "start": ELEVEN, "end": hidden(shown, "end")}
    done = await forms.send(confirm_email, **typed)
    assert done.status_code == 303
    [booked] = (await patient.get("/appointments")).json()
    assert (booked["start_time"], booked["end_time"]) == (ELEVEN, END)


async def test_the_page_refuses_another_length_after_the_hold_and_shows_the_new_one(
    doctor: Person, patient: Person, visit_type: str, forms: Forms, client: httpx2.AsyncClient, clock: SetClock
) -> None:
    await forms.sign_in(patient)
    picked = await forms.send("/visit/pick", on="/my/account", doctor=doctor.id, type=visit_type, start=ELEVEN)
    confirm_email = picked.headers["location"]
    shown = (await client.get(confirm_email)).text
    typed = {"doctor": doctor.id, "type": visit_type, "start": ELEVEN, "end": hidden(shown, "end")}
    await lengthen(doctor, visit_type)
    clock.advance(minutes=5)
    refused = await forms.send(confirm_email, on="/my/account", **typed)
    assert refused.status_code == 409
    assert "The length of the visit has changed." in refused.text
    assert "60 minutes" in refused.text or "1 hour" in refused.text
    assert (await patient.get("/appointments")).json() == []
