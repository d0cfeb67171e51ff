"""Races of rescheduling with booking, undoing and cancelling."""

from collections import Counter
from functools import partial
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import update

from app.models import Appointment
from app.scheduling.status import AppointmentStatus
from tests.concurrency.clinic import Clinic, at, count_outcomes, race, reschedule
from tests.people import Person


async def race_rescheduling_with_booking(clinic: Clinic, *, rounds: int) -> Counter[tuple[int, str]]:
    counted: Counter[tuple[int, str]] = Counter()
    for day in range(rounds):
        doctor = await clinic.register_doctor()
        patient, *others = clinic.patients[:9]
        booked = await patient.book(doctor, at("10:00", day))
        moved, *responses = await race(
            [
                partial(reschedule, patient, booked, at("11:00", day)),
                *(partial(other.try_to_book, doctor, at("11:00", day)) for other in others),
            ]
        )
        counted += count_outcomes([moved, *responses])
        if moved.status_code == 409:
            assert (await patient.get(f"/appointments/{booked['id']}")).json() == booked, (
                "the appointment keeps its time"
            )
    return counted


async def test_one_wins_if_rescheduling_races_booking(clinic: Clinic) -> None:
    counted = await race_rescheduling_with_booking(clinic, rounds=4)
    assert counted[200, "booked"] + counted[201, "booked"] == 4
    assert counted[409, "slot_taken"] == 4 * 8
    assert await clinic.count_overlaps() == 0


async def test_rescheduling_and_booking_both_win_without_the_guard(unguarded_clinic: Clinic) -> None:
    counted = await race_rescheduling_with_booking(unguarded_clinic, rounds=4)
    assert counted[200, "booked"] + counted[201, "booked"] > 4
    assert await unguarded_clinic.count_overlaps() > 0


async def undo(doctor: Person, appointment: dict[str, Any]) -> httpx2.Response:
    return await doctor.post(f"/appointments/{appointment['id']}/undo", None)


async def race_undoing_with_booking(clinic: Clinic, *, rounds: int) -> Counter[tuple[int, str]]:
    """Undo the no-show of an appointment. It lies in the future only so that others can book its time."""
    counted: Counter[tuple[int, str]] = Counter()
    doctor = await clinic.register_doctor()
    for day in range(rounds):
        absent, *others = clinic.patients[:9]
        missed = await absent.book(doctor, at("10:00", day))
        async with clinic.database.write() as transaction:
            mark = update(Appointment).where(Appointment.id == UUID(missed["id"]))
            await transaction.execute(mark.values(status=AppointmentStatus.NOSHOW))
        attempts = [partial(other.try_to_book, doctor, at("10:15", day)) for other in others]
        undone, *responses = await race([partial(undo, doctor, missed), *attempts], stagger=0.02)
        counted += count_outcomes([undone, *responses])
    return counted


async def test_one_wins_if_undoing_races_booking(clinic: Clinic) -> None:
    counted = await race_undoing_with_booking(clinic, rounds=6)
    assert counted[200, "booked"] + counted[201, "booked"] == 6
    assert counted[409, "slot_taken"] == 6 * 8
    assert await clinic.count_overlaps() == 0


async def test_undoing_and_booking_both_win_without_the_guard(unguarded_clinic: Clinic) -> None:
    counted = await race_undoing_with_booking(unguarded_clinic, rounds=6)
    assert counted[200, "booked"] + counted[201, "booked"] > 6
    assert await unguarded_clinic.count_overlaps() > 0


async def test_undoing_and_rescheduling_do_not_deadlock(clinic: Clinic) -> None:
    """Two cancelled appointments are restored while two others are rescheduled to their times."""
    doctor = await clinic.register_doctor()
    ann, ben, cleo, dan = clinic.patients[:4]
    for day in range(6):
        ten, eleven = await ann.book(doctor, at("10:00", day)), await ben.book(doctor, at("11:00", day))
        for each in (ten, eleven):
            assert (await doctor.delete(f"/appointments/{each['id']}")).status_code == 200
        noon, one = await cleo.book(doctor, at("12:00", day)), await dan.book(doctor, at("13:00", day))
        responses = await race(
            [
                partial(undo, doctor, ten),
                partial(undo, doctor, eleven),
                partial(reschedule, cleo, noon, at("11:00", day)),
                partial(reschedule, dan, one, at("10:00", day)),
            ]
        )
        assert count_outcomes(responses) == {(200, "booked"): 2, (409, "slot_taken"): 2}
    assert await clinic.count_overlaps() == 0


async def test_appointment_ends_cancelled_if_rescheduling_races_cancelling(clinic: Clinic) -> None:
    doctor = await clinic.register_doctor()
    patient = clinic.patients[0]
    for day in range(6):
        booked = await patient.book(doctor, at("10:00", day))
        path = f"/appointments/{booked['id']}"
        moved, cancelled = await race(
            [partial(reschedule, patient, booked, at("11:00", day)), partial(doctor.delete, path)], stagger=0.02
        )
        assert count_outcomes([cancelled]) == {(200, "cancelled"): 1}
        assert set(count_outcomes([moved])) <= {(200, "booked"), (409, "wrong_status")}
        assert (await patient.get(path)).json() == cancelled.json()
        assert cancelled.json()["version"] == (3 if moved.status_code == 200 else 2)


async def test_patients_who_swap_slots_do_not_deadlock(clinic: Clinic) -> None:
    doctor = await clinic.register_doctor()
    ann, ben = clinic.patients[:2]
    for day in range(7):
        ten, eleven = await ann.book(doctor, at("10:00", day)), await ben.book(doctor, at("11:00", day))
        responses = await race(
            [partial(reschedule, ann, ten, at("11:00", day)), partial(reschedule, ben, eleven, at("10:00", day))]
        )
        assert count_outcomes(responses) == {(409, "slot_taken"): 2}
        assert (await ann.get(f"/appointments/{ten['id']}")).json() == ten
    assert len(await clinic.list_booked(doctor)) == 14


async def test_appointments_rescheduled_in_a_ring_are_neither_lost_nor_doubled(clinic: Clinic) -> None:
    doctor = await clinic.register_doctor()
    patients = clinic.patients[:6]
    booked = [await patient.book(doctor, at(f"{9 + number}:00")) for number, patient in enumerate(patients)]
    for shift in range(3):
        targets = [at(f"{9 + (number + 1 + shift) % 8}:00") for number in range(6)]
        responses = await race([partial(reschedule, *each) for each in zip(patients, booked, targets, strict=True)])
        assert set(count_outcomes(responses)) <= {(200, "booked"), (409, "slot_taken")}
        assert await clinic.count_overlaps() == 0
        assert len(await clinic.list_booked(doctor)) == 6


async def test_one_of_many_changes_of_one_version_is_made(clinic: Clinic) -> None:
    doctor = await clinic.register_doctor()
    patient = clinic.patients[0]
    booked = await patient.book(doctor, at("10:00"))
    responses = await race(
        [partial(reschedule, patient, booked, at(f"{11 + number}:00"), **{"If-Match": '"1"'}) for number in range(6)]
    )
    assert count_outcomes(responses) == {(200, "booked"): 1, (412, "version_mismatch"): 5}
    [version] = [response.json()["version"] for response in responses if response.status_code == 200]
    assert version == 2
    assert len((await patient.get(f"/appointments/{booked['id']}/history")).json()) == 2
