"""Random zones, times, recurrences, weekly hours and visit types."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.stateful.doctors import Recurrence
from tests.stateful.intervals import DAY, shown

ZONES = (
    "America/New_York",
    "Africa/Cairo",  # no midnight in spring, two in autumn
    "Asia/Kolkata",  # 5:30 ahead of UTC
    "Australia/Lord_Howe",  # clocks change by half an hour
    "Europe/London",
    "America/Havana",  # clocks change at midnight
    "America/St_Johns",  # until 2011 clocks went back from 00:01 to the day before
    "Pacific/Apia",  # had no 30 December 2011
)
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@lru_cache
def days_of_change(zone: str) -> list[date]:
    noons = [datetime(2010, 1, 1, 12, tzinfo=UTC) + n * DAY for n in range(26 * 365)]
    offsets = [noon.astimezone(ZoneInfo(zone)).utcoffset() for noon in noons]
    return [noons[n].date() for n in range(1, len(noons)) if offsets[n] != offsets[n - 1]]


def pick[T](data: st.DataObject, values: Sequence[T], label: str) -> T:
    """Draw one of the values. Its position is drawn, because ids differ between runs."""
    return values[data.draw(st.integers(0, len(values) - 1), label=label)]


def five_minutes(first: int, last: int) -> st.SearchStrategy[timedelta]:
    """Return ``first`` to ``last`` times five minutes."""
    return st.integers(first, last).map(lambda number: timedelta(minutes=5 * number))


def starts_in_zone(zone: str) -> st.SearchStrategy[datetime]:
    """Return the time at which an example begins: mostly a few days before a clock change."""
    days = st.dates(date(2010, 1, 1), date(2035, 12, 31))
    if changes := days_of_change(zone):
        days = st.one_of(st.sampled_from(changes), st.sampled_from(changes), days)
    return st.builds(
        lambda day, before: datetime(day.year, day.month, day.day, 12, tzinfo=UTC) - before,
        days,
        five_minutes(0, 2 * 288),
    )


def recurrences(start: datetime, zone: str) -> st.SearchStrategy[Recurrence]:
    """Return recurrences for an availability that begins at ``start``."""
    wall = shown(start, zone)
    today, tomorrow = wall.weekday(), (wall.weekday() + 1) % 7
    return st.builds(
        lambda weekdays, interval, ends: Recurrence(weekdays, interval, **ends),
        st.sampled_from([(), (), (today,), tuple(sorted((today, tomorrow))), (tomorrow,)]),
        st.integers(1, 3),
        st.one_of(
            st.just({}),
            st.integers(1, 6).map(lambda count: {"count": count}),
            st.integers(-1, 20).map(lambda days: {"until": wall.date() + days * DAY}),
            five_minutes(-12, 5 * 288).map(lambda after: {"until": start + after}),
        ),
    )


def format_recurrence(recurrence: Recurrence) -> str:
    parts = {"FREQ": "DAILY", "INTERVAL": str(recurrence.interval)}
    if recurrence.weekdays:
        parts |= {"FREQ": "WEEKLY", "BYDAY": ",".join(WEEKDAYS[weekday] for weekday in recurrence.weekdays)}
    if recurrence.count is not None:
        parts["COUNT"] = str(recurrence.count)
    if recurrence.until is not None:
        in_utc = isinstance(recurrence.until, datetime)
        parts["UNTIL"] = recurrence.until.strftime("%Y%m%dT%H%M%SZ" if in_utc else "%Y%m%d")
    return ";".join(f"{name}={value}" for name, value in parts.items())


windows = st.builds(
    lambda hour, minute, length: (hour * 60 + minute, hour * 60 + minute + length),
    st.sampled_from([9, 0, 1, 8, 10, 13, 22]),
    st.sampled_from([0, 0, 10, 30]),
    st.sampled_from([480, 60, 90, 180, 300, 720, 1400]),
)


def every_day(*some: tuple[int, int]) -> Mapping[int, Sequence[tuple[int, int]]]:
    return dict.fromkeys(range(7), some)


weeks = st.one_of(
    st.just(every_day((0, 1440))),
    windows.map(every_day),
    st.sampled_from([every_day((540, 720), (720, 1080)), every_day((60, 90), (150, 240))]),
    st.dictionaries(st.integers(0, 6), st.lists(windows, max_size=2)),
)
_visit_type = {
    "duration_minutes": st.sampled_from([30, 5, 15, 20, 35, 60, 240]),
    "buffer_before_minutes": st.sampled_from([0, 0, 5, 15, 60]),
    "buffer_after_minutes": st.sampled_from([0, 0, 5, 10, 60]),
    "slot_step_minutes": st.sampled_from([None, None, 5, 15, 20, 45]),
    "min_notice_minutes": st.sampled_from([0, 0, 0, 60, 1440]),
    "max_advance_days": st.sampled_from([None, None, None, 0, 1, 2]),
    "daily_limit": st.sampled_from([None, None, 1, 2]),
}
visit_types = st.fixed_dictionaries(_visit_type)
visit_type_changes = st.fixed_dictionaries({}, optional=_visit_type)
limits = st.fixed_dictionaries(
    {},
    optional={
        "default_visit_minutes": st.sampled_from([30, 15, 50, 60]),
        "min_notice_minutes": st.sampled_from([0, 0, 30, 90, 1440]),
        "max_advance_days": st.sampled_from([None, None, None, 0, 1, 3]),
        "daily_limit": st.sampled_from([None, 1, 2, 3]),
        "cancel_cutoff_minutes": st.sampled_from([0, 30, 60, 1440]),
    },
)
