"""Random rules of a doctor, visit types and busy periods. Most scenarios lie around a change of clocks."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import chain
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from app.scheduling.availability import Availability, Rules, TimeOff
from app.scheduling.decisions import relevant_span
from app.scheduling.hours import to_availabilities
from app.scheduling.intervals import DAY, HOUR, MINUTE, Interval, to_instant
from app.scheduling.visits import BookingLimits, BusyPeriod, VisitType
from app.scheduling.zones import midnight
from tests.scheduling.reference import Diary, at, to_bookings

ZONES = (
    "America/New_York",
    "Africa/Cairo",  # no midnight in spring, a day of 25 hours in autumn
    "Asia/Kolkata",  # 5:30 ahead of UTC
    "Australia/Lord_Howe",  # clocks change by half an hour
    "America/Havana",  # midnight twice in autumn
    "America/St_Johns",  # until 2011 clocks went back from 00:01 to the day before
)
YEARS = range(2010, 2041)
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
OWN, OTHER = UUID(int=1), UUID(int=2)


@dataclass(frozen=True, slots=True)
class Scenario:
    rules: Rules
    visit_type: VisitType
    busy_periods: tuple[BusyPeriod, ...]
    """All of the doctor's, including irrelevant ones."""
    span: Interval
    now: int

    def relevant_busy_periods(self, span: Interval) -> list[BusyPeriod]:
        """Return the busy periods that the application would read for ``span``."""
        first, last = relevant_span(self.rules, self.visit_type, span)
        return [each for each in self.busy_periods if each.busy_start < last and first < each.busy_end]

    @property
    def busy_periods_for_slots(self) -> list[BusyPeriod]:
        return self.relevant_busy_periods((self.span[0], self.span[1] + self.visit_type.duration))

    @property
    def diary(self) -> Diary:
        return Diary(self.rules, self.visit_type, to_bookings(self.busy_periods), at(self.now))


@lru_cache
def days_of_change(zone: ZoneInfo) -> list[date]:
    noons = [datetime(YEARS[0], 1, 1, 12, tzinfo=UTC) + timedelta(days=n) for n in range(len(YEARS) * 365)]
    offsets = [noon.astimezone(zone).utcoffset() for noon in noons]
    return [noons[n].date() for n in range(1, len(noons)) if offsets[n] != offsets[n - 1]]


def minutes(first: int, last: int, step: int = 15) -> st.SearchStrategy[timedelta]:
    return st.integers(first // step, last // step).map(lambda steps: timedelta(minutes=steps * step))


days = st.dates(date(YEARS[0], 1, 1), date(YEARS[-1], 12, 31))
lengths = minutes(15, 20 * 60)
weekdays = st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=5, unique=True).map(",".join)
recurrences = st.one_of(
    st.integers(1, 3).map(lambda n: f"FREQ=DAILY;INTERVAL={n}"),
    st.builds("FREQ=WEEKLY;INTERVAL={};BYDAY={}".format, st.integers(1, 2), weekdays),
    st.builds("FREQ=MONTHLY;BYDAY={};BYSETPOS={}".format, weekdays, st.sampled_from(["1", "-1", "2,3"])),
    st.builds("FREQ=MONTHLY;BYMONTHDAY={}".format, st.sampled_from(["1,15,-1", "8,9,28,29,30"])),
)
weekly_hours = st.dictionaries(
    st.integers(0, 6),
    st.lists(st.tuples(st.integers(0, 47), st.integers(1, 40)), max_size=2).map(
        lambda windows: [(start * 30, (start + length) * 30) for start, length in windows]
    ),
    min_size=2,
)


@st.composite
def availabilities(draw: st.DrawFn, middle: datetime) -> list[Availability]:
    match draw(st.sampled_from(["once", "recurring", "weekly hours"])):
        case "once":
            starts = middle + draw(minutes(-1440, 1440))
            return [Availability(starts, starts + draw(lengths))]
        case "recurring":
            starts = middle + draw(minutes(-60 * 1440, 1440))
            ends = starts + draw(lengths)
            last_ends = [middle + draw(minutes(-2 * 1440, 2 * 1440))] if draw(st.booleans()) else []
            return [Availability(starts, ends, draw(recurrences), *last_ends)]
        case _:
            begin = middle.date() - draw(st.integers(0, 60)) * timedelta(days=1)
            return to_availabilities(draw(weekly_hours), begin, None)


@st.composite
def busy_periods(draw: st.DrawFn, middle: int, duration: int) -> BusyPeriod:
    start = middle + draw(st.integers(-3 * 288, 3 * 288)) * 5 * MINUTE
    end = start + draw(st.sampled_from([duration, 5 * MINUTE, 30 * MINUTE, 3 * HOUR]))
    before, after = draw(buffers), draw(buffers)
    return BusyPeriod(start - before, end + after, start, draw(st.sampled_from([OWN, OTHER, None])))


buffers = st.sampled_from([0, 0, 5, 10, 60, 240]).map(lambda length: length * MINUTE)
limits = st.builds(
    BookingLimits,
    min_notice=st.sampled_from([0, 0, 0, 1, 90, 1440]).map(lambda length: length * MINUTE),
    max_advance_days=st.sampled_from([None, None, None, 1, 2, 3]),
    per_day=st.sampled_from([None, None, None, 1, 2, 3]),
)
visit_types = st.builds(
    VisitType,
    duration=st.sampled_from([5, 15, 20, 30, 35, 60, 240]).map(lambda length: length * MINUTE),
    id=st.sampled_from([OWN, None]),
    buffer_before=buffers,
    buffer_after=buffers,
    step=st.sampled_from([None, 15, 20, 30, 45, 60]).map(lambda length: length and length * MINUTE),
    limits=limits,
)


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    changes = days_of_change(zone)
    day = draw(st.one_of([st.sampled_from(changes)] * 3 + [days]) if changes else days)
    middle = midnight(day)
    noon = to_instant(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
    first = noon + draw(st.integers(-36, -20)) * HOUR + draw(st.sampled_from([0, 0, 7 * MINUTE, 1]))
    last = first + draw(st.integers(24, 60)) * HOUR
    visit_type = draw(visit_types)
    rules = Rules(
        zone,
        tuple(chain.from_iterable(draw(st.lists(availabilities(middle), min_size=1, max_size=4)))),
        tuple(draw(st.lists(time_off(middle), max_size=1))),
        draw(limits),
    )
    return Scenario(
        rules,
        visit_type,
        tuple(draw(st.lists(busy_periods(noon, visit_type.duration), max_size=8))),
        (first, last),
        now=draw(st.sampled_from([first - 2 * DAY, first - DAY]) | st.integers(first - DAY, last)),
    )


@st.composite
def time_off(draw: st.DrawFn, middle: datetime) -> TimeOff:
    whole_days = minutes(-1440, 1440, step=1440), minutes(1440, 2 * 1440, step=1440)
    some_hours = minutes(-1440, 1440), minutes(15, 600)
    begin, length = draw(st.sampled_from([whole_days, some_hours]))
    starts = middle + draw(begin)
    return TimeOff(starts, starts + draw(length))
