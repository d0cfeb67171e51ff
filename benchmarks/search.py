"""Measure searches for the earliest visits among 100 to 100,000 doctors.

There is a PostgreSQL database for each of four sizes, and an SQLite database for two, with the same mix of doctors. All
bounds of the search index are up to date, as the background job keeps them, and PostgreSQL has been vacuumed.

`GET /search/slots` is called in-process, without sockets, for ten visits. The time ends with the response, because
bounds are updated after it. The queries are:

- any doctor;
- a specialist;
- a specialist with a language and a mode;
- Tuesdays and Thursdays after 16:00, in several time zones, with any doctor, and with a specialist who speaks Spanish.

The search page (`GET /`) and `GET /doctors`, by a part of a name and a language, are measured as well. Every variant of
a query (specialties, languages, time zones) is sent in each round to all sizes in changing order. The medians over the
variants are compared within the round, with those of 100 doctors. The first round is not counted.

Then the same is measured with stale bounds: before each round the next visit of 2,000 doctors (at most a third) is
booked without the application, except among the 100 doctors. Each variant is sent only once per round, because a search
updates the stale bounds that it finds.

Claims: with fresh and stale bounds, a search among 100,000 doctors takes at most twice as long as among 100. Half of
the searches take less than 10 ms, also with the largest SQLite database. The exit status is 0 if the claims hold. The
worst case is measured without a claim: at the requested time no visit starts, so a search scans as many calendars as
its limit allows. The server has ``SHARED_BUFFERS`` of cache.
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
from benchmarks.databases import SHARED_BUFFERS, as_text, create_database, vacuum_and_checkpoint
from tests.databases import migrate, settings_for
from tests.postgres import PostgresServer

NOW = datetime(2026, 11, 25, 14, 7, tzinfo=UTC)
SMALLEST, LARGEST = 100, 100_000
SIZES = {"PostgreSQL": (SMALLEST, 1_000, 10_000, LARGEST), "SQLite": (SMALLEST, 10_000)}
MIN_ROUNDS, DEFAULT_ROUNDS, MAX_ROUNDS = 5, 7, 30
MIN_REQUESTS = 9  # per query and round, with fresh bounds
BOOKED_PER_ROUND = 2_000  # doctors whose next visit is booked
MAX_SLOWDOWN = 2.0
TEN_MILLISECONDS = 0.01
WORST, LISTING, PAGE = "worst case", "doctors by a part of their names and a language", "the search page, a specialty"
PATHS = {LISTING: "/doctors", PAGE: "/"}

type Parameters = Mapping[str, str]
type Times = Mapping[str, Sequence[Mapping[int, float]]]
"""For each query and round, the seconds by number of doctors."""

_ZONES = ("America/New_York", "America/Chicago", "Europe/London", "Europe/Berlin")
_AFTERNOONS = {"days": "tuesday,thursday", "between": "16:00-24:00"}
_SPECIALTIES = list(SPECIALTIES)[:9]

QUERIES: Mapping[str, Sequence[Parameters]] = {
    "any doctor": [{}],
    "a specialist": [{"specialty": each} for each in _SPECIALTIES],
    "a specialist, a language, a mode": [
        {"specialty": specialty, "language": language, "mode": mode}
        for specialty in _SPECIALTIES
        for language in ("es", "fr", "de")
        for mode in ("video", "in_person")
    ],
    "days and hours": [_AFTERNOONS | {"time_zone": zone} for zone in _ZONES],
    "days and hours, a specialist, a language": [
        _AFTERNOONS | {"time_zone": zone, "specialty": specialty, "language": "es"}
        for zone in _ZONES
        for specialty in _SPECIALTIES
    ],
    PAGE: [{"specialty": each} for each in _SPECIALTIES],
    LISTING: [{"q": each, "language": "en"} for each in ("ama", "son", "lee", "ito")],
    WORST: [{"from": (NOW + timedelta(days=20, minutes=minute)).isoformat()} for minute in (1, 2, 3)],
}
ORDINARY = [each for each in QUERIES if each != WORST]


class Stopwatch:
    """ASGI middleware that notes when a response is complete, because clients do not wait for the work after it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.responded_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application."""

        async def note_time(message: Message) -> None:
            await send(message)
            self.responded_at = perf_counter()

        await self.app(scope, receive, note_time)


@dataclass(frozen=True, slots=True)
class SearchClinic:
    """A loaded clinic and a client of its application."""

    clinic: Clinic
    client: httpx2.AsyncClient
    stopwatch: Stopwatch
    resources: Resources
    random: Random

    async def time(self, path: str, parameters: Parameters) -> float:
        """Send a request and return the seconds until its response is complete."""
        started = perf_counter()
        response = await self.client.get(path, params={"limit": "10", **parameters})
        response.raise_for_status()
        return self.stopwatch.responded_at - started

    async def book(self) -> None:
        """Book the next visit of some doctors without the application, each for the doctor's own patient."""
        doctors = range(len(self.clinic.practices))
        chosen = self.random.sample(doctors, min(BOOKED_PER_ROUND, len(doctors) // 3))
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
    """Run the comparison and print the results. Return 0 if the claims hold, else 1."""
    options = read_options(
        "search",
        "Compare searches among different numbers of doctors.",
        arguments,
        minimum=MIN_ROUNDS,
        default=DEFAULT_ROUNDS,
        maximum=MAX_ROUNDS,
    )
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as folder, closing(PostgresServer(shared_buffers=SHARED_BUFFERS)) as server:
        comparisons = uvloop.run(compare(Path(folder), server, options.rounds))
    print(result_table(comparisons))
    return record("search", comparisons, options.results)


async def compare(folder: Path, server: PostgresServer, rounds: int) -> list[Comparison]:
    """Compare the sizes on each database."""

    async def create(database: str, size: int) -> str:
        if database == "SQLite":
            return f"sqlite+aiosqlite:///{folder}/{size}.db"
        return as_text(await create_database(make_url(server.url), f"search_{size}"))

    comparisons: list[Comparison] = []
    for database, sizes in SIZES.items():
        async with AsyncExitStack() as stack:
            clinics = {size: await open_clinic(stack, await create(database, size), size) for size in sizes}
            fresh = await measure_all(clinics, rounds)
            stale = await measure_all(clinics, rounds, booked=[clinics[size] for size in sizes if size != SMALLEST])
        comparisons += to_comparisons(database, fresh, stale)
    return comparisons


async def open_clinic(stack: AsyncExitStack, url: str, size: int) -> SearchClinic:
    """Load a clinic and compute all bounds, so that the background job has nothing left to do."""
    await migrate(url)
    clinic = await load_clinic(url, now=NOW, doctors=size, patients=1, appointments=2)
    app = create_app(settings_for(url), clock=lambda: NOW)
    await stack.enter_async_context(app.router.lifespan_context(app))
    stopwatch = Stopwatch(app)
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(stopwatch), base_url="http://bench")
    resources: Resources = app.state.resources
    loaded = SearchClinic(clinic, await stack.enter_async_context(client), stopwatch, resources, Random(size))
    while True:
        async with resources.database.read() as transaction:
            if not await list_outdated(transaction, NOW, limit=1):
                break
        await update_next_slots(resources.database, resources.processor, lambda: NOW)
    if is_postgresql(resources.database.engine):
        await vacuum_and_checkpoint(make_url(url))
    return loaded


async def measure_all(
    clinics: Mapping[int, SearchClinic], rounds: int, *, booked: Sequence[SearchClinic] = ()
) -> Times:
    """Measure every query with every clinic. The time of a query is the median over its variants."""
    random = Random(rounds)

    async def book() -> None:
        for clinic in booked:
            await clinic.book()

    async def measure(query: str) -> Mapping[int, float]:
        path, variants = PATHS.get(query, "/search/slots"), QUERIES[query]
        times: dict[int, list[float]] = {size: [] for size in clinics}
        for parameters in variants if booked else islice(cycle(variants), max(len(variants), MIN_REQUESTS)):
            for size in random.sample(list(clinics), len(clinics)):
                times[size].append(await clinics[size].time(path, parameters))
        return {size: median(each) for size, each in times.items()}

    return await take_turns({each: partial(measure, each) for each in QUERIES}, rounds, prepare=book)


def to_comparisons(database: str, fresh: Times, stale: Times) -> Iterator[Comparison]:
    """Yield the comparisons of the measured times."""
    largest = SIZES[database][-1]
    for when, times in (("", fresh), (", stale bounds", stale)):
        for size in SIZES[database][1:]:
            bound = MAX_SLOWDOWN if size == LARGEST else None
            sample = f"{size:,} doctors{when}, {database}"
            for query in ORDINARY:
                values = ratios(of_size(times[query], size), of_size(times[query], SMALLEST))
                yield Comparison(f"{query}, compared with 100 doctors: {sample}", values, at_most=bound)
            values = ratios(of_size(times[WORST], size), of_size(times["any doctor"], size))
            yield Comparison(f"{WORST}, compared with any doctor: {sample}", values)
        for query in ORDINARY:
            values = [seconds / TEN_MILLISECONDS for seconds in of_size(times[query], largest)]
            yield Comparison(f"{query}, compared with 10 ms: {largest:,} doctors{when}, {database}", values)
    rounds = [each for times in (fresh, stale) for each in zip(*(times[name] for name in ORDINARY), strict=True)]
    values = [median(times[largest] for times in each) / TEN_MILLISECONDS for each in rounds]
    yield Comparison(f"median search, compared with 10 ms: {largest:,} doctors, {database}", values, at_most=1)


def of_size(rounds: Sequence[Mapping[int, float]], size: int) -> list[float]:
    return [times[size] for times in rounds]


if __name__ == "__main__":
    sys.exit(main())
