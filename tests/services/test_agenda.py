"""The days and weeks of a doctor, and the preview of time off."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from app.core.errors import DomainError
from app.db.database import Database
from app.scheduling.intervals import HOUR, MINUTE, to_instant
from app.services import agenda, schedule
from tests.conftest import Register, SetClock
from tests.people import Person

MORNING = [["09:00", "12:00"]]
TUESDAY = date(2026, 12, 1)


@pytest.fixture
async def doctor(register: Register) -> Person:
    doctor = await register("doctor", name="Dr Annika Feldmann", time_zone="Europe/Berlin")
    await doctor.set_hours(monday=MORNING, tuesday=MORNING)
    return doctor


async def test_day_has_windows_time_off_visits_holds_and_conflicts(
    doctor: Person, patient: Person, register: Register, database: Database, clock: SetClock
) -> None:
    check_up = (await doctor.add_visit_type(name="Check-up", duration_minutes=30, buffer_after_minutes=10))["id"]
    booked = await patient.book(doctor, "2026-12-01T08:40:00Z", visit_type_id=check_up)
    cancelled = await patient.book(doctor, "2026-12-01T10:00:00Z", visit_type_id=check_up)
    await patient.post(f"/appointments/{cancelled['id']}/cancel", {})
    hold = {"doctor_id": doctor.id, "start_time": "2026-12-01T09:20:00Z", "visit_type_id": check_up}
    assert (await (await register("patient")).post("/holds", hold)).status_code == 201
    await doctor.take_time_off("2026-12-01T09:00:00Z", "2026-12-01T09:20:00Z")
    async with database.read() as transaction:
        found = await agenda.get_agenda(transaction, UUID(doctor.id), day=None, now=clock.time)
        two_hours_later = await agenda.get_agenda(
            transaction, UUID(doctor.id), day=None, now=clock.time + timedelta(hours=2)
        )
    at = to_instant(datetime(2026, 12, 1, tzinfo=UTC))
    assert list(found.days) == [TUESDAY] == [found.today]
    assert found.open == [(at + 8 * HOUR, at + 9 * HOUR), (at + 9 * HOUR + 20 * MINUTE, at + 11 * HOUR)]
    assert found.away == [(at + 9 * HOUR, at + 9 * HOUR + 20 * MINUTE)]
    assert [str(each.id) for each in found.visits] == [booked["id"], cancelled["id"]]
    assert found.busy == {at + 8 * HOUR + 40 * MINUTE: (at + 8 * HOUR + 40 * MINUTE, at + 9 * HOUR + 20 * MINUTE)}
    assert found.held == [(at + 9 * HOUR + 20 * MINUTE, at + 10 * HOUR)]
    assert {str(each) for each in found.conflicting} == {booked["id"]}
    assert two_hours_later.conflicting == frozenset()


@pytest.mark.parametrize(
    ("day", "week_begins", "first", "hours"),
    [
        (TUESDAY, 0, date(2026, 11, 30), 24),
        (TUESDAY, 6, date(2026, 11, 29), 24),
        (date(2027, 3, 28), 0, date(2027, 3, 22), 23),
        (date(2027, 10, 31), 6, date(2027, 10, 31), 25),
    ],
    ids=str,
)
async def test_week_begins_on_the_requested_weekday_and_follows_clock_changes(
    doctor: Person, database: Database, clock: SetClock, day: date, week_begins: int, first: date, hours: int
) -> None:
    async with database.read() as transaction:
        found = await agenda.get_agenda(transaction, UUID(doctor.id), day=day, week_begins=week_begins, now=clock.time)
    assert list(found.days) == [first + timedelta(days=number) for number in range(7)]
    begin, end = found.days[day]
    assert end - begin == hours * HOUR


async def test_preview_of_time_off_lists_the_affected_visits(
    doctor: Person, patient: Person, database: Database, clock: SetClock
) -> None:
    visit = await patient.book(doctor, "2026-12-01T09:00:00Z", "2026-12-01T09:30:00Z")
    interval = {"start": datetime(2026, 12, 1, 9, 20, tzinfo=UTC), "end": datetime(2026, 12, 1, 10, tzinfo=UTC)}
    async with database.read() as transaction:
        preview = await schedule.preview_time_off(transaction, UUID(doctor.id), **interval, now=clock.time)
        with pytest.raises(DomainError, match="invalid_request"):
            await schedule.preview_time_off(
                transaction,
                UUID(doctor.id),
                start=interval["end"],
                end=interval["start"],
                now=clock.time,
            )
    assert (preview.count, [str(each.id) for each in preview.appointments]) == (1, [visit["id"]])
    time_off = await doctor.take_time_off("2026-12-01T09:20:00Z", "2026-12-01T10:00:00Z")
    assert (time_off["affected_count"], [each["id"] for each in time_off["affected"]]) == (1, [visit["id"]])
