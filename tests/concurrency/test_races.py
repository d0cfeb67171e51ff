"""Races, on committed data, between two server processes that share a SQLite file or a PostgreSQL database.

Each case has a control twin: the same race on a database from which the guard was taken away. If the twin did not
double-book, the race would prove nothing.
"""

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle, pairwise
from uuid import UUID

import pytest

from app.core.security import hash_token, new_token
from app.repositories import users
from tests.concurrency.arena import RUNNERS, Arena, Attempt, at, open_arena, outcomes, race
from tests.databases import both_databases
from tests.people import PASSWORD, Person


@pytest.fixture(scope="module", params=both_databases("races"))
async def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Arena]:
    async with open_arena(request.param, tmp_path_factory.mktemp("guarded"), guarded=True) as arena:
        yield arena


@pytest.fixture(scope="module", params=both_databases("races"))
async def unguarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Arena]:
    async with open_arena(request.param, tmp_path_factory.mktemp("unguarded"), guarded=False) as arena:
        yield arena


@pytest.fixture
async def arena(guarded: Arena) -> AsyncIterator[Arena]:
    """Nobody is busy with what was booked in an earlier test."""
    yield guarded
    await guarded.clear()


@pytest.fixture
async def twin(unguarded: Arena) -> AsyncIterator[Arena]:
    """The arena without the guard."""
    yield unguarded
    await unguarded.clear()


@pytest.mark.parametrize("stagger", [0, 0.2])
async def test_one_of_fifty_bookings_of_a_slot_is_made(arena: Arena, stagger: float) -> None:
    doctor = await arena.doctor()
    answers = await race(
        [partial(patient.try_to_book, doctor, at("10:00")) for patient in arena.patients], stagger=stagger
    )
    assert outcomes(answers) == {(201, "booked"): 1, (409, "slot_taken"): RUNNERS - 1}
    assert len(await arena.booked(doctor)) == 1
    assert await arena.overlaps() == 0


async def test_slot_is_booked_more_than_once_without_the_guard(twin: Arena) -> None:
    doctor = await twin.doctor()
    answers = await race([partial(patient.try_to_book, doctor, at("10:00")) for patient in twin.patients])
    assert outcomes(answers)[201, "booked"] > 1
    assert await twin.overlaps() > 0


OVERLAPPING = [("10:00", "10:30"), ("10:15", "10:45"), ("09:45", "11:00")]


def overlapping_attempts(arena: Arena, doctor: Person) -> list[Attempt]:
    return [
        partial(patient.try_to_book, doctor, at(start), at(end))
        for patient, (start, end) in zip(arena.patients[:30], cycle(OVERLAPPING), strict=False)
    ]


async def test_one_of_two_overlapping_bookings_is_made(arena: Arena) -> None:
    doctor = await arena.doctor()
    answers = await race(overlapping_attempts(arena, doctor))
    assert outcomes(answers) == {(201, "booked"): 1, (409, "slot_taken"): 29}
    assert await arena.overlaps() == 0


async def test_overlapping_bookings_are_both_made_without_the_guard(twin: Arena) -> None:
    doctor = await twin.doctor()
    assert outcomes(await race(overlapping_attempts(twin, doctor)))[201, "booked"] > 1


async def test_bookings_of_many_lengths_never_overlap(arena: Arena) -> None:
    """Everybody wants something on one morning; what is left at the end fits, and nobody is told a wrong thing."""
    doctor = await arena.doctor()
    chance = random.Random(1)
    starts = [f"{chance.randrange(8, 12)}:{chance.randrange(0, 60, 5):02}" for _ in arena.patients]
    answers = await race(
        [
            partial(patient.try_to_book, doctor, at(start, day=5), plus(at(start, day=5), chance.randrange(5, 120, 5)))
            for patient, start in zip(arena.patients, starts, strict=True)
        ]
    )
    assert set(outcomes(answers)) <= {(201, "booked"), (409, "slot_taken")}
    won = sorted((a.json()["start_time"], a.json()["end_time"]) for a in answers if a.status_code == 201)
    assert won == await arena.booked(doctor)
    assert all(before[1] <= after[0] for before, after in pairwise(won))


