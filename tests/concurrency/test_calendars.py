"""Races of moving, holding, limits, time off and repeated requests; the arena is that of ``test_races``."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import text, update

from app.core.permissions import Actor, Role
from app.models import Appointment
from app.scheduling.status import AppointmentStatus
from app.services.booking import BookingRequest, hold_time
from tests.concurrency.arena import Arena, at, open_arena, outcomes, race
from tests.databases import both_databases
from tests.people import Person


@pytest.fixture(scope="module", params=both_databases("calendars"))
async def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Arena]:
    async with open_arena(request.param, tmp_path_factory.mktemp("guarded"), guarded=True) as arena:
        yield arena


@pytest.fixture(scope="module", params=both_databases("calendars"))
async def unguarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Arena]:
    async with open_arena(request.param, tmp_path_factory.mktemp("unguarded"), guarded=False) as arena:
        yield arena


@pytest.fixture
async def arena(guarded: Arena) -> AsyncIterator[Arena]:
    yield guarded
    await guarded.clear()


@pytest.fixture
async def twin(unguarded: Arena) -> AsyncIterator[Arena]:
    """The arena without the guard."""
    yield unguarded
    await unguarded.clear()


async def move(person: Person, appointment: dict[str, Any], start: str, **headers: str) -> httpx2.Response:
    return await person.client.post(
        f"/appointments/{appointment['id']}/reschedule",
        headers=person.headers | headers,
        json={"start_time": start},
    )


async def moving_races_booking(arena: Arena, *, rounds: int) -> Counter[tuple[int, str]]:
    seen: Counter[tuple[int, str]] = Counter()
    for day in range(rounds):
        doctor = await arena.doctor()
        mover, *others = arena.patients[:9]
        held = await mover.book(doctor, at("10:00", day))
        moved, *answers = await race(
            [
                partial(move, mover, held, at("11:00", day)),
                *(partial(o.try_to_book, doctor, at("11:00", day)) for o in others),
            ]
        )
        seen += outcomes([moved, *answers])
        if moved.status_code == 409:
            assert (await mover.get(f"/appointments/{held['id']}")).json() == held, "the old time is still held"
    return seen


async def test_one_wins_if_rescheduling_races_booking(arena: Arena) -> None:
    seen = await moving_races_booking(arena, rounds=4)
    assert seen[200, "booked"] + seen[201, "booked"] == 4
    assert seen[409, "slot_taken"] == 4 * 8
    assert await arena.overlaps() == 0


async def test_rescheduling_and_booking_both_win_without_the_guard(twin: Arena) -> None:
    seen = await moving_races_booking(twin, rounds=4)
    assert seen[200, "booked"] + seen[201, "booked"] > 4
    assert await twin.overlaps() > 0


async def undo(doctor: Person, appointment: dict[str, Any]) -> httpx2.Response:
    return await doctor.post(f"/appointments/{appointment['id']}/undo", None)


async def undo_races_booking(arena: Arena, *, rounds: int) -> Counter[tuple[int, str]]:
    """Of a missed visit whose time is free again, and which lies ahead only so that others can book it."""
    seen: Counter[tuple[int, str]] = Counter()
    doctor = await arena.doctor()
    for day in range(rounds):
        absent, *others = arena.patients[:9]
        missed = await absent.book(doctor, at("10:00", day))
        async with arena.database.write() as transaction:
            mark = update(Appointment).where(Appointment.id == UUID(missed["id"]))
            await transaction.execute(mark.values(status=AppointmentStatus.NOSHOW))
        attempts = [partial(other.try_to_book, doctor, at("10:15", day)) for other in others]
        undone, *answers = await race([partial(undo, doctor, missed), *attempts], stagger=0.02)
        seen += outcomes([undone, *answers])
    return seen


async def test_one_wins_if_undoing_races_booking(arena: Arena) -> None:
    seen = await undo_races_booking(arena, rounds=6)
    assert seen[200, "booked"] + seen[201, "booked"] == 6
    assert seen[409, "slot_taken"] == 6 * 8
    assert await arena.overlaps() == 0


async def test_undoing_and_booking_both_win_without_the_guard(twin: Arena) -> None:
    seen = await undo_races_booking(twin, rounds=6)
    assert seen[200, "booked"] + seen[201, "booked"] > 6
    assert await twin.overlaps() > 0


async def test_undoing_and_rescheduling_do_not_deadlock(arena: Arena) -> None:
    """Two cancelled visits, restored while two others move to their times: each time goes to one of them."""
    doctor = await arena.doctor()
    ann, ben, cleo, dan = arena.patients[:4]
    for day in range(6):
        ten, eleven = await ann.book(doctor, at("10:00", day)), await ben.book(doctor, at("11:00", day))
        for each in (ten, eleven):
            assert (await doctor.delete(f"/appointments/{each['id']}")).status_code == 200
        noon, one = await cleo.book(doctor, at("12:00", day)), await dan.book(doctor, at("13:00", day))
        answers = await race(
            [
                partial(undo, doctor, ten),
                partial(undo, doctor, eleven),
                partial(move, cleo, noon, at("11:00", day)),
                partial(move, dan, one, at("10:00", day)),
            ]
        )
        assert outcomes(answers) == {(200, "booked"): 2, (409, "slot_taken"): 2}
    assert await arena.overlaps() == 0


async def test_appointment_ends_cancelled_if_rescheduling_races_cancelling(arena: Arena) -> None:
    """Whoever comes first, it is cancelled in the end, at one of the two times, and nobody is told to come again."""
    doctor = await arena.doctor()
    patient = arena.patients[0]
    for day in range(6):
        booked = await patient.book(doctor, at("10:00", day))
        path = f"/appointments/{booked['id']}"
        moved, cancelled = await race(
            [partial(move, patient, booked, at("11:00", day)), partial(doctor.delete, path)], stagger=0.02
        )
        assert outcomes([cancelled]) == {(200, "cancelled"): 1}
        assert set(outcomes([moved])) <= {(200, "booked"), (409, "wrong_status")}
        assert (await patient.get(path)).json() == cancelled.json()
        assert cancelled.json()["version"] == (3 if moved.status_code == 200 else 2)


async def test_patients_who_swap_slots_do_not_deadlock(arena: Arena) -> None:
    """Neither can have the other's while it is held: both are refused, at once, and nobody loses what she has."""
    doctor = await arena.doctor()
    ann, ben = arena.patients[:2]
    for day in range(7):
        ten, eleven = await ann.book(doctor, at("10:00", day)), await ben.book(doctor, at("11:00", day))
        answers = await race([partial(move, ann, ten, at("11:00", day)), partial(move, ben, eleven, at("10:00", day))])
        assert outcomes(answers) == {(409, "slot_taken"): 2}
        assert (await ann.get(f"/appointments/{ten['id']}")).json() == ten
    assert len(await arena.booked(doctor)) == 14


