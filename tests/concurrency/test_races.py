"""Races for bookings between two server processes that share a SQLite file or a PostgreSQL database.

A race has a control: the same race on a database without the guard must double-book. Otherwise the race would prove
nothing.
"""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle, pairwise
from uuid import UUID

import pytest

from app.core.security import hash_token, new_token
from app.repositories import users
from tests.concurrency.clinic import (
    NUMBER_OF_PATIENTS,
    Attempt,
    Clinic,
    at,
    count_outcomes,
    hold,
    race,
    reschedule,
)
from tests.people import PASSWORD, Person


@pytest.mark.parametrize("stagger", [0, 0.2])
async def test_one_of_fifty_bookings_of_a_slot_is_made(clinic: Clinic, stagger: float) -> None:
    doctor = await clinic.register_doctor()
    responses = await race(
        [partial(patient.try_to_book, doctor, at("10:00")) for patient in clinic.patients], stagger=stagger
    )
    assert count_outcomes(responses) == {(201, "booked"): 1, (409, "slot_taken"): NUMBER_OF_PATIENTS - 1}
    assert len(await clinic.list_booked(doctor)) == 1
    assert await clinic.count_overlaps() == 0


async def test_slot_is_booked_more_than_once_without_the_guard(unguarded_clinic: Clinic) -> None:
    doctor = await unguarded_clinic.register_doctor()
    responses = await race([partial(patient.try_to_book, doctor, at("10:00")) for patient in unguarded_clinic.patients])
    assert count_outcomes(responses)[201, "booked"] > 1
    assert await unguarded_clinic.count_overlaps() > 0


OVERLAPPING = [("10:00", "10:30"), ("10:15", "10:45"), ("09:45", "11:00")]


def attempt_overlapping_bookings(clinic: Clinic, doctor: Person) -> list[Attempt]:
    return [
        partial(patient.try_to_book, doctor, at(start), at(end))
        for patient, (start, end) in zip(clinic.patients[:30], cycle(OVERLAPPING), strict=False)
    ]


async def test_one_of_many_overlapping_bookings_is_made(clinic: Clinic) -> None:
    doctor = await clinic.register_doctor()
    responses = await race(attempt_overlapping_bookings(clinic, doctor))
    assert count_outcomes(responses) == {(201, "booked"): 1, (409, "slot_taken"): 29}
    assert await clinic.count_overlaps() == 0


async def test_overlapping_bookings_are_both_made_without_the_guard(unguarded_clinic: Clinic) -> None:
    doctor = await unguarded_clinic.register_doctor()
    assert count_outcomes(await race(attempt_overlapping_bookings(unguarded_clinic, doctor)))[201, "booked"] > 1


async def test_bookings_of_many_lengths_never_overlap(clinic: Clinic) -> None:
    doctor = await clinic.register_doctor()
    chance = random.Random(1)
    starts = [f"{chance.randrange(8, 12)}:{chance.randrange(0, 60, 5):02}" for _ in clinic.patients]
    responses = await race(
        [
            partial(
                patient.try_to_book,
                doctor,
                at(start, day=5),
                add_minutes(at(start, day=5), chance.randrange(5, 120, 5)),
            )
            for patient, start in zip(clinic.patients, starts, strict=True)
        ]
    )
    assert set(count_outcomes(responses)) <= {(201, "booked"), (409, "slot_taken")}
    booked = sorted((a.json()["start_time"], a.json()["end_time"]) for a in responses if a.status_code == 201)
    assert booked == await clinic.list_booked(doctor)
    assert all(before[1] <= after[0] for before, after in pairwise(booked))


def add_minutes(start: str, minutes: int) -> str:
    return (datetime.fromisoformat(start) + timedelta(minutes=minutes)).isoformat()


