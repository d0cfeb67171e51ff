"""The scheduling engine beside the code that one would write first.

The doctor is a believable one: Monday to Friday, 08:00 to 12:00 and 13:00 to 17:00 in New York, for three months
already; visits of 20 minutes with 10 minutes after them, two hours' notice, 90 days ahead. The 30 days that are asked
about have a change of clocks in them, and 352 slots, of which 300 are booked in one of the two diaries.

- *The reference* (`tests/scheduling/reference.py`) goes through the grid with aware datetimes, and holds each start
  against every rule and every booking. It is also what the property tests hold the engine against. It gets the bookings
  as datetimes, as a database returns them, and the engine as it wants them; neither has to convert anything.
- *The engine* keeps the calendar arithmetic of rules that it has seen (`lru_cache`): *warm* it has been asked about
  this doctor before, *cold* its cache is emptied before every question. The reference keeps nothing.

Before anything is measured, both must give the same answers: the slots of both diaries and of the week, and for each
start on the grid, and ten minutes beside it, whether it can be booked.

All questions are asked in turn in every round, after a first round that does not count. Times are those of the
processor, and compared within their round, so that what else the machine does meanwhile cancels out. The tables show
medians (and ranges) of ratios.

The claims, which the exit status follows. For 30 days with 300 bookings the reference takes at least 8 times as long as
the engine, cold and warm. And these 30 days take the engine less than an empty week for each of their weeks would:
bookings cost next to nothing.
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
"""Seconds, round by round, of a question and a contender."""

MIN_ROUNDS, DEFAULT_ROUNDS, MAX_ROUNDS = 9, 15, 100
TIMES_THE_ENGINE = 8.0
TIMES_THE_WEEK = 30 / 7  # as many weeks as there are in 30 days
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
"""How many answers make a time."""


@dataclass(frozen=True, slots=True)
class Question:
    """The same, as the engine and as the reference is asked."""

    name: str
    to_engine: Callable[[], object]
    to_reference: Callable[[], object]


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison and prints it; the exit status is 0 if the claims hold."""
    options = read_options(
        "engine",
        "Compare ways to find free time.",
        arguments,
        fewest=MIN_ROUNDS,
        usual=DEFAULT_ROUNDS,
        most=MAX_ROUNDS,
    )

    taken = book()
    compare_answers(taken)
    times = run(to_questions(taken), options.rounds)
    print(reference_table(times), "", growth_table(times), "", sep="\n")
    comparisons = compare(times)
    print(result_table(comparisons))
    return record("engine", comparisons, options.results)


def book() -> list[BusyPeriod]:
    grid = slots(RULES, VISIT, (), MONTH, NOW)
    # The same visits every time.
    chosen = sorted(Random(20261012).sample(grid, BOOKINGS))
    return [BusyPeriod(start, end + VISIT.buffer_after, start) for start, end in chosen]


def diary(taken: Sequence[BusyPeriod]) -> Diary:
    return Diary(RULES, VISIT, to_bookings(taken), at(NOW))


def compare_answers(taken: Sequence[BusyPeriod]) -> None:
    for those, span in (((), WEEK), ((), MONTH), (taken, MONTH)):
        found = [(at(start), at(end)) for start, end in slots(RULES, VISIT, those, span, NOW)]
        if found != reference.slots(diary(those), *map(at, span)):
            raise RuntimeError("the engine and the reference do not list the same slots")
    for start, end in slots(RULES, VISIT, (), MONTH, NOW):
        for shift in (0, 10 * MINUTE):
            visit = start + shift, end + shift
            reasons = explain(RULES, VISIT, visit, taken, NOW)
            if set(reasons) != reference.explain(diary(taken), (at(visit[0]), at(visit[1]))):
                raise RuntimeError("the engine and the reference do not refuse the same visits")