async def test_appointments_rescheduled_in_a_ring_are_neither_lost_nor_doubled(arena: Arena) -> None:
    """Everybody moves to and fro between the same two places; none is lost, and none is had twice."""
    doctor = await arena.doctor()
    movers = arena.patients[:6]
    held = [await mover.book(doctor, at(f"{9 + number}:00")) for number, mover in enumerate(movers)]
    for turn in range(3):
        targets = [at(f"{9 + (number + 1 + turn) % 8}:00") for number in range(6)]
        answers = await race([partial(move, *each) for each in zip(movers, held, targets, strict=True)])
        assert set(outcomes(answers)) <= {(200, "booked"), (409, "slot_taken")}
        assert await arena.overlaps() == 0
        assert len(await arena.booked(doctor)) == 6


async def test_one_of_many_changes_of_one_version_is_made(arena: Arena) -> None:
    doctor = await arena.doctor()
    patient = arena.patients[0]
    held = await patient.book(doctor, at("10:00"))
    answers = await race(
        [partial(move, patient, held, at(f"{11 + number}:00"), **{"If-Match": '"1"'}) for number in range(6)]
    )
    assert outcomes(answers) == {(200, "booked"): 1, (412, "version_mismatch"): 5}
    [version] = [answer.json()["version"] for answer in answers if answer.status_code == 200]
    assert version == 2
    assert len((await patient.get(f"/appointments/{held['id']}/history")).json()) == 2


