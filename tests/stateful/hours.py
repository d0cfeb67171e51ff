"""When a doctor is open and away, by the clock on her wall; and what she offers.

Instants are datetimes in UTC; wall times are naive. Nothing here is shared with the application but words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)

type Stretch = tuple[datetime, datetime]
"""``[start, end)``, two instants. One that does not end after its start is empty."""


def overlap(one: Stretch, other: Stretch) -> bool:
    return max(one[0], other[0]) < min(one[1], other[1])


def is_covered(visit: Stretch, openings: Sequence[Stretch]) -> bool:
    """Maybe by one that goes on where another ends."""
    reached, end = visit
    while reached < end:
        further = [closes for opens, closes in openings if opens <= reached < closes]
        if not further:
            return False
        reached = max(further)
    return True


def instant(wall: datetime, zone: str) -> datetime:
    return wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def shown(moment: datetime, zone: str) -> datetime:
    """What the clock on the wall shows; ``fold`` tells the second time from the first."""
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def midnight(day: date, zone: str) -> datetime:
    """When a day begins: at its first midnight, if clocks are put back across it."""
    return instant(datetime.combine(day, time()), zone)


def day_of(moment: datetime, zone: str) -> date:
    around = (shown(moment, zone).date() + days * DAY for days in (0, 1, -1))
    return next(day for day in around if midnight(day, zone) <= moment < midnight(day + DAY, zone))


def days_between(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += DAY


@dataclass(frozen=True)
class Recurrence:
    weekdays: Sequence[int] = ()
    """Monday is 0. Without any it recurs by days, with some by weeks."""
    interval: int = 1
    count: int | None = None
    until: date | datetime | None = None
    """A day on the doctor's clock, or an instant."""

    def hits(self, first: date, day: date) -> bool:
        """Whether what began on ``first`` recurs on ``day``, if it went on for ever."""
        if not self.weekdays:
            return (day - first).days % self.interval == 0
        weeks = ((day - day.weekday() * DAY) - (first - first.weekday() * DAY)).days // 7
        return day.weekday() in self.weekdays and weeks % self.interval == 0


@dataclass(frozen=True)
class Opening:
    """Availability that a doctor has published, in wall time."""

    starts: datetime
    ends: datetime
    recurrence: Recurrence | None = None
    last_day: date = date.max
    """On which it may begin."""

    def on(self, day: date, zone: str) -> list[Stretch]:
        """What begins on ``day``, if anything."""
        first = self.starts.date()
        if self.recurrence is None:
            return [(instant(self.starts, zone), instant(self.ends, zone))] if day == first else []
        if not first <= day <= self.last_day or not self.recurrence.hits(first, day):
            return []
        starts = datetime.combine(day, self.starts.time())
        return [(instant(starts, zone), instant(starts + (self.ends - self.starts), zone))]


@dataclass(frozen=True)
class WeeklyPlan:
    """What begins on the days from ``first`` to ``last``."""

    first: date
    last: date
    hours: Mapping[int, Sequence[tuple[int, int]]]
    """By weekday, in minutes after midnight on the clock."""

    def on(self, day: date, zone: str) -> list[Stretch]:
        begins = datetime.combine(day, time())
        windows = self.hours.get(day.weekday(), ())
        return [
            (instant(begins + first * MINUTE, zone), instant(begins + last * MINUTE, zone)) for first, last in windows
        ]


CLOSED = WeeklyPlan(date.min, date.max, {})


@dataclass(frozen=True)
class Kind:
    """A kind of visit. Without an id, it is what a doctor without visit types is booked for."""

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
        """From one slot to the next."""
        together = self.buffer_before_minutes + self.duration_minutes + self.buffer_after_minutes
        return (self.slot_step_minutes or together) * MINUTE

    def visit(self, start: datetime) -> Stretch:
        return start, start + self.duration_minutes * MINUTE

    def as_long_as(self, visit: Stretch, busy: Stretch) -> "Kind":
        """The same with the lengths of a visit that there is already."""
        return replace(
            self,
            duration_minutes=(visit[1] - visit[0]) // MINUTE,
            buffer_before_minutes=(visit[0] - busy[0]) // MINUTE,
            buffer_after_minutes=(busy[1] - visit[1]) // MINUTE,
        )

    def busy(self, visit: Stretch) -> Stretch:
        """What it takes of the doctor's time."""
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
    openings: dict[UUID, Opening] = field(default_factory=dict)
    plans: list[WeeklyPlan] = field(default_factory=list)
    """The newest last; it replaces the others on its days."""
    time_off: dict[UUID, tuple[datetime, datetime]] = field(default_factory=dict)
    """In wall time."""
    kinds: dict[UUID, Kind] = field(default_factory=dict)
    """Those that she has withdrawn too."""

    @property
    def usual(self) -> Kind:
        return Kind(self.default_visit_minutes)

    @property
    def offered(self) -> list[Kind]:
        """What she can be booked for."""
        return [kind for kind in self.kinds.values() if not kind.withdrawn] or [self.usual]

    def plan_on(self, day: date) -> WeeklyPlan:
        return next((plan for plan in reversed(self.plans) if plan.first <= day <= plan.last), CLOSED)

    def open_in(self, span: Stretch) -> list[Stretch]:
        """Every stretch of being open that has to do with ``span``, whole; they may overlap."""
        # Nothing is longer than seven days on the clock.
        first, last = shown(span[0], self.time_zone).date() - 9 * DAY, shown(span[1], self.time_zone).date() + DAY
        found: list[Stretch] = []
        for day in days_between(first, last):
            for opening in self.openings.values():
                found += opening.on(day, self.time_zone)
            found += self.plan_on(day).on(day, self.time_zone)
        return [stretch for stretch in found if overlap(stretch, span)]

    def away(self) -> list[Stretch]:
        zone = self.time_zone
        return [(instant(starts, zone), instant(ends, zone)) for starts, ends in self.time_off.values()]

    def is_away(self, visit: Stretch) -> bool:
        return any(overlap(visit, away) for away in self.away())

    def notice_ends(self, kind: Kind, now: datetime) -> datetime:
        return now + max(self.min_notice_minutes, kind.min_notice_minutes) * MINUTE

    def horizon(self, kind: Kind, now: datetime) -> datetime:
        """The end of the last day that can be booked."""
        days = [limit for limit in (self.max_advance_days, kind.max_advance_days) if limit is not None]
        if not days:
            return datetime.max.replace(tzinfo=UTC)
        return midnight(day_of(now, self.time_zone) + (min(days) + 1) * DAY, self.time_zone)
