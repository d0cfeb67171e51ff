"""Searching the earliest visits, from a hundred doctors to a hundred thousand.

PostgreSQL has a database of each size with the same kinds of doctors, SQLite has two smaller ones. Every bound has
been looked at, as the job beside the requests does, and PostgreSQL has cleaned up after that. `GET /search/slots` is
asked in-process, past the sockets, until it has answered (what it has found out of bounds is written down after
that), for ten visits: with anybody; with a specialist; with a specialist who speaks one language and works in one
mode; and on Tuesdays and Thursdays after 16:00, on the clocks of several places, with anybody and with a specialist
who speaks Spanish. Beside it the search page, `GET /`, and `GET /doctors`, by a part of a name and a language. All
variants of a question (specialties, languages, places) are asked in each round, each of all sizes in changing order,
and what is compared is what they take in the middle, after a first round that does not count. A time is a ratio to the
one among 100 doctors beside it.

Then bounds go stale, but for those of the 100 doctors: before each round the next visit with two thousand doctors (at
most a third of them) is booked, past the application. The same is asked again, each variant once in a round, for what a
search has found out of bounds is not stale any more when it is asked again.

The claims, which the exit status follows: a search among 100,000 doctors takes at most twice as long as among 100, and
half of the searches take less than 10 ms, before and after the bookings; the latter among the most on SQLite, too. The
worst case is measured beside them: a time at which nobody starts, so that as many calendars are looked at as ever may
be. The server keeps what it has read in ``BUFFERS`` of memory.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from uuid import UUID

import httpx2
import uvloop
from sqlalchemy import insert
from sqlalchemy.engine import make_url
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

from app.core.dependencies import Resources
from app.db.engine import is_postgresql
from app.jobs.next_slot_index import update_next_slots
from app.main import create_app
from app.models import Appointment
from app.repositories.search_offers import list_outdated
from app.scheduling.intervals import from_instant
from app.services.slots import list_slots
from benchmarks.clinics import SPECIALTIES, Clinic, load_clinic
from benchmarks.comparing import Comparison, ratios, read_options, record, result_table, stop_on_sigterm, take_turns
from benchmarks.databases import BUFFERS, as_text, clean_up, create_database
from tests.databases import migrate, settings_for
from tests.postgres import PostgresServer

NOW = datetime(2026, 11, 25, 14, 7, tzinfo=UTC)
SMALLEST, LARGEST = 100, 100_000
SIZES = {"PostgreSQL": (SMALLEST, 1_000, 10_000, LARGEST), "SQLite": (SMALLEST, 10_000)}
MIN_ROUNDS, DEFAULT_ROUNDS, MAX_ROUNDS = 5, 7, 30
ASKED = 9  # times a round, at the least, while bounds are fresh
BOOKED = 2_000  # before a round
TIMES_THE_SMALLEST = 2.0
TEN_MILLISECONDS = 0.01
WORST, LISTING, PAGE = "worst case", "doctors by a part of their names and a language", "the search page, a specialty"
PATHS = {LISTING: "/doctors", PAGE: "/"}

type Parameters = Mapping[str, str]
type Times = Mapping[str, Sequence[Mapping[int, float]]]
"""What a question takes, in seconds: round by round, among so many doctors."""

_ZONES = ("America/New_York", "America/Chicago", "Europe/London", "Europe/Berlin")
_LATE = {"days": "tuesday,thursday", "between": "16:00-24:00"}
_SPECIALTIES = list(SPECIALTIES)[:9]

QUESTIONS: Mapping[str, Sequence[Parameters]] = {
    "any doctor": [{}],
    "a specialist": [{"specialty": each} for each in _SPECIALTIES],
    "a specialist, a language, a mode": [
        {"specialty": specialty, "language": language, "mode": mode}
        for specialty in _SPECIALTIES
        for language in ("es", "fr", "de")
        for mode in ("video", "in_person")
    ],
    "days and hours": [_LATE | {"time_zone": zone} for zone in _ZONES],
    "days and hours, a specialist, a language": [
        _LATE | {"time_zone": zone, "specialty": specialty, "language": "es"}
        for zone in _ZONES
        for specialty in _SPECIALTIES
    ],
    PAGE: [{"specialty": each} for each in _SPECIALTIES],
    LISTING: [{"q": each, "language": "en"} for each in ("ama", "son", "lee", "ito")],
    WORST: [{"from": (NOW + timedelta(days=20, minutes=minute)).isoformat()} for minute in (1, 2, 3)],
}
USUAL = [each for each in QUESTIONS if each != WORST]


class Stopwatch:
    """Passes requests on, and notes when the answer was complete: what is done after it keeps nobody waiting."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.answered = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes one on."""

        async def note(message: Message) -> None:
            await send(message)
            self.answered = perf_counter()

        await self.app(scope, receive, note)