async def test_touching_bookings_both_win_over_a_booking_that_covers_them(clinic: Clinic) -> None:
    doctor = await clinic.register_doctor()
    ann, ben, cem, *_ = clinic.patients
    touching = await race(
        [
            partial(ann.try_to_book, doctor, at("10:00", day=1), at("10:30", day=1)),
            partial(ben.try_to_book, doctor, at("10:30", day=1), at("11:00", day=1)),
        ]
    )
    assert count_outcomes(touching) == {(201, "booked"): 2}
    covering = await race([partial(cem.try_to_book, doctor, at("10:00", day=1), at("11:00", day=1))])
    assert count_outcomes(covering) == {(409, "slot_taken"): 1}


async def test_patient_cannot_book_two_doctors_at_the_same_time(clinic: Clinic) -> None:
    doctors = [await clinic.register_doctor() for _ in range(6)]
    patient = clinic.patients[0]
    responses = await race([partial(patient.try_to_book, doctor, at("15:00", day=2)) for doctor in doctors])
    assert count_outcomes(responses) == {(201, "booked"): 1, (409, "patient_busy"): 5}
    assert await clinic.count_overlaps() == 0


async def test_patient_books_two_doctors_at_the_same_time_without_the_guard(unguarded_clinic: Clinic) -> None:
    doctors = [await unguarded_clinic.register_doctor() for _ in range(6)]
    responses = await race(
        [partial(unguarded_clinic.patients[0].try_to_book, doctor, at("15:00", day=2)) for doctor in doctors]
    )
    assert count_outcomes(responses)[201, "booked"] > 1


async def test_slot_cancelled_by_both_parties_at_once_can_be_booked_again(clinic: Clinic) -> None:
    doctor = await clinic.register_doctor()
    patient, *others = clinic.patients[:6]
    for _ in range(3):
        appointment = await patient.book(doctor, at("12:00", day=3))
        path = f"/appointments/{appointment['id']}"
        cancelled = await race([partial(patient.delete, path), partial(doctor.delete, path)] * 3)
        assert count_outcomes(cancelled) == {(200, "cancelled"): 6}
        assert len({response.text for response in cancelled}) == 1
        rebooked = await race([partial(other.try_to_book, doctor, at("12:00", day=3)) for other in others])
        assert count_outcomes(rebooked) == {(201, "booked"): 1, (409, "slot_taken"): 4}
        [winner] = [response.json() for response in rebooked if response.status_code == 201]
        assert (await doctor.delete(f"/appointments/{winner['id']}")).status_code == 200
    assert await clinic.list_booked(doctor) == []


async def test_slot_is_booked_at_most_once_if_cancelling_races_booking(clinic: Clinic) -> None:
    doctor = await clinic.register_doctor()
    patient, *others = clinic.patients[:11]
    appointment = await patient.book(doctor, at("13:00", day=4))
    responses = await race(
        [
            partial(patient.delete, f"/appointments/{appointment['id']}"),
            *(partial(other.try_to_book, doctor, at("13:00", day=4)) for other in others),
        ]
    )
    assert set(count_outcomes(responses)) <= {(200, "cancelled"), (201, "booked"), (409, "slot_taken")}
    assert count_outcomes(responses)[201, "booked"] == len(await clinic.list_booked(doctor)) <= 1
    assert await clinic.count_overlaps() == 0


async def test_one_cancellation_counts_if_administrators_and_the_patient_cancel_at_once(clinic: Clinic) -> None:
    doctor, admin = await clinic.register_doctor(), await clinic.register_admin()
    patients = clinic.patients[:6]
    appointments = [await patient.book(doctor, at(f"{9 + hour}:00", day=6)) for hour, patient in enumerate(patients)]
    suspended = await admin.post(f"/admin/users/{doctor.id}/suspend", {"reason": "The practice has closed"})
    assert suspended.status_code == 200
    for patient, appointment in zip(patients, appointments, strict=True):
        path = f"/admin/users/{doctor.id}/appointments/{appointment['id']}/cancel"
        admins = [replace(admin, client=client) for client in clinic.clients]
        cancelled = await race(
            [
                *(partial(each.post, path, {"reason": "The practice has closed"}) for each in admins * 2),
                *[partial(patient.delete, f"/appointments/{appointment['id']}")] * 2,
            ]
        )
        assert count_outcomes(cancelled) == {(200, "cancelled"): 6}
        history = (await patient.get(f"/appointments/{appointment['id']}/history")).json()
        assert [each["status"] for each in history] == ["booked", "cancelled"]
        current = (await patient.get(f"/appointments/{appointment['id']}")).json()
        assert current["cancelled_by"] == history[-1]["changed_by"]
        assert (current["cancel_reason"] is not None) == (current["cancelled_by"] == admin.id)