async def bookings_race_for_a_day(arena: Arena, *, rounds: int) -> Counter[tuple[int, str]]:
    """Sixteen patients want sixteen different times of a day that has room for three."""
    seen: Counter[tuple[int, str]] = Counter()
    doctor = await arena.doctor()
    await doctor.update_profile(daily_limit=3)
    for day in range(rounds):
        asked = [
            partial(patient.try_to_book, doctor, at(f"{8 + n // 2}:{n % 2 * 30:02}", day))
            for n, patient in enumerate(arena.patients[:16])
        ]
        seen += outcomes(await race(asked))
    assert len(await arena.booked(doctor)) == seen[201, "booked"]
    return seen


async def test_daily_limit_holds_in_a_race(arena: Arena) -> None:
    assert await bookings_race_for_a_day(arena, rounds=3) == {(201, "booked"): 9, (409, "day_full"): 39}


async def test_daily_limit_is_exceeded_without_the_lock(twin: Arena) -> None:
    if twin.database.engine.dialect.name == "sqlite":
        return  # its writers pass one by one in any case
    seen = await bookings_race_for_a_day(twin, rounds=6)
    assert seen[201, "booked"] > 6 * 3


async def test_daily_limit_holds_if_bookings_holds_and_rescheduling_race(arena: Arena) -> None:
    """Two places are left on each day, and whatever takes a time of that day takes one of them."""
    doctor = await arena.doctor()
    await doctor.update_profile(daily_limit=4)
    for day in range(0, 6, 2):
        patients = arena.patients[:14]
        for n in range(2):
            await patients[n].book(doctor, at(f"{n}:00", day))
        elsewhere = [await patient.book(doctor, at(f"{n}:00", day + 1)) for n, patient in enumerate(patients[2:6])]
        answers = await race(
            [
                *(partial(move, patients[2 + n], each, at(f"{2 + n}:00", day)) for n, each in enumerate(elsewhere)),
                *(
                    partial(patient.try_to_book, doctor, at(f"{n + 6}:00", day))
                    for n, patient in enumerate(patients[6:10])
                ),
                *(partial(hold, patient, doctor, at(f"{n + 10}:00", day)) for n, patient in enumerate(patients[10:14])),
            ]
        )
        assert Counter(answer.is_success for answer in answers) == {True: 2, False: 10}
        assert {answer.json()["code"] for answer in answers if not answer.is_success} == {"day_full"}


async def test_idempotency_key_sent_ten_times_at_once_books_once(arena: Arena) -> None:
    doctor = await arena.doctor()
    patient = arena.patients[0]
    body = {"doctor_id": doctor.id, "start_time": at("10:00")}
    headers = patient.headers | {"Idempotency-Key": "one-key"}
    answers = await race(
        [partial(arena.clients[n % 2].post, "/appointments", headers=headers, json=body) for n in range(10)]
    )
    assert Counter(answer.status_code for answer in answers) == {201: 10}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 9
    assert len(await arena.booked(doctor)) == 1


async def test_one_of_many_holds_of_a_slot_is_made(arena: Arena) -> None:
    doctor = await arena.doctor()
    patients = arena.patients[:10]
    answers = await race([partial(hold, patient, doctor, at("10:00")) for patient in patients])
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 9}
    [(holder, kept)] = [(p, a.json()) for p, a in zip(patients, answers, strict=True) if a.status_code == 201]
    others = [patient for patient in patients if patient is not holder]
    asked = [partial(holder.try_to_book, doctor, at("10:00"), hold_id=kept["id"])]
    asked += [partial(other.try_to_book, doctor, at("10:00"), hold_id=kept["id"]) for other in others]
    answers = await race(asked)
    assert answers[0].status_code == 201
    assert outcomes(answers[1:]) == {(409, "slot_taken"): 9}


async def hold(person: Person, doctor: Person, start: str) -> httpx2.Response:
    return await person.post("/holds", {"doctor_id": doctor.id, "start_time": start})


async def test_patients_who_swap_holds_do_not_deadlock(arena: Arena) -> None:
    """With one doctor and across two; each is refused, and keeps what she holds."""
    one, other = await arena.doctor(), await arena.doctor()
    ann, ben = arena.patients[:2]
    for day, (hers, his) in enumerate([(one, one), (one, other), (one, one), (one, other), (one, other)]):
        times = at("10:00", day), at("11:00" if hers is his else "10:00", day)
        assert (await hold(ann, hers, times[0])).status_code == 201
        assert (await hold(ben, his, times[1])).status_code == 201
        answers = await race([partial(hold, ann, his, times[1]), partial(hold, ben, hers, times[0])])
        assert [answer.status_code for answer in answers] == [409, 409]
        # And the same by booking what the other holds.
        answers = await race([partial(ann.try_to_book, his, times[1]), partial(ben.try_to_book, hers, times[0])])
        assert [answer.status_code for answer in answers] == [409, 409]