@dataclass(frozen=True, slots=True)
class Town:
    """A clinic that can be searched."""

    clinic: Clinic
    client: httpx2.AsyncClient
    stopwatch: Stopwatch
    resources: Resources
    chance: Random

    async def time(self, path: str, parameters: Parameters) -> float:
        """How long an answer takes, in seconds."""
        started = perf_counter()
        answer = await self.client.get(path, params={"limit": "10", **parameters})
        answer.raise_for_status()
        return self.stopwatch.answered - started

    async def book(self) -> None:
        """Books the next visit with some doctors, each for a patient of her own."""
        doctors = range(len(self.clinic.practices))
        chosen = self.chance.sample(doctors, min(BOOKED, len(doctors) // 3))
        rows = [visit for number in chosen if (visit := await self._next_visit(number))]
        async with self.resources.database.write() as transaction:
            await transaction.execute(insert(Appointment), rows)

    async def _next_visit(self, number: int) -> dict[str, object] | None:
        doctor = self.clinic.practices[number].id
        types: Sequence[UUID | None] = self.clinic.visit_types[number] or [None]
        async with self.resources.database.read() as transaction:
            _, found = await list_slots(
                transaction,
                doctor,
                computation=None,
                visit_type_id=types[0],
                start=None,
                end=None,
                viewer=None,
                now=NOW,
            )
        if not found:
            return None
        start, end = map(from_instant, found[0])
        return {
            "id": uuid7(),
            "doctor_id": doctor,
            "patient_id": self.clinic.patients[number],
            "visit_type_id": types[0],
            "start_time": start,
            "end_time": end,
            "busy_start": start,
            "busy_end": end,
            "status": "booked",
            "created_at": NOW,
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the comparison and prints it; the exit status is 0 if the claims hold."""
    options = read_options(
        "search",
        "Search among ever more doctors.",
        arguments,
        fewest=MIN_ROUNDS,
        usual=DEFAULT_ROUNDS,
        most=MAX_ROUNDS,
    )
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as folder, closing(PostgresServer(shared_buffers=BUFFERS)) as server:
        comparisons = uvloop.run(compare(Path(folder), server, options.rounds))
    print(result_table(comparisons))
    return record("search", comparisons, options.results)


async def compare(folder: Path, server: PostgresServer, rounds: int) -> list[Comparison]:
    """All databases, one after the other."""

    async def url_of(database: str, size: int) -> str:
        if database == "SQLite":
            return f"sqlite+aiosqlite:///{folder}/{size}.db"
        return as_text(await create_database(make_url(server.url), f"search_{size}"))

    comparisons: list[Comparison] = []
    for database, sizes in SIZES.items():
        async with AsyncExitStack() as stack:
            towns = {size: await open_town(stack, await url_of(database, size), size) for size in sizes}
            fresh = await ask(towns, rounds)
            stale = await ask(towns, rounds, busy=[towns[size] for size in sizes if size != SMALLEST])
        comparisons += judge(database, fresh, stale)
    return comparisons


async def open_town(stack: AsyncExitStack, url: str, size: int) -> Town:
    """Loads it, and looks at all bounds; nothing is left to be done in the background."""
    await migrate(url)
    clinic = await load_clinic(url, now=NOW, doctors=size, patients=1, appointments=2)
    app = create_app(settings_for(url), clock=lambda: NOW)
    await stack.enter_async_context(app.router.lifespan_context(app))
    stopwatch = Stopwatch(app)
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(stopwatch), base_url="http://bench")
    resources: Resources = app.state.resources
    town = Town(clinic, await stack.enter_async_context(client), stopwatch, resources, Random(size))
    while True:
        async with resources.database.read() as transaction:
            if not await list_outdated(transaction, NOW, limit=1):
                break
        await update_next_slots(resources.database, resources.processor, lambda: NOW)
    if is_postgresql(resources.database.engine):
        await clean_up(make_url(url))
    return town


async def ask(towns: Mapping[int, Town], rounds: int, *, busy: Sequence[Town] = ()) -> Times:
    """What every question takes in every town, in the middle of its variants."""
    chance = Random(rounds)

    async def book() -> None:
        for town in busy:
            await town.book()

    async def measure(question: str) -> Mapping[int, float]:
        path, variants = PATHS.get(question, "/search/slots"), QUESTIONS[question]
        times: dict[int, list[float]] = {size: [] for size in towns}
        for parameters in variants if busy else islice(cycle(variants), max(len(variants), ASKED)):
            for size in chance.sample(list(towns), len(towns)):
                times[size].append(await towns[size].time(path, parameters))
        return {size: median(each) for size, each in times.items()}

    return await take_turns({each: partial(measure, each) for each in QUESTIONS}, rounds, before=book)


def judge(database: str, fresh: Times, stale: Times) -> Iterator[Comparison]:
    """What the times say."""
    largest = SIZES[database][-1]
    for when, times in (("", fresh), (", stale bounds", stale)):
        for size in SIZES[database][1:]:
            bound = TIMES_THE_SMALLEST if size == LARGEST else None
            where = f"{size:,} doctors{when}, {database}"
            for question in USUAL:
                compared = ratios(of_size(times[question], size), of_size(times[question], SMALLEST))
                yield Comparison(f"{question}, compared with 100 doctors: {where}", compared, at_most=bound)
            compared = ratios(of_size(times[WORST], size), of_size(times["any doctor"], size))
            yield Comparison(f"{WORST}, compared with any doctor: {where}", compared)
        for question in USUAL:
            compared = [seconds / TEN_MILLISECONDS for seconds in of_size(times[question], largest)]
            yield Comparison(f"{question}, compared with 10 ms: {largest:,} doctors{when}, {database}", compared)
    rounds = [each for times in (fresh, stale) for each in zip(*(times[name] for name in USUAL), strict=True)]
    compared = [median(times[largest] for times in each) / TEN_MILLISECONDS for each in rounds]
    yield Comparison(f"median search, compared with 10 ms: {largest:,} doctors, {database}", compared, at_most=1)


def of_size(rounds: Sequence[Mapping[int, float]], size: int) -> list[float]:
    return [times[size] for times in rounds]


if __name__ == "__main__":
    sys.exit(main())
