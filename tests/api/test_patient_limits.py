"""Limits of upcoming visits and cancellations per patient."""

from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from app.core.settings import Settings
from tests.conftest import CountStatements, Register, SetClock
from tests.databases import settings_for
from tests.people import Person, assert_problem

FIRST = datetime.fromisoformat("2026-12-02T09:00:00Z")


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(
        database_url, max_upcoming_visits_per_doctor=2, max_upcoming_visits=3, max_cancellations_per_day=2
    )


@pytest.fixture
async def doctors(register: Register) -> list[Person]:
    doctors = [await register("doctor", name=f"Dr {name}") for name in "ABC"]
    for doctor in doctors:
        await doctor.publish("2026-12-02T09:00:00Z", "2026-12-02T17:00:00Z", "FREQ=DAILY")
    return doctors


def make_booking(doctor: Person, number: int) -> dict[str, Any]:
    start = FIRST + timedelta(minutes=30 * number)
    return {"doctor_id": doctor.id, "start_time": start.isoformat()}


async def try_to_book(patient: Person, doctor: Person, number: int) -> httpx2.Response:
    return await patient.post("/appointments", make_booking(doctor, number))


async def book_or_fail(patient: Person, doctor: Person, number: int) -> str:
    response = await try_to_book(patient, doctor, number)
    assert response.status_code == 201, response.text
    appointment_id: str = response.json()["id"]
    return appointment_id


async def test_upcoming_visits_with_one_doctor_are_limited(
    patient: Person, register: Register, doctors: list[Person]
) -> None:
    doctor = doctors[0]
    first = await book_or_fail(patient, doctor, 0)
    await book_or_fail(patient, doctor, 1)
    assert_problem(await try_to_book(patient, doctor, 2), 409, "too_many_visits")
    assert_problem(await patient.post("/holds", make_booking(doctor, 2)), 409, "too_many_visits")
    assert len((await patient.get("/appointments")).json()) == 2
    await book_or_fail(patient, doctors[1], 3)
    await book_or_fail(await register("patient"), doctor, 4)
    await patient.delete(f"/appointments/{first}")
    await book_or_fail(patient, doctor, 2)


async def test_arrived_visit_still_counts(patient: Person, doctors: list[Person], clock: SetClock) -> None:
    doctor = doctors[0]
    clock.time = FIRST - timedelta(hours=1)
    patient, doctor = await patient.log_in_again(), await doctor.log_in_again()
    first = await book_or_fail(patient, doctor, 0)
    await book_or_fail(patient, doctor, 1)
    assert (await doctor.post(f"/appointments/{first}/arrive", None)).status_code == 200
    assert_problem(await try_to_book(patient, doctor, 2), 409, "too_many_visits")


async def test_upcoming_visits_with_all_doctors_are_limited(patient: Person, doctors: list[Person]) -> None:
    for number, doctor in enumerate(doctors):
        await book_or_fail(patient, doctor, number)
    assert_problem(await try_to_book(patient, doctors[0], 7), 409, "too_many_visits")


async def test_started_visits_and_the_hold_to_be_booked_do_not_count(
    patient: Person, doctors: list[Person], clock: SetClock
) -> None:
    doctor = doctors[0]
    await book_or_fail(patient, doctor, 0)
    held = await patient.post("/holds", make_booking(doctor, 1))
    assert held.status_code == 201
    taken = make_booking(doctor, 1) | {"hold_id": held.json()["id"]}
    assert (await patient.post("/appointments", taken)).status_code == 201
    clock.time = FIRST + timedelta(minutes=45)
    patient = await patient.log_in_again()
    await book_or_fail(patient, doctor, 4)
    await book_or_fail(patient, doctor, 5)
    assert_problem(await try_to_book(patient, doctor, 6), 409, "too_many_visits")


async def test_cancellations_per_day_are_limited(patient: Person, doctors: list[Person], clock: SetClock) -> None:
    for number in range(2):
        await patient.delete(f"/appointments/{await book_or_fail(patient, doctors[0], number)}")
    assert_problem(await try_to_book(patient, doctors[1], 3), 409, "too_many_cancellations")
    assert_problem(await patient.post("/holds", make_booking(doctors[1], 3)), 409, "too_many_cancellations")
    clock.advance(hours=24, seconds=1)
    await book_or_fail(await patient.log_in_again(), doctors[1], 60)


async def test_visits_can_be_cancelled_and_moved_at_any_limit(patient: Person, doctors: list[Person]) -> None:
    one, other = [await book_or_fail(patient, doctors[0], number) for number in range(2)]
    third = await book_or_fail(patient, doctors[1], 2)
    for appointment in (one, third):
        assert (await patient.delete(f"/appointments/{appointment}")).status_code == 200
    start = {"start_time": (FIRST + timedelta(hours=4)).isoformat()}
    assert (await patient.post(f"/appointments/{other}/reschedule", start)).status_code == 200
    assert (await patient.delete(f"/appointments/{other}")).status_code == 200


async def test_cancellations_by_the_doctor_do_not_count(patient: Person, doctors: list[Person]) -> None:
    for number in range(3):
        appointment = await book_or_fail(patient, doctors[0], number)
        assert (await doctors[0].delete(f"/appointments/{appointment}")).status_code == 200
    await book_or_fail(patient, doctors[0], 4)


async def test_limits_take_no_further_statement(
    patient: Person, doctors: list[Person], count_statements: CountStatements
) -> None:
    await book_or_fail(patient, doctors[0], 0)
    count_statements()
    await book_or_fail(patient, doctors[1], 1)
    # As in test_statements.py: the caller, the doctor schedule, the appointment, and the audit event.
    assert count_statements() == 4
