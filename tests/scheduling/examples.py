"""Examples that several tests use: a doctor who is open on one Monday, and visit types."""

from uuid import UUID

from app.scheduling.availability import Rules
from app.scheduling.intervals import DAY, MINUTE, Interval
from app.scheduling.visits import BusyPeriod, VisitType
from app.scheduling.zones import day_span
from tests.scheduling.clocks import NEW_YORK, instant, make_availability, span, wall

LONG_AGO = instant("2010-01-01T00:00Z")
HALF_HOUR = VisitType(30 * MINUTE, step=30 * MINUTE)
CHECK_UP, NEW_PATIENT = UUID(int=1), UUID(int=2)

OPEN_MONDAY = Rules(NEW_YORK, (make_availability("2026-06-01T09:00", "2026-06-01T17:00"),))
NINE = instant("2026-06-01T13:00Z")  # when this doctor opens
WHOLE_MONDAY = span("2026-06-01T04:00Z", "2026-06-02T04:00Z")


def make_busy_period(visit_type: VisitType, start: int) -> BusyPeriod:
    end = start + visit_type.duration
    return BusyPeriod(start - visit_type.buffer_before, end + visit_type.buffer_after, start, visit_type.id)


def days_around(day: str, rules: Rules) -> Interval:
    first, last = day_span(wall(day).date(), rules.zone)
    return first - DAY, last + DAY