async def race_for_a_day(clinic: Clinic, *, rounds: int) -> Counter[tuple[int, str]]:
    """Sixteen patients try to book sixteen different times of a day whose limit is three."""
    counted: Counter[tuple[int, str]] = Counter()
    doctor = await clinic.register_doctor()
    await doctor.update_profile(daily_limit=3)
    for day in range(rounds):
        attempts = [
            partial(patient.try_to_book, doctor, at(f"{8 + n // 2}:{n % 2 * 30:02}", day))
            for n, patient in enumerate(clinic.patients[:16])
        ]
        counted += count_outcomes(await race(attempts))
    assert len(await clinic.list_booked(doctor)) == counted[201, "booked"]
    return counted


async def test_daily_limit_holds_in_a_race(clinic: Clinic) -> None:
    assert await race_for_a_day(clinic, rounds=3) == {(201, "booked"): 9, (409, "day_full"): 39}


async def test_daily_limit_is_exceeded_without_the_lock(unguarded_clinic: Clinic) -> None:
    if unguarded_clinic.database.engine.dialect.name == "sqlite":
        return  # it has one writer at a time, with or without the lock
    counted = await race_for_a_day(unguarded_clinic, rounds=6)
    assert counted[201, "booked"] > 6 * 3


async def test_daily_limit_holds_if_bookings_holds_and_rescheduling_race(clinic: Clinic) -> None:
    """On each day two more appointments are allowed."""
    doctor = await clinic.register_doctor()
    await doctor.update_profile(daily_limit=4)
    for day in range(0, 6, 2):
        patients = clinic.patients[:14]
        for n in range(2):
            await patients[n].book(doctor, at(f"{n}:00", day))
        others = [await patient.book(doctor, at(f"{n}:00", day + 1)) for n, patient in enumerate(patients[2:6])]
        responses = await race(
            [
                *(partial(reschedule, patients[2 + n], each, at(f"{2 + n}:00", day)) for n, each in enumerate(others)),
                *(
                    partial(patient.try_to_book, doctor, at(f"{n + 6}:00", day))
                    for n, patient in enumerate(patients[6:10])
                ),
                *(partial(hold, patient, doctor, at(f"{n + 10}:00", day)) for n, patient in enumerate(patients[10:14])),
            ]
        )
        assert Counter(response.is_success for response in responses) == {True: 2, False: 10}
        assert {response.json()["code"] for response in responses if not response.is_success} == {"day_full"}


async def test_idempotency_key_sent_ten_times_at_once_books_once(clinic: Clinic) -> None:
    doctor = await clinic.register_doctor()
    patient = clinic.patients[0]
    body = {"doctor_id": doctor.id, "start_time": at("10:00")}
    headers = patient.headers | {"Idempotency-Key": "one-key"}
    responses = await race(
        [partial(clinic.clients[n % 2].post, "/appointments", headers=headers, json=body) for n in range(10)]
    )
    assert Counter(response.status_code for response in responses) == {201: 10}
    assert len({response.content for response in responses}) == 1
    assert sum("idempotency-replayed" in response.headers for response in responses) == 9
    assert len(await clinic.list_booked(doctor)) == 1


