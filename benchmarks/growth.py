"""Check that bookings and calendars do not become slower as the database grows.

Each of the following PostgreSQL databases has a uvicorn process on loopback:

- one without appointments of other doctors and patients, and one with a million of them;
- four with 100, 1,000, 10,000 and 100,000 doctors. The requests are about 20 of them, who have the same 200
  appointments in each database. About three quarters of these are in the past.

Bookings are complete: over HTTP, with tokens and `Idempotency-Key`s, with doctors who have no other appointments. Then
30 days of the slots of these doctors are listed. In the databases with many doctors the requests are `GET
/doctors/{id}/slots` and, by the doctors themselves, `GET /doctors/me/appointments`, both for 30 days.

The databases are measured alternately in every round, in changing order, after a first round that is not counted. Times
are compared within the round, with those of the smallest database. The server has ``SHARED_BUFFERS`` of cache. Claim:
no request takes more than 1.2 times as long. The exit status is 0 if it holds.
"""

import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import uvloop
from sqlalchemy import URL
from sqlalchemy.engine import make_url

from benchmarks.booking import send_bookings, spread_over_doctors
from benchmarks.clinics import Clinic, load_clinic, log_in
from benchmarks.comparing import Comparison, ratios, read_options, record, result_table, stop_on_sigterm, take_turns
from benchmarks.crowd import Run, send_all, write_request
from benchmarks.databases import SHARED_BUFFERS, as_text, create_database, vacuum_and_checkpoint
from tests.databases import migrate, settings_for
from tests.postgres import PostgresServer
from tests.servers import Server, serve

type Contenders = dict[str, Callable[[], Awaitable[Run]]]

MIN_ROUNDS, DEFAULT_ROUNDS, MAX_ROUNDS = 5, 31, 61
MAX_SLOWDOWN = 1.2
BUSY_DOCTORS, BUSY_APPOINTMENTS = 20, 200
SIZES = (100, 1_000, 10_000, 100_000)  # doctors
OTHER_DOCTORS, OTHER_APPOINTMENTS = 2_000, 500  # a million in all
FREE_DOCTORS = 40  # doctors without appointments, with whom patients book
PATIENTS = 20  # of each doctor that the requests are about
BOOKINGS, VIEWS, CONNECTIONS = 80, 200, 4
MONTH = timedelta(days=30)


def main(arguments: list[str] | None = None) -> int:
    """Run the comparisons and print the results. Return 0 if the claims hold, else 1."""
    options = read_options(
        "growth",
        "Compare databases that grow.",
        arguments,
        minimum=MIN_ROUNDS,
        default=DEFAULT_ROUNDS,
        maximum=MAX_ROUNDS,
    )
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as folder, closing(PostgresServer(shared_buffers=SHARED_BUFFERS)) as server:
        url = make_url(server.url)
        comparisons = [
            *uvloop.run(compare_appointments(url, Path(folder), options.rounds)),
            *uvloop.run(compare_doctors(url, Path(folder), options.rounds)),
        ]
    print(result_table(comparisons))
    return record("growth", comparisons, options.results)


async def compare_appointments(server: URL, folder: Path, rounds: int) -> list[Comparison]:
    now = datetime.now(UTC)
    names = {0: "none", OTHER_DOCTORS * OTHER_APPOINTMENTS: "million"}
    bookings: Contenders = {}
    views: Contenders = {}
    async with AsyncExitStack() as stack:
        for count, name in names.items():
            url = as_text(await create_database(server, name))
            await migrate(url)
            await load_clinic(url, now=now, doctors=OTHER_DOCTORS, patients=1, appointments=count // OTHER_DOCTORS)
            clinic = await load_clinic(url, now=now, doctors=FREE_DOCTORS, patients=PATIENTS, first=OTHER_DOCTORS)
            await vacuum_and_checkpoint(make_url(url))
            tokens = dict(zip(clinic.patients, await log_in(url, clinic.patients, settings_for(url)), strict=True))
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            servers = await stack.enter_async_context(serve(url, 1, stderr=log))
            with_types = [number for number, types in enumerate(clinic.visit_types) if types]
            bookings[name] = partial(send_bookings, servers, spread_over_doctors(clinic, with_types, tokens), BOOKINGS)
            views[name] = send_views(servers, list(list_slot_requests(clinic, with_types)))
        runs = await take_turns(bookings, rounds), await take_turns(views, rounds)
    million, none = names[OTHER_DOCTORS * OTHER_APPOINTMENTS], names[0]
    measured = "a booking", "30 days of a doctor's slots"
    return [
        Comparison(
            f"time of {each} with a million appointments, compared with none",
            slowdown(run, million, none),
            at_most=MAX_SLOWDOWN,
        )
        for each, run in zip(measured, runs, strict=True)
    ]


async def compare_doctors(server: URL, folder: Path, rounds: int) -> list[Comparison]:
    now = datetime.now(UTC)
    slot_views: Contenders = {}
    own_views: Contenders = {}
    async with AsyncExitStack() as stack:
        for size in SIZES:
            name = f"{size:,}"
            url = as_text(await create_database(server, f"doctors{size}"))
            await migrate(url)
            clinic = await load_clinic(
                url, now=now, doctors=BUSY_DOCTORS, patients=PATIENTS, appointments=BUSY_APPOINTMENTS
            )
            await load_clinic(url, now=now, doctors=size - BUSY_DOCTORS, first=BUSY_DOCTORS)
            await vacuum_and_checkpoint(make_url(url))
            tokens = await log_in(url, clinic.doctors, settings_for(url))
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            servers = await stack.enter_async_context(serve(url, 1, stderr=log))
            slot_views[name] = send_views(servers, list(list_slot_requests(clinic, range(BUSY_DOCTORS))))
            own_views[name] = send_views(servers, list(own_month_requests(clinic, tokens)))
        runs = await take_turns(slot_views, rounds), await take_turns(own_views, rounds)
    smallest, *larger = slot_views
    measured = "30 days of a doctor's slots", "a doctor's own 30 days"
    return [
        Comparison(
            f"time of {each} with {size} doctors, compared with {smallest}",
            slowdown(run, size, smallest),
            at_most=MAX_SLOWDOWN,
        )
        for each, run in zip(measured, runs, strict=True)
        for size in larger
    ]


def slowdown(runs: Mapping[str, Sequence[Run]], one: str, other: str) -> list[float]:
    """Return how many times as long a request takes on one database as on the other, for each round."""
    return ratios([1 / run.rate for run in runs[one]], [1 / run.rate for run in runs[other]])


def send_views(servers: Sequence[Server], requests: Sequence[bytes]) -> Callable[[], Awaitable[Run]]:
    repeated = list(islice(cycle(requests), VIEWS))
    return partial(send_all, servers, repeated, status=200, connections=CONNECTIONS)


def list_slot_requests(clinic: Clinic, doctors: Sequence[int]) -> Iterator[bytes]:
    until = to_query_text(clinic.now + MONTH)
    for number in doctors:
        query = "".join(f"&visit_type_id={type_}" for type_ in clinic.visit_types[number][:1])
        yield write_request("GET", f"/doctors/{clinic.doctors[number]}/slots?to={until}{query}")


def own_month_requests(clinic: Clinic, tokens: Sequence[str]) -> Iterator[bytes]:
    span = f"from={to_query_text(clinic.now)}&to={to_query_text(clinic.now + MONTH)}"
    for token in tokens:
        path = f"/doctors/me/appointments?{span}&limit=100"
        yield write_request("GET", path, headers={"Authorization": f"Bearer {token}"})


def to_query_text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


if __name__ == "__main__":
    sys.exit(main())
