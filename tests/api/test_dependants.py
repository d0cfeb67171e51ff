"""A parent acts for a child: who may see and change what, until when, and what becomes of the record."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, update

from app.db.database import Database
from app.models import Guardian
from app.repositories.erasure import ERASED
from app.repositories.patients import get_patient
from app.services.dependants import MAX_DEPENDANTS
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem

PATH = "/patients/me/dependants"
NINE, TEN, ELEVEN, FIVE = (f"2026-12-08T{hour}:00:00Z" for hour in (14, 15, 16, 22))


@pytest.fixture
async def child(patient: Person) -> str:
    """The id of a child of the patient."""
    return await add_child(patient)


@pytest.fixture
async def open_doctor(doctor: Person) -> Person:
    await doctor.publish(NINE, FIVE)
    return doctor


async def add_child(parent: Person, name: str = "Mia Lee", birth_date: str = "2020-03-09") -> str:
    response = await parent.post(PATH, {"name": name, "birth_date": birth_date})
    assert response.status_code == 201, response.text
    child_id: str = response.json()["patient"]["id"]
    return child_id


async def change_guardian(database: Database, child: str, **values: Any) -> None:
    async with database.write() as transaction:
        await transaction.execute(update(Guardian).where(Guardian.patient_id == UUID(child)).values(values))


async def test_child_is_added_listed_changed_and_removed(patient: Person) -> None:
    added = await patient.post(PATH, {"name": "Mia Lee", "birth_date": "2020-03-09"})
    child = added.json()["patient"]["id"]
    expected = {
        "patient": {
            "id": child,
            "name": "Mia Lee",
            "birth_date": "2020-03-09",
            "phone": None,
            "email": None,
            "locale": None,
            "time_zone": None,
            "created_at": "2026-12-01T08:00:00Z",
        },
        "relation": "parent",
        "may_book": True,
        "may_see": True,
        "valid_until": "2038-03-08",
    }
    assert added.json() == expected
    assert (await patient.get(PATH)).json() == [expected]
    assert (await patient.get(f"{PATH}/{child}")).json() == expected
    changed = await patient.patch(f"{PATH}/{child}", {"name": "Mia Cohen", "birth_date": "2012-02-29"})
    assert changed.json() == expected | {
        "patient": expected["patient"] | {"name": "Mia Cohen", "birth_date": "2012-02-29"},  # type: ignore[operator]
        "valid_until": "2030-02-28",
    }
    assert (await patient.delete(f"{PATH}/{child}")).status_code == 204
    assert (await patient.get(PATH)).json() == []
    assert_problem(await patient.get(f"{PATH}/{child}"), 404, "not_found")


async def test_adults_and_the_unborn_are_not_children(patient: Person, clock: SetClock) -> None:
    clock.time = datetime(2026, 12, 1, 8, tzinfo=UTC)
    child = await add_child(patient)
    for wrong in ("2008-12-01", "1990-01-01", "2027-12-01"):
        for answer in (
            await patient.post(PATH, {"name": "Max", "birth_date": wrong}),
            await patient.patch(f"{PATH}/{child}", {"birth_date": wrong}),
        ):
            assert_problem(answer, 422, "invalid_request")
            assert [each["field"] for each in answer.json()["errors"]] == ["birth_date"]
    assert await add_child(patient, birth_date="2008-12-02")


async def test_parent_books_sees_moves_and_cancels_for_a_child(
    patient: Person, child: str, open_doctor: Person
) -> None:
    booked = await patient.book(open_doctor, TEN, on_behalf_of=child)
    assert booked["patient"] == {"id": child, "name": "Mia Lee"}
    assert booked["booked_by"] == patient.id
    visit = f"/appointments/{booked['id']}"
    assert (await patient.get(visit)).json() == booked
    assert (await patient.get("/appointments")).json() == [], "the list of the parent contains their own visits"
    assert (await patient.get(f"{PATH}/{child}/appointments")).json() == [booked]
    assert (await patient.get(f"{visit}/history")).json()[0]["changed_by"] == patient.id
    moved = await patient.post(f"{visit}/reschedule", {"start_time": ELEVEN})
    assert moved.json()["start_time"] == ELEVEN
    assert (await open_doctor.get(visit)).json()["patient"]["name"] == "Mia Lee"
    assert (await patient.delete(visit)).json()["status"] == "cancelled"


async def test_parent_and_child_may_have_visits_at_the_same_time(
    patient: Person, child: str, open_doctor: Person, register: Register
) -> None:
    other = await register("doctor")
    await other.publish(NINE, FIVE)
    await patient.book(open_doctor, TEN)
    await patient.book(other, TEN, on_behalf_of=child)
    assert_problem(await patient.try_to_book(open_doctor, TEN, on_behalf_of=child), 409, "slot_taken")
    third = await register("doctor")
    await third.publish(NINE, FIVE)
    assert_problem(await patient.try_to_book(third, TEN, on_behalf_of=child), 409, "patient_busy")


async def test_strangers_and_the_other_parent_have_no_part(
    patient: Person, child: str, open_doctor: Person, register: Register
) -> None:
    booked = (await patient.book(open_doctor, TEN, on_behalf_of=child))["id"]
    stranger = await register()
    assert_problem(await stranger.try_to_book(open_doctor, ELEVEN, on_behalf_of=child), 404, "not_found")
    for answer in (
        await stranger.get(f"/appointments/{booked}"),
        await stranger.delete(f"/appointments/{booked}"),
        await stranger.post(f"/appointments/{booked}/reschedule", {"start_time": ELEVEN}),
        await stranger.get(f"{PATH}/{child}"),
        await stranger.get(f"{PATH}/{child}/appointments"),
        await stranger.post("/holds", {"doctor_id": open_doctor.id, "start_time": ELEVEN, "on_behalf_of": child}),
        await patient.try_to_book(open_doctor, ELEVEN, on_behalf_of=stranger.id),
    ):
        assert_problem(answer, 404, "not_found")


async def test_rights_end_after_the_last_day(
    patient: Person, child: str, open_doctor: Person, clock: SetClock, database: Database
) -> None:
    booked = (await patient.book(open_doctor, TEN, on_behalf_of=child))["id"]
    await change_guardian(database, child, valid_until=clock.time.date())
    assert (await patient.get(f"/appointments/{booked}")).status_code == 200
    assert (await patient.post(f"/appointments/{booked}/reschedule", {"start_time": ELEVEN})).status_code == 200
    clock.advance(days=1)
    patient = await patient.log_in_again()
    for answer in (
        await patient.get(f"/appointments/{booked}"),
        await patient.delete(f"/appointments/{booked}"),
        await patient.get(f"{PATH}/{child}"),
        await patient.try_to_book(open_doctor, TEN, on_behalf_of=child),
    ):
        assert_problem(answer, 404, "not_found")
    assert (await patient.get(PATH)).json() == []


async def test_guardian_who_may_only_see_changes_nothing(
    patient: Person, child: str, open_doctor: Person, database: Database
) -> None:
    booked = (await patient.book(open_doctor, TEN, on_behalf_of=child))["id"]
    await change_guardian(database, child, may_book=False)
    assert (await patient.get(f"/appointments/{booked}")).status_code == 200
    assert (await patient.get(f"{PATH}/{child}/appointments")).json()[0]["id"] == booked
    for answer in (
        await patient.delete(f"/appointments/{booked}"),
        await patient.post(f"/appointments/{booked}/reschedule", {"start_time": ELEVEN}),
        await patient.try_to_book(open_doctor, ELEVEN, on_behalf_of=child),
        await patient.patch(f"{PATH}/{child}", {"name": "Other"}),
    ):
        assert_problem(answer, 404, "not_found")


async def test_person_with_an_account_keeps_their_record(
    patient: Person, database: Database, register: Register
) -> None:
    partner = await register()
    async with database.write() as transaction:
        await transaction.execute(
            insert(Guardian).values(
                patient_id=UUID(partner.id),
                guardian_id=UUID(patient.id),
                relation="partner",
                may_book=True,
                may_see=True,
                created_at=datetime(2026, 12, 1, tzinfo=UTC),
                created_by=UUID(partner.id),
            )
        )
    own = f"{PATH}/{partner.id}"
    assert (await patient.get(own)).json()["relation"] == "partner"
    assert_problem(await patient.patch(own, {"phone": "+442071838750"}), 404, "not_found")
    assert (await patient.delete(own)).status_code == 204
    assert_problem(await patient.get(own), 404, "not_found")
    assert (await partner.get("/patients/me")).json()["name"] == (await partner.get("/auth/me")).json()["name"]


async def test_telephone_of_a_child_is_changed_alone(patient: Person, child: str) -> None:
    changed = (await patient.patch(f"{PATH}/{child}", {"phone": "+442071838750"})).json()
    assert (changed["patient"]["phone"], changed["valid_until"]) == ("+442071838750", "2038-03-08")


async def test_stored_response_is_erased_with_the_child(patient: Person) -> None:
    body, key = {"name": "Mia Lee", "birth_date": "2020-03-09"}, {"Idempotency-Key": "one"}
    first = await patient.client.post(PATH, json=body, headers=patient.headers | key)
    child = first.json()["patient"]["id"]
    assert (await patient.delete(f"{PATH}/{child}")).status_code == 204
    again = await patient.client.post(PATH, json=body, headers=patient.headers | key)
    assert again.json()["patient"]["id"] != child


async def test_family_holds_one_time_for_its_children(patient: Person, child: str, open_doctor: Person) -> None:
    sister = await add_child(patient, "Ida Lee")

    async def hold(start: str, **fields: str) -> str:
        answer = await patient.post("/holds", {"doctor_id": open_doctor.id, "start_time": start} | fields)
        assert answer.status_code == 201, answer.text
        hold_id: str = answer.json()["id"]
        return hold_id

    await hold(NINE)
    first = await hold(TEN, on_behalf_of=child)
    second = await hold(TEN, on_behalf_of=sister)
    assert_problem(await patient.delete(f"/holds/{first}"), 404, "not_found")
    booked = await patient.book(open_doctor, TEN, on_behalf_of=sister, hold_id=second)
    assert booked["id"] == second
    third = await hold(ELEVEN, on_behalf_of=child)
    assert (await patient.delete(f"/holds/{third}")).status_code == 204


@pytest.mark.parametrize(("daily_limit", "is_named"), [(None, True), (1, True), (None, False)])
async def test_visit_of_a_child_takes_the_time_that_the_parent_holds(
    patient: Person, child: str, open_doctor: Person, register: Register, daily_limit: int | None, is_named: bool
) -> None:
    await open_doctor.update_profile(daily_limit=daily_limit)
    held = (await patient.post("/holds", {"doctor_id": open_doctor.id, "start_time": TEN})).json()["id"]
    stranger = await register()
    named = {"hold_id": held} if is_named else {}
    assert (await stranger.try_to_book(open_doctor, TEN, **named)).status_code == 409
    booked = await patient.book(open_doctor, TEN, on_behalf_of=child, **named)
    assert booked["patient"]["id"] == child
    assert (booked["id"] == held) is is_named
    assert_problem(await patient.delete(f"/holds/{held}"), 404, "not_found")


async def test_visit_of_a_child_leaves_the_parents_hold_with_another_doctor(
    patient: Person, child: str, open_doctor: Person, register: Register
) -> None:
    other = await register("doctor")
    await other.publish(NINE, FIVE)
    held = (await patient.post("/holds", {"doctor_id": other.id, "start_time": TEN})).json()["id"]
    await patient.book(open_doctor, TEN, on_behalf_of=child, hold_id=held)
    assert (await patient.delete(f"/holds/{held}")).status_code == 204


async def test_child_with_upcoming_visits_is_not_removed(
    patient: Person, child: str, open_doctor: Person, database: Database
) -> None:
    booked = (await patient.book(open_doctor, TEN, on_behalf_of=child))["id"]
    assert_problem(await patient.delete(f"{PATH}/{child}"), 409, "has_appointments")
    assert (await patient.get(f"{PATH}/{child}")).status_code == 200
    assert (await patient.delete(f"/appointments/{booked}")).status_code == 200
    assert (await patient.delete(f"{PATH}/{child}")).status_code == 204
    async with database.read() as transaction:
        record = await get_patient(transaction, UUID(child))
    assert (record.name, record.birth_date) == (ERASED, None)
    assert (await open_doctor.get(f"/appointments/{booked}")).json()["patient"]["name"] == ERASED


async def test_erasing_a_parent_keeps_the_record_of_the_child(
    patient: Person, child: str, open_doctor: Person, database: Database
) -> None:
    booked = (await patient.book(open_doctor, TEN, on_behalf_of=child))["id"]
    assert (await patient.delete("/auth/me")).status_code == 204
    visit = (await open_doctor.get(f"/appointments/{booked}")).json()
    assert (visit["patient"]["name"], visit["status"]) == ("Mia Lee", "booked")
    async with database.read() as transaction:
        assert (await get_patient(transaction, UUID(child))).name == "Mia Lee"


async def test_concurrent_requests_do_not_exceed_the_limit(patient: Person) -> None:
    for number in range(MAX_DEPENDANTS - 1):
        await add_child(patient, f"Child {number}")
    body = {"name": "One more", "birth_date": "2020-01-01"}
    answers = await asyncio.gather(*(patient.post(PATH, body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert len((await patient.get(PATH)).json()) == MAX_DEPENDANTS


async def test_what_is_done_for_a_child_is_in_the_childs_trail(
    patient: Person, child: str, open_doctor: Person, admin: Person
) -> None:
    booked = (await patient.book(open_doctor, TEN, on_behalf_of=child))["id"]
    await patient.get(f"{PATH}/{child}/appointments")
    events = (await admin.get("/admin/audit", params={"patient_id": child})).json()
    assert [(each["action"], each["actor_id"]) for each in events] == [
        ("list_dependants_appointments", patient.id),
        ("book_appointment", patient.id),
        ("add_dependant", patient.id),
    ]
    assert events[1]["object_id"] == booked


async def test_export_contains_the_dependants_and_their_visits(
    patient: Person, child: str, open_doctor: Person
) -> None:
    booked = await patient.book(open_doctor, TEN, on_behalf_of=child)
    exported = (await patient.get("/auth/me/export")).json()
    assert [each["patient"]["id"] for each in exported["dependants"]] == [child]
    assert [each["id"] for each in exported["dependants"][0]["appointments"]] == [booked["id"]]
    assert exported["appointments"] == []
