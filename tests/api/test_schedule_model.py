"""A year of a doctor's schedule, compared with a model of its rules."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import httpx2
import pytest

from tests.api.wall_clock import NEW_YORK, WEEKDAYS, make_winter_clock
from tests.conftest import SetClock
from tests.people import Person, assert_problem, get_reasons, get_slots

pytestmark = pytest.mark.slow


@pytest.fixture
def clock() -> SetClock:
    return make_winter_clock()


WEEKLY_HOURS = {
    "monday": [("09:00", "12:00"), ("13:00", "17:00")],
    "tuesday": [("08:00", "12:00"), ("13:00", "19:00")],
    "wednesday": [("09:00", "12:30")],
    "thursday": [("09:00", "12:00"), ("13:00", "17:00")],
    "friday": [("09:00", "12:00"), ("13:00", "15:00")],
    "saturday": [("22:00", "04:00")],  # on call
}
OPEN_SATURDAY, SATURDAY_HOURS = date(2026, 2, 7), ("09:00", "13:00")
CONFERENCE = date(2026, 3, 16), date(2026, 3, 21)
MIN_NOTICE, MAX_ADVANCE_DAYS, DAILY_LIMIT = timedelta(hours=4), 90, 14
VISIT_TYPES = {
    "Check-up": (timedelta(minutes=20), timedelta(minutes=10)),
    "New patient": (timedelta(minutes=45), timedelta()),
}
"""The duration and the buffer after each visit type."""


def local_instant(day: date, shown: str | time) -> datetime:
    """Return the instant of a wall time in New York, in UTC."""
    shown = time.fromisoformat(shown) if isinstance(shown, str) else shown
    return datetime.combine(day, shown, NEW_YORK).astimezone(UTC)


def local_day(moment: datetime) -> date:
    return moment.astimezone(NEW_YORK).date()


class ScheduleModel:
    """The rules of the doctor, computed without the application."""

    def __init__(self) -> None:
        self.busy_periods: list[tuple[datetime, datetime]] = []
        self.appointments_per_day: Counter[date] = Counter()

    def book(self, start: datetime, visit_type: str) -> None:
        length, after = VISIT_TYPES[visit_type]
        self.busy_periods.append((start, start + length + after))
        self.appointments_per_day[local_day(start)] += 1

    def list_starts(self, day: date, visit_type: str) -> Iterator[datetime]:
        """The starts on the grid of a day, whether they are bookable or not."""
        windows = [*WEEKLY_HOURS.get(WEEKDAYS[day.weekday()], ())]
        if (day - OPEN_SATURDAY).days % 14 == 0:
            windows.append(SATURDAY_HOURS)
        length, after = VISIT_TYPES[visit_type]
        for opens, closes in sorted(windows):
            start, end = local_instant(day, opens), local_instant(day + timedelta(days=closes < opens), closes)
            while start + length <= end:
                yield start
                start += length + after

    def find_refusals(self, start: datetime, visit_type: str, now: datetime) -> list[str]:
        length, after = VISIT_TYPES[visit_type]
        end = start + length
        time_off_start, time_off_end = (local_instant(day, "00:00") for day in CONFERENCE)
        # A full day refuses every appointment that overlaps it.
        days = {local_day(start), local_day(end - timedelta(microseconds=1))}
        found = {
            "in_the_past": start < now,
            "too_soon": now < end and start < now + MIN_NOTICE,
            "too_far_ahead": end > local_instant(local_day(now) + timedelta(days=MAX_ADVANCE_DAYS + 1), "00:00"),
            "time_off": start < time_off_end and end > time_off_start,
            "day_full": any(self.appointments_per_day[day] >= DAILY_LIMIT for day in days),
            "slot_taken": any(begin < end + after and start < until for begin, until in self.busy_periods),
        }
        return [code for code, applies in found.items() if applies]


async def test_schedule_agrees_with_a_model_for_a_year(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, clock: SetClock
) -> None:
    model, generator, seen_codes = ScheduleModel(), random.Random(7), Counter[str]()
    await doctor.update_profile(
        min_notice_minutes=MIN_NOTICE // timedelta(minutes=1),
        max_advance_days=MAX_ADVANCE_DAYS,
        daily_limit=DAILY_LIMIT,
    )
    await doctor.set_hours(**WEEKLY_HOURS)
    opens, closes = (local_instant(OPEN_SATURDAY, hour).isoformat() for hour in SATURDAY_HOURS)
    await doctor.publish(opens, closes, "FREQ=WEEKLY;INTERVAL=2;BYDAY=SA")
    time_off_start, time_off_end = (local_instant(day, "00:00").isoformat() for day in CONFERENCE)
    await doctor.take_time_off(time_off_start, time_off_end, "A conference")
    visit_type_ids: dict[str, str] = {}
    for visit_type, lengths in VISIT_TYPES.items():
        duration, after = (length // timedelta(minutes=1) for length in lengths)
        offered = await doctor.add_visit_type(name=visit_type, duration_minutes=duration, buffer_after_minutes=after)
        visit_type_ids[visit_type] = offered["id"]

    async def compare(start: datetime, visit_type: str) -> None:
        refusals = model.find_refusals(start, visit_type, clock())
        assert await get_reasons(client, doctor, start.isoformat(), visit_type_ids[visit_type]) == refusals, start
        seen_codes.update(refusals)

    async def try_to_book(start: datetime, visit_type: str) -> None:
        response = await patient.try_to_book(doctor, start.isoformat(), visit_type_id=visit_type_ids[visit_type])
        if refusals := model.find_refusals(start, visit_type, clock()):
            assert_problem(response, 409, refusals[0])
        else:
            assert response.status_code == 201, response.text
            model.book(start, visit_type)

    full_day, nights = date(2026, 3, 10), {date(2026, 3, 7), date(2026, 10, 31)}
    for month in range(12):
        now = clock.time = datetime(2026, 2, 1, 13, 7, tzinfo=UTC) + timedelta(days=31 * month)
        patient = await patient.log_in_again()
        days = [local_day(now) + timedelta(days=offset) for offset in range(31)]
        if full_day in days:
            for start in list(model.list_starts(full_day, "Check-up"))[:DAILY_LIMIT]:
                await try_to_book(start, "Check-up")
        for visit_type, visit_type_id in visit_type_ids.items():
            for first_day, last_day in ((0, 32), (85, 96)):
                first, last = now + timedelta(days=first_day), now + timedelta(days=last_day)
                grid = [
                    start
                    for offset in range(first_day - 1, last_day + 1)
                    for start in model.list_starts(local_day(now) + timedelta(days=offset), visit_type)
                    if first <= start < last
                ]
                listed = await get_slots(client, doctor, first.isoformat(), last.isoformat(), visit_type_id)
                assert [datetime.fromisoformat(start) for start, _, _ in listed] == [
                    start for start in grid if not model.find_refusals(start, visit_type, now)
                ]
                await compare(grid[-1], visit_type)
                await try_to_book(generator.choice(grid), visit_type)
            past = model.list_starts(days[0] - timedelta(days=4), visit_type) if month else ()
            for start in list(past)[:1]:
                await compare(start, visit_type)
            off_grid = (generator.choice(grid) + timedelta(minutes=generator.choice([-5, 5, 7]))).isoformat()
            [reason, *_] = await get_reasons(client, doctor, off_grid, visit_type_id)
            assert_problem(await patient.try_to_book(doctor, off_grid, visit_type_id=visit_type_id), 409, reason)
        for day in sorted({*days[::3], *nights.union({full_day}).intersection(days)}):
            starts = [
                (start, visit_type) for visit_type in visit_type_ids for start in model.list_starts(day, visit_type)
            ]
            for start, visit_type in starts if day in nights else generator.sample(starts, min(1, len(starts))):
                await compare(start, visit_type)
    assert len(model.busy_periods) > DAILY_LIMIT + 24
    assert seen_codes.keys() == {"in_the_past", "too_soon", "too_far_ahead", "time_off", "day_full", "slot_taken"}