def plus(start: str, minutes: int) -> str:
    return (datetime.fromisoformat(start) + timedelta(minutes=minutes)).isoformat()


async def test_touching_bookings_both_win_over_a_booking_that_covers_them(arena: Arena) -> None:
    doctor = await arena.doctor()
    ann, ben, cem, *_ = arena.patients
    both_databases = await race(
        [
            partial(ann.try_to_book, doctor, at("10:00", day=1), at("10:30", day=1)),
            partial(ben.try_to_book, doctor, at("10:30", day=1), at("11:00", day=1)),
        ]
    )
    assert outcomes(both_databases) == {(201, "booked"): 2}
    covering = await race([partial(cem.try_to_book, doctor, at("10:00", day=1), at("11:00", day=1))])
    assert outcomes(covering) == {(409, "slot_taken"): 1}


async def test_patient_cannot_book_two_doctors_at_the_same_time(arena: Arena) -> None:
    doctors = [await arena.doctor() for _ in range(6)]
    patient = arena.patients[0]
    answers = await race([partial(patient.try_to_book, doctor, at("15:00", day=2)) for doctor in doctors])
    assert outcomes(answers) == {(201, "booked"): 1, (409, "patient_busy"): 5}
    assert await arena.overlaps() == 0


async def test_patient_books_two_doctors_at_the_same_time_without_the_guard(twin: Arena) -> None:
    doctors = [await twin.doctor() for _ in range(6)]
    answers = await race([partial(twin.patients[0].try_to_book, doctor, at("15:00", day=2)) for doctor in doctors])
    assert outcomes(answers)[201, "booked"] > 1


async def test_slot_cancelled_by_both_parties_at_once_can_be_booked_again(arena: Arena) -> None:
    doctor = await arena.doctor()
    patient, *others = arena.patients[:6]
    for _ in range(3):
        appointment = await patient.book(doctor, at("12:00", day=3))
        path = f"/appointments/{appointment['id']}"
        cancelled = await race([partial(patient.delete, path), partial(doctor.delete, path)] * 3)
        assert outcomes(cancelled) == {(200, "cancelled"): 6}
        assert len({answer.text for answer in cancelled}) == 1
        again = await race([partial(other.try_to_book, doctor, at("12:00", day=3)) for other in others])
        assert outcomes(again) == {(201, "booked"): 1, (409, "slot_taken"): 4}
        [winner] = [answer.json() for answer in again if answer.status_code == 201]
        assert (await doctor.delete(f"/appointments/{winner['id']}")).status_code == 200
    assert await arena.booked(doctor) == []


async def test_slot_is_booked_at_most_once_if_cancelling_races_booking(arena: Arena) -> None:
    """The time is either still taken or free again; it is never lost and never had twice."""
    doctor = await arena.doctor()
    patient, *others = arena.patients[:11]
    appointment = await patient.book(doctor, at("13:00", day=4))
    answers = await race(
        [
            partial(patient.delete, f"/appointments/{appointment['id']}"),
            *(partial(other.try_to_book, doctor, at("13:00", day=4)) for other in others),
        ]
    )
    assert set(outcomes(answers)) <= {(200, "cancelled"), (201, "booked"), (409, "slot_taken")}
    assert outcomes(answers)[201, "booked"] == len(await arena.booked(doctor)) <= 1
    assert await arena.overlaps() == 0


