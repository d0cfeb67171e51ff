"""The doctors of the model: availabilities, weekly hours, time off, visit types and limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from tests.stateful.intervals import DAY, MINUTE, Interval, day_of, days_between, instant, midnight, overlap, shown

YEAR = 366 * DAY


@dataclass(frozen=True)
class Recurrence:
    weekdays: Sequence[int] = ()
    """Monday is 0. The rule is weekly if there are any, otherwise daily."""
    interval: int = 1
    count: int | None = None
    until: date | datetime | None = None
    """A day on the doctor's clock, or an instant."""

    def recurs_on(self, day: date, first: date) -> bool:
        """Whether the rule that starts on ``first`` recurs on ``day``, ignoring its end."""
        if not self.weekdays:
            return (day - first).days % self.interval == 0
        weeks = ((day - day.weekday() * DAY) - (first - first.weekday() * DAY)).days // 7
        return day.weekday() in self.weekdays and weeks % self.interval == 0


@dataclass(frozen=True)
class Availability:
    """An availability that a doctor has published, in wall time."""

    starts: datetime
    ends: datetime
    recurrence: Recurrence | None = None
    last_day: date = date.max
    """The last day on which a window may begin."""

    def list_windows(self, day: date, zone: str) -> list[Interval]:
        """Return the window that begins on ``day``, if there is one."""
        first = self.starts.date()
        if self.recurrence is None:
            return [(instant(self.starts, zone), instant(self.ends, zone))] if day == first else []
        if not first <= day <= self.last_day or not self.recurrence.recurs_on(day, first):
            return []
        starts = datetime.combine(day, self.starts.time())
        return [(instant(starts, zone), instant(starts + (self.ends - self.starts), zone))]

    def find_last_day(self, zone: str) -> date:
        """Return the last day on which the recurrence lets a window begin; ``date.min`` if there is none."""
        assert self.recurrence is not None
        count, until = self.recurrence.count, self.recurrence.until
        if count is None and until is None:
            return date.max
        begins = [
            (day, start)
            for day in days_between(self.starts.date(), self.starts.date() + YEAR)
            for start, _ in self.list_windows(day, zone)
        ][:count]
        if isinstance(until, datetime):
            begins = [(day, start) for day, start in begins if start <= until]
        elif until is not None:
            begins = [(day, start) for day, start in begins if day <= until]
        return begins[-1][0] if begins else date.min


@dataclass(frozen=True)
class WeeklyHours:
    """The windows that begin on the days from ``first`` to ``last``."""

    first: date
    last: date
    hours: Mapping[int, Sequence[tuple[int, int]]]
    """By weekday, in minutes after midnight in wall time."""

    def list_windows(self, day: date, zone: str) -> list[Interval]:
        begins = datetime.combine(day, time())
        windows = self.hours.get(day.weekday(), ())
        return [
            (instant(begins + first * MINUTE, zone), instant(begins + last * MINUTE, zone)) for first, last in windows
        ]


CLOSED = WeeklyHours(date.min, date.max, {})


@dataclass(frozen=True)
class VisitType:
    """A visit type, or, without an id, the default visit with a doctor who has no visit types."""

    duration_minutes: int
    id: UUID | None = None
    buffer_before_minutes: int = 0
    buffer_after_minutes: int = 0
    slot_step_minutes: int | None = None
    min_notice_minutes: int = 0
    max_advance_days: int | None = None
    daily_limit: int | None = None
    withdrawn: bool = False

    @property
    def step(self) -> timedelta:
        """The time between the starts of slots."""
        together = self.buffer_before_minutes + self.duration_minutes + self.buffer_after_minutes
        return (self.slot_step_minutes or together) * MINUTE

    def visit(self, start: datetime) -> Interval:
        return start, start + self.duration_minutes * MINUTE

    def as_long_as(self, visit: Interval, busy: Interval) -> "VisitType":
        """Return the visit type with the duration and the buffers of an existing visit."""
        return replace(
            self,
            duration_minutes=(visit[1] - visit[0]) // MINUTE,
            buffer_before_minutes=(visit[0] - busy[0]) // MINUTE,
            buffer_after_minutes=(busy[1] - visit[1]) // MINUTE,
        )

    def busy(self, visit: Interval) -> Interval:
        """Return the busy period of the doctor: the visit with its buffers."""
        return visit[0] - self.buffer_before_minutes * MINUTE, visit[1] + self.buffer_after_minutes * MINUTE


@dataclass
class Doctor:
    id: UUID
    time_zone: str
    default_visit_minutes: int = 30
    min_notice_minutes: int = 0
    max_advance_days: int | None = None
    daily_limit: int | None = None
    cancel_cutoff_minutes: int = 0
    availabilities: dict[UUID, Availability] = field(default_factory=dict)
    weekly_hours: list[WeeklyHours] = field(default_factory=list)
    """The newest last. It replaces the others on its days."""
    time_off: dict[UUID, tuple[datetime, datetime]] = field(default_factory=dict)
    """In wall time."""
    visit_types: dict[UUID, VisitType] = field(default_factory=dict)
    """Including those that are withdrawn."""

    @property
    def default_visit(self) -> VisitType:
        return VisitType(self.default_visit_minutes)

    @property
    def bookable_visit_types(self) -> list[VisitType]:
        return [each for each in self.visit_types.values() if not each.withdrawn] or [self.default_visit]

    def find_weekly_hours(self, day: date) -> WeeklyHours:
        return next((each for each in reversed(self.weekly_hours) if each.first <= day <= each.last), CLOSED)

    def list_windows(self, span: Interval) -> list[Interval]:
        """Return all windows that overlap ``span``, not clipped. They may overlap each other."""
        # No window is longer than seven days in wall time.
        first, last = shown(span[0], self.time_zone).date() - 9 * DAY, shown(span[1], self.time_zone).date() + DAY
        found: list[Interval] = []
        for day in days_between(first, last):
            for availability in self.availabilities.values():
                found += availability.list_windows(day, self.time_zone)
            found += self.find_weekly_hours(day).list_windows(day, self.time_zone)
        return [window for window in found if overlap(window, span)]

    def list_time_off(self) -> list[Interval]:
        zone = self.time_zone
        return [(instant(starts, zone), instant(ends, zone)) for starts, ends in self.time_off.values()]

    def is_off(self, visit: Interval) -> bool:
        return any(overlap(visit, time_off) for time_off in self.list_time_off())

    def notice_ends(self, visit_type: VisitType, now: datetime) -> datetime:
        return now + max(self.min_notice_minutes, visit_type.min_notice_minutes) * MINUTE

    def advance_ends(self, visit_type: VisitType, now: datetime) -> datetime:
        """Return the end of the last day that can be booked."""
        days = [limit for limit in (self.max_advance_days, visit_type.max_advance_days) if limit is not None]
        if not days:
            return datetime.max.replace(tzinfo=UTC)
        return midnight(day_of(now, self.time_zone) + (min(days) + 1) * DAY, self.time_zone)