async def test_one_wins_if_booking_a_hold_races_rescheduling_to_its_time(arena: Arena) -> None:
    doctor = await arena.doctor()
    holder, mover = arena.patients[:2]
    for day in range(6):
        booked = await mover.book(doctor, at("12:00", day))
        kept = (await hold(holder, doctor, at("10:00", day))).json()
        answers = await race(
            [
                partial(holder.try_to_book, doctor, at("10:00", day), hold_id=kept["id"]),
                partial(move, mover, booked, at("10:00", day)),
            ]
        )
        assert [answer.status_code for answer in answers] == [201, 409]


async def test_patient_has_one_hold_after_many_attempts_at_once(arena: Arena) -> None:
    doctor = await arena.doctor()
    patient = arena.patients[0]
    answers = await race([partial(hold, patient, doctor, at(f"{6 + hour}:00")) for hour in range(12)])
    assert Counter(answer.status_code for answer in answers) == {201: 12}
    async with arena.database.read() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM appointments WHERE status = 'pending'")) == 1


async def test_one_of_many_bookings_of_an_expired_hold_is_made(arena: Arena) -> None:
    """Nothing has swept it away: whoever comes finds it in the way, and does away with it."""
    doctor = await arena.doctor()
    holder, *others = arena.patients[:13]
    long_ago = datetime.now(UTC) - timedelta(minutes=6)
    for day in range(3):
        for minute in ("00", "30"):
            start = datetime.fromisoformat(at(f"10:{minute}", day))
            actor = Actor(UUID(holder.id if minute == "00" else others[0].id), Role.PATIENT, "A patient")
            async with arena.database.write() as transaction:
                await hold_time(transaction, actor, BookingRequest(UUID(doctor.id), start), now=long_ago)
        answers = await race(
            [partial(other.try_to_book, doctor, at("10:00", day), at("11:00", day)) for other in others]
        )
        assert outcomes(answers) == {(201, "booked"): 1, (409, "slot_taken"): 11}
    assert await arena.overlaps() == 0


async def test_booking_that_races_time_off_is_refused_or_in_conflict(arena: Arena) -> None:
    """Refused, or listed as conflicting: no visit in time off goes unnoticed."""
    doctor = await arena.doctor()
    for day in range(4):
        patients = arena.patients[:8]
        asked = [
            partial(patient.try_to_book, doctor, at(f"{9 + number // 2}:{number % 2 * 30:02}", day))
            for number, patient in enumerate(patients)
        ]
        away = {"start_time": at("8:00", day), "end_time": at("14:00", day)}
        *answers, taken = await race([*asked, partial(doctor.post, "/doctors/me/time-off", away)])
        assert taken.status_code == 201
        assert set(outcomes(answers)) <= {(201, "booked"), (409, "time_off")}
        told = {answer.json()["id"] for answer in answers if answer.status_code == 201}
        listed = {
            each["id"]
            for each in (await doctor.get("/doctors/me/appointments?conflicting=true&limit=100")).json()
            if each["start_time"] < away["end_time"] and each["end_time"] > at("8:00", day)
        }
        assert told == listed
        assert {each["id"] for each in taken.json()["affected"]} <= told
        assert set(outcomes(await race(asked[:2]))) <= {(409, "time_off")}


async def test_hold_expires_although_its_server_was_killed(arena: Arena) -> None:
    """What is over is over by the clock alone, whoever made it and whether or not anybody sweeps."""
    doctor = await arena.doctor()
    holder, other = arena.patients[:2]
    kept = (await hold(holder, doctor, at("10:00"))).json()
    assert (await other.try_to_book(doctor, at("10:00"))).status_code == 409
    async with arena.database.write() as transaction:
        await transaction.execute(
            text("UPDATE appointments SET expires_at = created_at WHERE status = 'pending'"),
        )
    await asyncio.sleep(0)
    assert (await other.try_to_book(doctor, at("10:00"))).status_code == 201
    assert (await holder.try_to_book(doctor, at("10:00"), hold_id=kept["id"])).status_code == 409