async def test_one_cancellation_counts_if_administrators_and_the_patient_cancel_at_once(arena: Arena) -> None:
    doctor, admin = await arena.doctor(), await arena.admin()
    patients = arena.patients[:6]
    visits = [await patient.book(doctor, at(f"{9 + hour}:00", day=6)) for hour, patient in enumerate(patients)]
    suspended = await admin.post(f"/admin/users/{doctor.id}/suspend", {"reason": "The practice has closed"})
    assert suspended.status_code == 200
    for patient, visit in zip(patients, visits, strict=True):
        path = f"/admin/users/{doctor.id}/appointments/{visit['id']}/cancel"
        elsewhere = [replace(admin, client=client) for client in arena.clients]
        cancelled = await race(
            [
                *(partial(each.post, path, {"reason": "The practice has closed"}) for each in elsewhere * 2),
                *[partial(patient.delete, f"/appointments/{visit['id']}")] * 2,
            ]
        )
        assert outcomes(cancelled) == {(200, "cancelled"): 6}
        history = (await patient.get(f"/appointments/{visit['id']}/history")).json()
        assert [each["status"] for each in history] == ["booked", "cancelled"]
        seen = (await patient.get(f"/appointments/{visit['id']}")).json()
        assert seen["cancelled_by"] == history[-1]["changed_by"]
        assert (seen["cancel_reason"] is not None) == (seen["cancelled_by"] == admin.id)


async def test_one_of_equal_availabilities_is_published(arena: Arena) -> None:
    doctor = await Person.register(arena.clients[0], "doctor", email=f"{random.random()}@example.com")
    window = {"start_time": at("9:00"), "end_time": at("17:00")}
    answers = await race([partial(doctor.post, "/doctors/availability", window)] * 10)
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 9}
    assert len((await doctor.get("/doctors/me/availability")).json()) == 1


async def test_one_of_equal_registrations_is_made(arena: Arena) -> None:
    body = {"email": f"{random.random()}@example.com", "password": PASSWORD, "name": "Ann", "role": "doctor"}
    answers = await race([partial(client.post, "/auth/register", json=body) for client in arena.clients * 5])
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 9}


async def test_booking_that_races_withdrawal_of_availability_is_refused_or_in_conflict(arena: Arena) -> None:
    """Whoever is told that a visit is booked has it; when the withdrawal is answered, nobody gets one any more."""
    doctor = await Person.register(arena.clients[0], "doctor", email=f"{random.random()}@example.com")
    told: list[tuple[str, str]] = []
    for day in range(5):
        window = await doctor.publish(at("9:00", day), at("12:00", day))
        asked = [
            partial(patient.try_to_book, doctor, at(f"{9 + number // 2}:{number % 2 * 30:02}", day))
            for number, patient in enumerate(arena.patients[10:16])
        ]
        *answers, withdrawn = await race([*asked, partial(doctor.delete, f"/doctors/availability/{window['id']}")])
        assert withdrawn.status_code == 204
        assert set(outcomes(answers)) <= {(201, "booked"), (409, "outside_availability")}
        told += [(each.json()["start_time"], each.json()["end_time"]) for each in answers if each.status_code == 201]
        late = await race(asked)
        assert outcomes(late) == {(409, "outside_availability"): 6}
    assert sorted(told) == await arena.booked(doctor)
    assert await arena.overlaps() == 0


async def test_one_of_many_reset_tokens_redeemed_at_once_works(arena: Arena) -> None:
    """And asking for new ones meanwhile, which sweeps the expired ones away, is in nobody's way."""
    person = arena.patients[-1]
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    for attempt in range(5):
        soon = datetime.now(UTC) + timedelta(minutes=20)
        tokens = [new_token() for _ in range(12)]
        async with arena.database.write() as transaction:
            for number, token in enumerate(tokens):
                await users.insert_password_reset(
                    transaction,
                    UUID(person.id),
                    token_hash=hash_token(token),
                    expires_at=soon if number < 6 else long_ago,
                )
        new_password = f"another horse {attempt}"
        redeeming = [
            partial(client.post, "/auth/reset-password", json={"token": token, "new_password": new_password})
            for client, token in zip(cycle(arena.clients), tokens[:6], strict=False)
        ]
        asking = [
            partial(client.post, "/auth/forgot-password", json={"email": person.email}) for client in arena.clients * 2
        ]
        answers = await race([*redeeming, *asking])
        assert Counter(answer.status_code for answer in answers) == {204: 1, 422: 5, 200: 4}
