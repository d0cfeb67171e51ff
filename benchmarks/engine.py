"""Compare the scheduling engine with a plain implementation.

The doctor has realistic rules: Monday to Friday, 08:00 to 12:00 and 13:00 to 17:00 in New York, for three months
already; visits of 20 minutes with a buffer of 10 minutes after them, two hours' notice, and 90 days in advance. The
30 days that are queried contain a change of clocks and 352 slots. In one of the two diaries 300 of them are booked.

- *The reference* (`tests/scheduling/reference.py`) goes through the grid with aware datetimes and compares each start
  with every rule and every booking. The property tests compare the engine with it. Bookings are passed to it as
  datetimes, as a database returns them, and to the engine as integers, so neither has to convert anything.
- *The engine* caches the calendar arithmetic of rules (`lru_cache`). *Warm* means that this doctor is in the cache.
  *Cold* means that the cache is cleared before every query. The reference has no cache.

Before the measurements both must return the same results: the slots of both diaries and of the week, and for each start
on the grid, and ten minutes after it, whether it can be booked.

All queries run in every round, after a first round that is not counted. Times are CPU times. They are compared within
the round, so other load on the machine affects both sides. The tables show medians (and ranges) of ratios.

Claims: for 30 days with 300 bookings the reference takes at least 8 times as long as the engine, cold and warm. And the
engine takes less time for these 30 days than for 30/7 empty weeks, so bookings cost almost nothing. The exit status is
0 if the claims hold.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from random import Random
from statistics import median
from time import process_time
from zoneinfo import ZoneInfo

from app.scheduling import availability
from app.scheduling.availability import Rules
from app.scheduling.decisions import check_booking, explain, slots
from app.scheduling.hours import to_availabilities
from app.scheduling.intervals import DAY, HOUR, MINUTE, to_instant
from app.scheduling.visits import BookingLimits, BusyPeriod, VisitType
from benchmarks.comparing import Comparison, ratios, read_options, record, result_table, spread, table
from tests.scheduling import reference
from tests.scheduling.reference import Diary, at, to_bookings

type Times = dict[tuple[str, str], list[float]]
"""The CPU seconds of each round, by query and contender."""

MIN_ROUNDS, DEFAULT_ROUNDS, MAX_ROUNDS = 9, 15, 100
MIN_SPEEDUP = 8.0
MAX_GROWTH = 30 / 7  # the number of weeks in 30 days
BOOKINGS = 300

ZONE = ZoneInfo("America/New_York")
HOURS = {weekday: [(8 * 60, 12 * 60), (13 * 60, 17 * 60)] for weekday in range(5)}
RULES = Rules(
    ZONE,
    tuple(to_availabilities(HOURS, date(2026, 7, 13), None)),
    limits=BookingLimits(min_notice=2 * HOUR, max_advance_days=90),
)
VISIT = VisitType(20 * MINUTE, buffer_after=10 * MINUTE, step=30 * MINUTE)
NOW = to_instant(datetime(2026, 10, 12, 9, tzinfo=UTC))
WEEK, MONTH = (NOW, NOW + 7 * DAY), (NOW, NOW + 30 * DAY)

EMPTY_WEEK, EMPTY_MONTH, BOOKED_MONTH = "empty week", "empty 30 days", f"30 days, {BOOKINGS} bookings"
ONE_VISIT = "check of one visit"
WARM, COLD, REFERENCE = "warm", "cold", "reference"
CONTENDERS = {WARM: 21, COLD: 7, REFERENCE: 3}
"""The number of runs per round. Their median is the time of the round."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query as a call of the engine and as a call of the reference."""

    name: str
    to_engine: Callable[[], object]
    to_reference: Callable[[], object]


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison and print the results. Return 0 if the claims hold, else 1."""
    options = read_options(
        "engine",
        "Compare the scheduling engine with a plain implementation.",
        arguments,
        minimum=MIN_ROUNDS,
        default=DEFAULT_ROUNDS,
        maximum=MAX_ROUNDS,
    )

    busy = choose_bookings()
    compare_answers(busy)
    times = run(list_queries(busy), options.rounds)
    print(reference_table(times), "", growth_table(times), "", sep="\n")
    comparisons = compare(times)
    print(result_table(comparisons))
    return record("engine", comparisons, options.results)


def choose_bookings() -> list[BusyPeriod]:
    grid = slots(RULES, VISIT, (), MONTH, NOW)
    # A fixed seed, so that the same visits are booked in every run.
    chosen = sorted(Random(20261012).sample(grid, BOOKINGS))
    return [BusyPeriod(start, end + VISIT.buffer_after, start) for start, end in chosen]


def to_diary(busy: Sequence[BusyPeriod]) -> Diary:
    return Diary(RULES, VISIT, to_bookings(busy), at(NOW))


def compare_answers(busy: Sequence[BusyPeriod]) -> None:
    for appointments, span in (((), WEEK), ((), MONTH), (busy, MONTH)):
        listed = [(at(start), at(end)) for start, end in slots(RULES, VISIT, appointments, span, NOW)]
        if listed != reference.slots(to_diary(appointments), *map(at, span)):
            raise RuntimeError("the engine and the reference do not list the same slots")
    for start, end in slots(RULES, VISIT, (), MONTH, NOW):
        for shift in (0, 10 * MINUTE):
            visit = start + shift, end + shift
            reasons = explain(RULES, VISIT, visit, busy, NOW)
            if set(reasons) != reference.explain(to_diary(busy), (at(visit[0]), at(visit[1]))):
                raise RuntimeError("the engine and the reference do not refuse the same visits")


def list_queries(busy: Sequence[BusyPeriod]) -> list[Query]:
    empty, booked = to_diary(()), to_diary(busy)
    visit = slots(RULES, VISIT, (), MONTH, NOW)[200]
    week_in_utc, month_in_utc, visit_in_utc = ((at(start), at(end)) for start, end in (WEEK, MONTH, visit))
    return [
        Query(
            EMPTY_WEEK,
            lambda: slots(RULES, VISIT, (), WEEK, NOW),
            lambda: reference.slots(empty, *week_in_utc),
        ),
        Query(
            EMPTY_MONTH,
            lambda: slots(RULES, VISIT, (), MONTH, NOW),
            lambda: reference.slots(empty, *month_in_utc),
        ),
        Query(
            BOOKED_MONTH,
            lambda: slots(RULES, VISIT, busy, MONTH, NOW),
            lambda: reference.slots(booked, *month_in_utc),
        ),
        # Without appointments: the engine checks the rules of a booking, and the database whether the time is free.
        Query(
            ONE_VISIT,
            lambda: check_booking(RULES, VISIT, visit, (), NOW),
            lambda: reference.check(empty, visit_in_utc),
        ),
    ]


def run(queries: Sequence[Query], count: int) -> Times:
    times: Times = {(query.name, contender): [] for query in queries for contender in CONTENDERS}
    for number in range(count + 1):
        for query in queries:
            for contender in CONTENDERS:
                seconds = measure(query, contender)
                if number:
                    times[query.name, contender].append(seconds)
    return times


def measure(query: Query, contender: str) -> float:
    """Return the median CPU time of several runs in seconds."""
    call = query.to_reference if contender == REFERENCE else query.to_engine
    seconds = []
    for _ in range(CONTENDERS[contender]):
        if contender == COLD:
            availability._windows_of_block.cache_clear()  # noqa: SLF001 - only this benchmark needs it
        started = process_time()
        call()
        seconds.append(process_time() - started)
    return median(seconds)


def ratio_of(times: Times, one: tuple[str, str], other: tuple[str, str]) -> list[float]:
    """Return how many times as long one takes as the other, for each round."""
    return ratios(times[one], times[other])


def compare(times: Times) -> list[Comparison]:
    return [
        *(
            Comparison(
                f"time of the reference implementation, compared with the engine ({cache} cache): {BOOKED_MONTH}",
                ratio_of(times, (BOOKED_MONTH, REFERENCE), (BOOKED_MONTH, cache)),
                at_least=MIN_SPEEDUP,
            )
            for cache in (WARM, COLD)
        ),
        *(
            Comparison(
                f"time of {BOOKED_MONTH}, compared with an empty week: engine ({cache} cache)",
                ratio_of(times, (BOOKED_MONTH, cache), (EMPTY_WEEK, cache)),
                at_most=MAX_GROWTH,
            )
            for cache in (WARM, COLD)
        ),
    ]


def reference_table(times: Times) -> str:
    rows = [["query", "rounds", "to the engine warm", "to the engine cold"]]
    for name in (EMPTY_WEEK, EMPTY_MONTH, BOOKED_MONTH, ONE_VISIT):
        compared = [ratio_of(times, (name, REFERENCE), (name, cache)) for cache in (WARM, COLD)]
        rows.append([name, str(len(compared[0])), *(spread(each, 1) for each in compared)])
    title = "Time of the reference compared with the engine; median (and range) of ratios:"
    return f"{title}\n\n{table(rows)}"


def growth_table(times: Times) -> str:
    rows = [["query", "rounds", WARM, COLD, REFERENCE]]
    for name in (EMPTY_WEEK, EMPTY_MONTH, BOOKED_MONTH):
        compared = [ratio_of(times, (name, contender), (EMPTY_WEEK, contender)) for contender in CONTENDERS]
        rows.append(
            [
                name,
                str(len(compared[0])),
                *([spread(each, 1) for each in compared] if name != EMPTY_WEEK else ["1.0"] * 3),
            ]
        )
    title = "Time of a listing compared with an empty week, for the same contender:"
    return f"{title}\n\n{table(rows)}"


if __name__ == "__main__":
    sys.exit(main())