def to_questions(taken: Sequence[BusyPeriod]) -> list[Question]:
    empty, booked = diary(()), diary(taken)
    visit = slots(RULES, VISIT, (), MONTH, NOW)[200]
    week_in_utc, month_in_utc, visit_in_utc = ((at(start), at(end)) for start, end in (WEEK, MONTH, visit))
    return [
        Question(
            EMPTY_WEEK,
            lambda: slots(RULES, VISIT, (), WEEK, NOW),
            lambda: reference.slots(empty, *week_in_utc),
        ),
        Question(
            EMPTY_MONTH,
            lambda: slots(RULES, VISIT, (), MONTH, NOW),
            lambda: reference.slots(empty, *month_in_utc),
        ),
        Question(
            BOOKED_MONTH,
            lambda: slots(RULES, VISIT, taken, MONTH, NOW),
            lambda: reference.slots(booked, *month_in_utc),
        ),
        # The rules are the engine's part of a booking; whether the time is free, the database decides.
        Question(
            ONE_VISIT,
            lambda: check_booking(RULES, VISIT, visit, (), NOW),
            lambda: reference.check(empty, visit_in_utc),
        ),
    ]


def run(questions: Sequence[Question], count: int) -> Times:
    times: Times = {(question.name, contender): [] for question in questions for contender in CONTENDERS}
    for number in range(count + 1):
        for question in questions:
            for contender in CONTENDERS:
                seconds = measure(question, contender)
                if number:
                    times[question.name, contender].append(seconds)
    return times


def measure(question: Question, contender: str) -> float:
    """The middle one of some answers, in seconds of the processor."""
    ask = question.to_reference if contender == REFERENCE else question.to_engine
    seconds = []
    for _ in range(CONTENDERS[contender]):
        if contender == COLD:
            availability._windows_of_block.cache_clear()  # noqa: SLF001 - nothing else has a reason to
        started = process_time()
        ask()
        seconds.append(process_time() - started)
    return median(seconds)


def to_each_other(times: Times, one: tuple[str, str], other: tuple[str, str]) -> list[float]:
    """How many times as long the one takes as the other, round by round."""
    return ratios(times[one], times[other])


def compare(times: Times) -> list[Comparison]:
    return [
        *(
            Comparison(
                f"time of the reference implementation, compared with the engine ({cache} cache): {BOOKED_MONTH}",
                to_each_other(times, (BOOKED_MONTH, REFERENCE), (BOOKED_MONTH, cache)),
                at_least=TIMES_THE_ENGINE,
            )
            for cache in (WARM, COLD)
        ),
        *(
            Comparison(
                f"time of {BOOKED_MONTH}, compared with an empty week: engine ({cache} cache)",
                to_each_other(times, (BOOKED_MONTH, cache), (EMPTY_WEEK, cache)),
                at_most=TIMES_THE_WEEK,
            )
            for cache in (WARM, COLD)
        ),
    ]


def reference_table(times: Times) -> str:
    rows = [["question", "rounds", "to the engine warm", "to the engine cold"]]
    for name in (EMPTY_WEEK, EMPTY_MONTH, BOOKED_MONTH, ONE_VISIT):
        compared = [to_each_other(times, (name, REFERENCE), (name, cache)) for cache in (WARM, COLD)]
        rows.append([name, str(len(compared[0])), *(spread(each, 1) for each in compared)])
    title = "How many times as long as the engine the reference takes; the median (and range) of ratios:"
    return f"{title}\n\n{table(rows)}"


def growth_table(times: Times) -> str:
    rows = [["question", "rounds", WARM, COLD, REFERENCE]]
    for name in (EMPTY_WEEK, EMPTY_MONTH, BOOKED_MONTH):
        compared = [to_each_other(times, (name, contender), (EMPTY_WEEK, contender)) for contender in CONTENDERS]
        rows.append(
            [
                name,
                str(len(compared[0])),
                *([spread(each, 1) for each in compared] if name != EMPTY_WEEK else ["1.0"] * 3),
            ]
        )
    title = "How many times as long as an empty week a listing takes, asked in the same way:"
    return f"{title}\n\n{table(rows)}"


if __name__ == "__main__":
    sys.exit(main())
