"""One patient cannot fill a doctor's calendar, nor book and cancel all day."""

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


def wanted(doctor: Person, number: int) -> dict[str, Any]:
    start = FIRST + timedelta(minutes=30 * number)
    return {"doctor_id": doctor.id, "start_time": start.isoformat()}


async def book(patient: Person, doctor: Person, number: int) -> httpx2.Response:
    return await patient.post("/appointments", wanted(doctor, number))


async def booked(patient: Person, doctor: Person, number: int) -> str:
    answered = await book(patient, doctor, number)
    assert answered.status_code == 201, answer_text(answered)
    appointment_id: str = answered.json()["id"]
    return appointment_id


def answer_text(answered: httpx2.Response) -> str:
    return answered.text


async def test_upcoming_visits_with_one_doctor_are_limited(
    patient: Person, register: Register, doctors: list[Person]
) -> None:
    doctor = doctors[0]
    first = await booked(patient, doctor, 0)
    await booked(patient, doctor, 1)
    assert_problem(await book(patient, doctor, 2), 409, "too_many_visits")
    assert_problem(await patient.post("/holds", wanted(doctor, 2)), 409, "too_many_visits")
    assert len((await patient.get("/appointments")).json()) == 2
    await booked(patient, doctors[1], 3)
    await booked(await register("patient"), doctor, 4)
    await patient.delete(f"/appointments/{first}")
    await booked(patient, doctor, 2)


async def test_arrived_visit_still_counts(patient: Person, doctors: list[Person], clock: SetClock) -> None:
    doctor = doctors[0]
    clock.time = FIRST - timedelta(hours=1)
    patient, doctor = await patient.log_in_again(), await doctor.log_in_again()
    first = await booked(patient, doctor, 0)
    await booked(patient, doctor, 1)
    assert (await doctor.post(f"/appointments/{first}/arrive", None)).status_code == 200
    assert_problem(await book(patient, doctor, 2), 409, "too_many_visits")


async def test_upcoming_visits_with_all_doctors_are_limited(patient: Person, doctors: list[Person]) -> None:
    for number, doctor in enumerate(doctors):
        await booked(patient, doctor, number)
    assert_problem(await book(patient, doctors[0], 7), 409, "too_many_visits")


async def test_started_visits_and_the_hold_to_be_booked_do_not_count(
    patient: Person, doctors: list[Person], clock: SetClock
) -> None:
    doctor = doctors[0]
    await booked(patient, doctor, 0)
    held = await patient.post("/holds", wanted(doctor, 1))
    assert held.status_code == 201
    taken = wanted(doctor, 1) | {"hold_id": held.json()["id"]}
    assert (await patient.post("/appointments", taken)).status_code == 201
    clock.time = FIRST + timedelta(minutes=45)
    patient = await patient.log_in_again()
    await booked(patient, doctor, 4)
    await booked(patient, doctor, 5)
    assert_problem(await book(patient, doctor, 6), 409, "too_many_visits")


async def test_cancellations_per_day_are_limited(patient: Person, doctors: list[Person], clock: SetClock) -> None:
    for number in range(2):
        await patient.delete(f"/appointments/{await booked(patient, doctors[0], number)}")
    assert_problem(await book(patient, doctors[1], 3), 409, "too_many_cancellations")
    assert_problem(await patient.post("/holds", wanted(doctors[1], 3)), 409, "too_many_cancellations")
    clock.advance(hours=24, seconds=1)
    await booked(await patient.log_in_again(), doctors[1], 60)


async def test_visits_can_be_cancelled_and_moved_at_any_limit(patient: Person, doctors: list[Person]) -> None:
    one, other = [await booked(patient, doctors[0], number) for number in range(2)]
    third = await booked(patient, doctors[1], 2)
    for appointment in (one, third):
        assert (await patient.delete(f"/appointments/{appointment}")).status_code == 200
    start = {"start_time": (FIRST + timedelta(hours=4)).isoformat()}
    assert (await patient.post(f"/appointments/{other}/reschedule", start)).status_code == 200
    assert (await patient.delete(f"/appointments/{other}")).status_code == 200


async def test_cancellations_by_the_doctor_do_not_count(patient: Person, doctors: list[Person]) -> None:
    for number in range(3):
        appointment = await booked(patient, doctors[0], number)
        assert (await doctors[0].delete(f"/appointments/{appointment}")).status_code == 200
    await booked(patient, doctors[0], 4)


async def test_limits_take_no_further_statement(
    patient: Person, doctors: list[Person], count_statements: CountStatements
) -> None:
    await booked(patient, doctors[0], 0)
    count_statements()
    await booked(patient, doctors[1], 1)
    # As in test_statements.py: the caller, the plan, the visit, and the event of the audit trail.
    assert count_statements() == 4
