"""Races for holds, and for the time that they block."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import httpx2
from sqlalchemy import text

from app.core.permissions import Actor, Role
from app.repositories.appointments import Reference
from app.services.booking import BookingRequest, hold_time
from tests.concurrency.clinic import Clinic, at, count_outcomes, hold, race, reschedule


async def test_one_of_many_holds_of_a_slot_is_made(clinic: Clinic) -> None:
    doctor = await clinic.register_doctor()
    patients = clinic.patients[:10]
    responses = await race([partial(hold, patient, doctor, at("10:00")) for patient in patients])
    assert Counter(response.status_code for response in responses) == {201: 1, 409: 9}
    [(holder, held)] = [
        (patient, response.json())
        for patient, response in zip(patients, responses, strict=True)
        if response.status_code == 201
    ]
    others = [patient for patient in patients if patient is not holder]
    attempts = [partial(holder.try_to_book, doctor, at("10:00"), hold_id=held["id"])]
    attempts += [partial(other.try_to_book, doctor, at("10:00"), hold_id=held["id"]) for other in others]
    responses = await race(attempts)
    assert responses[0].status_code == 201
    assert count_outcomes(responses[1:]) == {(409, "slot_taken"): 9}


async def test_patients_who_swap_holds_do_not_deadlock(clinic: Clinic) -> None:
    first, second = await clinic.register_doctor(), await clinic.register_doctor()
    ann, ben = clinic.patients[:2]
    pairs = [(first, first), (first, second), (first, first), (first, second), (first, second)]
    for day, (doctor_of_ann, doctor_of_ben) in enumerate(pairs):
        start_of_ann = at("10:00", day)
        start_of_ben = at("11:00" if doctor_of_ann is doctor_of_ben else "10:00", day)
        assert (await hold(ann, doctor_of_ann, start_of_ann)).status_code == 201
        assert (await hold(ben, doctor_of_ben, start_of_ben)).status_code == 201
        responses = await race(
            [partial(hold, ann, doctor_of_ben, start_of_ben), partial(hold, ben, doctor_of_ann, start_of_ann)]
        )
        assert [response.status_code for response in responses] == [409, 409]
        # The same, but each books the time that the other holds.
        responses = await race(
            [
                partial(ann.try_to_book, doctor_of_ben, start_of_ben),
                partial(ben.try_to_book, doctor_of_ann, start_of_ann),
            ]
        )
        assert [response.status_code for response in responses] == [409, 409]


async def race_for_children(clinic: Clinic, *, day: int, has_expired: bool) -> tuple[str, list[httpx2.Response]]:
    """Book a held time for two children at once; return the id of the hold, and the responses.

    The parent who holds the time sends the same form three times, and the other parent also.
    """
    doctor, parents = await clinic.register_doctor(), clinic.patients[:2]
    children = []
    for parent in parents:
        added = await parent.post("/patients/me/dependants", {"name": "Mia Lee", "birth_date": "2020-03-09"})
        children.append(added.json()["patient"]["id"])
    held: str = (await hold(parents[0], doctor, at("10:00", day))).json()["id"]
    if has_expired:
        async with clinic.database.write() as transaction:
            await transaction.execute(text("UPDATE appointments SET expires_at = created_at WHERE status = 'pending'"))
    book = [
        partial(parent.try_to_book, doctor, at("10:00", day), on_behalf_of=child)
        for parent, child in zip(parents, children, strict=True)
    ]
    return held, await race([partial(book[0], hold_id=held)] * 3 + [book[1]] * 3)


async def test_one_child_gets_the_time_that_a_parent_held(clinic: Clinic) -> None:
    for day in range(4):
        held, responses = await race_for_children(clinic, day=day, has_expired=day % 2 == 1)
        assert count_outcomes(responses) == {(201, "booked"): 1, (409, "slot_taken"): 5}
        if day % 2 == 0:
            assert [each.json()["id"] for each in responses[:3] if each.status_code == 201] == [held]
    assert await clinic.count_overlaps() == 0


async def test_children_get_the_same_time_without_the_guard(unguarded_clinic: Clinic) -> None:
    _, responses = await race_for_children(unguarded_clinic, day=0, has_expired=False)
    assert count_outcomes(responses)[201, "booked"] > 1


async def test_one_wins_if_booking_a_hold_races_rescheduling_to_its_time(clinic: Clinic) -> None:
    doctor = await clinic.register_doctor()
    holder, other_patient = clinic.patients[:2]
    for day in range(6):
        booked = await other_patient.book(doctor, at("12:00", day))
        held = (await hold(holder, doctor, at("10:00", day))).json()
        responses = await race(
            [
                partial(holder.try_to_book, doctor, at("10:00", day), hold_id=held["id"]),
                partial(reschedule, other_patient, booked, at("10:00", day)),
            ]
        )
        assert [response.status_code for response in responses] == [201, 409]


async def test_patient_has_one_hold_after_many_attempts_at_once(clinic: Clinic) -> None:
    doctor = await clinic.register_doctor()
    patient = clinic.patients[0]
    responses = await race([partial(hold, patient, doctor, at(f"{6 + hour}:00")) for hour in range(12)])
    assert Counter(response.status_code for response in responses) == {201: 12}
    async with clinic.database.read() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM appointments WHERE status = 'pending'")) == 1


async def test_one_of_many_bookings_of_an_expired_hold_is_made(clinic: Clinic) -> None:
    """No job has deleted the expired holds, so each booking meets them and has to delete them."""
    doctor = await clinic.register_doctor()
    holder, *others = clinic.patients[:13]
    long_ago = datetime.now(UTC) - timedelta(minutes=6)
    for day in range(3):
        for minute in ("00", "30"):
            start = datetime.fromisoformat(at(f"10:{minute}", day))
            patient = Reference(UUID(holder.id if minute == "00" else others[0].id), "A patient")
            actor = Actor(patient.id, Role.PATIENT, patient.name)
            async with clinic.database.write() as transaction:
                await hold_time(
                    transaction,
                    actor,
                    BookingRequest(UUID(doctor.id), start),
                    patient=patient,
                    now=long_ago,
                )
        responses = await race(
            [partial(other.try_to_book, doctor, at("10:00", day), at("11:00", day)) for other in others]
        )
        assert count_outcomes(responses) == {(201, "booked"): 1, (409, "slot_taken"): 11}
    assert await clinic.count_overlaps() == 0


async def test_hold_expires_without_cleanup(clinic: Clinic) -> None:
    doctor = await clinic.register_doctor()
    holder, other = clinic.patients[:2]
    held = (await hold(holder, doctor, at("10:00"))).json()
    assert (await other.try_to_book(doctor, at("10:00"))).status_code == 409
    async with clinic.database.write() as transaction:
        await transaction.execute(
            text("UPDATE appointments SET expires_at = created_at WHERE status = 'pending'"),
        )
    assert (await other.try_to_book(doctor, at("10:00"))).status_code == 201
    assert (await holder.try_to_book(doctor, at("10:00"), hold_id=held["id"])).status_code == 409
