"""What happens between the check of a booking and its insert: the rules change, or what was in the way goes."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, text

from app.core.errors import DomainError
from app.core.permissions import Actor, Role
from app.db.session import Sessions
from app.repositories.appointments import AppointmentRecord
from app.services.booking import Wanted, book_appointment
from app.services.schedule import publish_availability, withdraw_availability
from tests.conftest import Join
from tests.databases import connected
from tests.people import Person

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
TEN = datetime(2026, 12, 8, 10, tzinfo=UTC)

# On SQLite a writer keeps everybody else out from its first statement on, so nothing can come in between.
pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)

type Interruption = Callable[[Sessions], Coroutine[None, None, None]]


@contextmanager
def interrupted(url: str, by: Interruption, before: str, times: int) -> Iterator[list[str]]:
    """Somebody else commits something, right before a statement of this kind is sent, as often as told."""
    happened: list[str] = []

    async def commit() -> None:
        async with connected(url) as engine:
            await by(Sessions(engine))

    def interrupt(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(before) and len(happened) < times:
            happened.append(statement)
            with ThreadPoolExecutor(1) as elsewhere:
                elsewhere.submit(asyncio.run, commit()).result()

    event.listen(Engine, "before_cursor_execute", interrupt)
    try:
        yield happened
    finally:
        event.remove(Engine, "before_cursor_execute", interrupt)


def actor(person: Person, role: Role) -> Actor:
    return Actor(UUID(person.id), role, person.name)


async def book(sessions: Sessions, doctor: Person, patient: Person) -> AppointmentRecord:
    async with sessions.write() as session:
        return await book_appointment(
            session, actor(patient, Role.PATIENT), Wanted(UUID(doctor.id), TEN), reason=None, now=NOW
        )


async def change_something_else(sessions: Sessions) -> None:
    async with sessions.write() as session:
        await session.execute(text("UPDATE doctors SET schedule_version = schedule_version + 1"))


async def test_a_booking_checked_against_old_rules_is_checked_again(
    database_url: str, sessions: Sessions, doctor: Person, patient: Person
) -> None:
    await doctor.open("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")
    with interrupted(database_url, change_something_else, before="INSERT INTO appointments", times=1) as happened:
        appointment = await book(sessions, doctor, patient)
    assert len(happened) == 1
    assert (await patient.get(f"/appointments/{appointment.id}")).status_code == 200


async def test_rules_that_change_faster_than_they_can_be_checked(
    database_url: str, sessions: Sessions, doctor: Person, patient: Person
) -> None:
    await doctor.open("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")
    with (
        interrupted(database_url, change_something_else, before="INSERT INTO appointments", times=9) as happened,
        pytest.raises(DomainError, match="busy"),
    ):
        await book(sessions, doctor, patient)
    assert len(happened) == 2
    assert (await patient.get("/appointments")).json() == []


async def test_time_that_is_closed_meanwhile_is_not_booked(
    database_url: str, sessions: Sessions, doctor: Person, patient: Person
) -> None:
    window = await doctor.open("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")

    async def withdraw(others: Sessions) -> None:
        async with others.write() as session:
            await withdraw_availability(session, actor(doctor, Role.DOCTOR), UUID(window["id"]))

    with (
        interrupted(database_url, withdraw, before="INSERT INTO appointments", times=1),
        pytest.raises(DomainError, match="outside_availability"),
    ):
        await book(sessions, doctor, patient)
    assert (await patient.get("/appointments")).json() == []


async def test_an_obstacle_that_goes_away_while_it_is_looked_for(
    database_url: str, sessions: Sessions, doctor: Person, patient: Person, join: Join
) -> None:
    await doctor.open("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")
    other = await join()
    await other.book(doctor, TEN.isoformat())

    async def cancel(others: Sessions) -> None:
        async with others.write() as session:
            await session.execute(
                text("UPDATE appointments SET status = 'cancelled', cancelled_at = :now"), {"now": NOW}
            )

    with interrupted(database_url, cancel, before="SELECT appointments.doctor_id", times=1) as happened:
        appointment = await book(sessions, doctor, patient)
    assert len(happened) == 1
    assert (await patient.get("/appointments")).json()[0]["id"] == str(appointment.id)


async def test_availability_that_is_published_twice_at_once(
    database_url: str, sessions: Sessions, doctor: Person
) -> None:
    me = actor(doctor, Role.DOCTOR)

    async def publish(own: Sessions) -> None:
        async with own.write() as session:
            await publish_availability(session, me, start=TEN, end=TEN + timedelta(hours=2), now=NOW)

    with (
        interrupted(database_url, publish, before="UPDATE doctors", times=1) as happened,
        pytest.raises(DomainError, match="availability_overlaps"),
    ):
        await publish(sessions)
    assert len((await doctor.get("/doctors/me/availability")).json()) == len(happened) == 1