async def test_booking_that_races_time_off_is_refused_or_in_conflict(clinic: Clinic) -> None:
    doctor = await clinic.register_doctor()
    for day in range(4):
        patients = clinic.patients[:8]
        attempts = [
            partial(patient.try_to_book, doctor, at(f"{9 + number // 2}:{number % 2 * 30:02}", day))
            for number, patient in enumerate(patients)
        ]
        time_off = {"start_time": at("8:00", day), "end_time": at("14:00", day)}
        *responses, taken = await race([*attempts, partial(doctor.post, "/doctors/me/time-off", time_off)])
        assert taken.status_code == 201
        assert set(count_outcomes(responses)) <= {(201, "booked"), (409, "time_off")}
        acknowledged = {response.json()["id"] for response in responses if response.status_code == 201}
        listed = {
            each["id"]
            for each in (await doctor.get("/doctors/me/appointments?conflicting=true&limit=100")).json()
            if each["start_time"] < time_off["end_time"] and each["end_time"] > at("8:00", day)
        }
        assert acknowledged == listed
        assert {each["id"] for each in taken.json()["affected"]} <= acknowledged
        assert set(count_outcomes(await race(attempts[:2]))) <= {(409, "time_off")}


async def test_one_of_equal_availabilities_is_published(clinic: Clinic) -> None:
    doctor = await Person.register(clinic.clients[0], "doctor", email=f"{random.random()}@example.com")
    window = {"start_time": at("9:00"), "end_time": at("17:00")}
    responses = await race([partial(doctor.post, "/doctors/availability", window)] * 10)
    assert Counter(response.status_code for response in responses) == {201: 1, 409: 9}
    assert len((await doctor.get("/doctors/me/availability")).json()) == 1


async def test_one_of_equal_registrations_is_made(clinic: Clinic) -> None:
    body = {"email": f"{random.random()}@example.com", "password": PASSWORD, "name": "Ann", "role": "doctor"}
    responses = await race([partial(client.post, "/auth/register", json=body) for client in clinic.clients * 5])
    assert Counter(response.status_code for response in responses) == {201: 1, 409: 9}


async def test_booking_that_races_withdrawal_of_availability_is_refused_or_in_conflict(clinic: Clinic) -> None:
    """Every acknowledged booking exists, and no booking succeeds after the response to the withdrawal."""
    doctor = await Person.register(clinic.clients[0], "doctor", email=f"{random.random()}@example.com")
    acknowledged: list[tuple[str, str]] = []
    for day in range(5):
        window = await doctor.publish(at("9:00", day), at("12:00", day))
        attempts = [
            partial(patient.try_to_book, doctor, at(f"{9 + number // 2}:{number % 2 * 30:02}", day))
            for number, patient in enumerate(clinic.patients[10:16])
        ]
        *responses, withdrawn = await race([*attempts, partial(doctor.delete, f"/doctors/availability/{window['id']}")])
        assert withdrawn.status_code == 204
        assert set(count_outcomes(responses)) <= {(201, "booked"), (409, "outside_availability")}
        acknowledged += [
            (each.json()["start_time"], each.json()["end_time"]) for each in responses if each.status_code == 201
        ]
        assert count_outcomes(await race(attempts)) == {(409, "outside_availability"): 6}
    assert sorted(acknowledged) == await clinic.list_booked(doctor)
    assert await clinic.count_overlaps() == 0


async def test_one_of_many_reset_tokens_redeemed_at_once_works(clinic: Clinic) -> None:
    """New tokens are requested at the same time, which deletes the expired ones."""
    # Not one of the shared patients: the reset ends their sessions.
    person = await Person.register(clinic.clients[0], "patient", email=f"{random.random()}@example.com")
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    for attempt in range(5):
        soon = datetime.now(UTC) + timedelta(minutes=20)
        tokens = [new_token() for _ in range(12)]
        async with clinic.database.write() as transaction:
            for number, token in enumerate(tokens):
                await users.insert_password_reset(
                    transaction,
                    UUID(person.id),
                    token_hash=hash_token(token),
                    expires_at=soon if number < 6 else long_ago,
                )
        new_password = f"another horse {attempt}"
        redemptions = [
            partial(client.post, "/auth/reset-password", json={"token": token, "new_password": new_password})
            for client, token in zip(cycle(clinic.clients), tokens[:6], strict=False)
        ]
        requests = [
            partial(client.post, "/auth/forgot-password", json={"email": person.email}) for client in clinic.clients * 2
        ]
        responses = await race([*redemptions, *requests])
        assert Counter(response.status_code for response in responses) == {204: 1, 422: 5, 200: 4}
