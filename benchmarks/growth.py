"""Whether a booking, and a month of a doctor's calendar, cost more the more there is in the database.

Uvicorn processes on loopback, one for each of the PostgreSQL databases:

- one where nobody has an appointment, and one with a million, of other doctors and patients, who were there before;
- four with 100, 1,000, 10,000 and 100,000 doctors. In each there are 20 doctors with 200 appointments, half of them to
  come, whom the questions are about, and who have the same ones in each.

The bookings are full ones over HTTP, with tokens and `Idempotency-Key`s, of doctors without other appointments, whose
slots of 30 days are then listed. The month views are `GET /doctors/{id}/slots` and `GET /doctors/me/appointments`, of
30 days, by the doctors themselves.

Databases take turns in every round, in changing order, after a first round that does not count; times are compared
within their round, to those of the smallest database. The server keeps what it has read in ``BUFFERS`` of memory. The
claims, which the exit status follows: none takes more than 1.2 times as long.
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

from benchmarks.booking import book, everywhere
from benchmarks.clinics import Clinic, load_clinic, log_in
from benchmarks.comparing import Comparison, ratios, read_options, record, result_table, stop_on_sigterm, take_turns
from benchmarks.crowd import Run, send_all, write_request
from benchmarks.databases import BUFFERS, as_text, clean_up, create_database
from tests.databases import migrate, settings_for
from tests.postgres import PostgresServer
from tests.servers import Server, serve

type Contenders = dict[str, Callable[[], Awaitable[Run]]]

MIN_ROUNDS, DEFAULT_ROUNDS, MAX_ROUNDS = 5, 31, 61
MOST = 1.2
BUSY, APPOINTMENTS_OF_THE_BUSY = 20, 200
SIZES = (100, 1_000, 10_000, 100_000)  # doctors
CROWD, APPOINTMENTS_OF_THE_CROWD = 2_000, 500  # a million
FREE = 40  # doctors whom the bookings are with
PATIENTS = 20  # of each of the doctors who matter
BOOKINGS, VIEWS, CONNECTIONS = 80, 200, 4
MONTH = timedelta(days=30)


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparisons and prints them; the exit status is 0 if the claims hold."""
    options = read_options(
        "growth", "Compare databases that grow.", arguments, fewest=MIN_ROUNDS, usual=DEFAULT_ROUNDS, most=MAX_ROUNDS
    )
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as folder, closing(PostgresServer(shared_buffers=BUFFERS)) as server:
        url = make_url(server.url)
        comparisons = [
            *uvloop.run(compare_appointments(url, Path(folder), options.rounds)),
            *uvloop.run(compare_doctors(url, Path(folder), options.rounds)),
        ]
    print(result_table(comparisons))
    return record("growth", comparisons, options.results)


async def compare_appointments(server: URL, folder: Path, rounds: int) -> list[Comparison]:
    now = datetime.now(UTC)
    names = {0: "none", CROWD * APPOINTMENTS_OF_THE_CROWD: "million"}
    bookings: Contenders = {}
    views: Contenders = {}
    async with AsyncExitStack() as stack:
        for count, name in names.items():
            url = as_text(await create_database(server, name))
            await migrate(url)
            await load_clinic(url, now=now, doctors=CROWD, patients=1, appointments=count // CROWD)
            clinic = await load_clinic(url, now=now, doctors=FREE, patients=PATIENTS, first=CROWD)
            await clean_up(make_url(url))
            tokens = dict(zip(clinic.patients, await log_in(url, clinic.patients, settings_for(url)), strict=True))
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            servers = await stack.enter_async_context(serve(url, 1, stderr=log))
            with_types = [number for number, types in enumerate(clinic.visit_types) if types]
            bookings[name] = partial(book, servers, everywhere(clinic, with_types, tokens), BOOKINGS)
            views[name] = viewing(servers, list(slots(clinic, with_types)))
        runs = await take_turns(bookings, rounds), await take_turns(views, rounds)
    million, none = names[CROWD * APPOINTMENTS_OF_THE_CROWD], names[0]
    what = "a booking", "30 days of a doctor's slots"
    return [
        Comparison(
            f"time of {each} with a million appointments, compared with none", slower(run, million, none), at_most=MOST
        )
        for each, run in zip(what, runs, strict=True)
    ]


async def compare_doctors(server: URL, folder: Path, rounds: int) -> list[Comparison]:
    now = datetime.now(UTC)
    listed: Contenders = {}
    own: Contenders = {}
    async with AsyncExitStack() as stack:
        for size in SIZES:
            name = f"{size:,}"
            url = as_text(await create_database(server, f"doctors{size}"))
            await migrate(url)
            clinic = await load_clinic(
                url, now=now, doctors=BUSY, patients=PATIENTS, appointments=APPOINTMENTS_OF_THE_BUSY
            )
            await load_clinic(url, now=now, doctors=size - BUSY, first=BUSY)
            await clean_up(make_url(url))
            tokens = await log_in(url, clinic.doctors, settings_for(url))
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            servers = await stack.enter_async_context(serve(url, 1, stderr=log))
            listed[name] = viewing(servers, list(slots(clinic, range(BUSY))))
            own[name] = viewing(servers, list(own_month(clinic, tokens)))
        runs = await take_turns(listed, rounds), await take_turns(own, rounds)
    smallest, *larger = listed
    what = "30 days of a doctor's slots", "a doctor's own 30 days"
    return [
        Comparison(
            f"time of {each} with {size} doctors, compared with {smallest}", slower(run, size, smallest), at_most=MOST
        )
        for each, run in zip(what, runs, strict=True)
        for size in larger
    ]


def slower(runs: Mapping[str, Sequence[Run]], one: str, other: str) -> list[float]:
    """How many times as long the one takes as the other."""
    return ratios([1 / run.rate for run in runs[one]], [1 / run.rate for run in runs[other]])


def viewing(servers: Sequence[Server], requests: Sequence[bytes]) -> Callable[[], Awaitable[Run]]:
    many = list(islice(cycle(requests), VIEWS))
    return partial(send_all, servers, many, status=200, connections=CONNECTIONS)


def slots(clinic: Clinic, doctors: Sequence[int]) -> Iterator[bytes]:
    until = written(clinic.now + MONTH)
    for number in doctors:
        kind = "".join(f"&visit_type_id={type_}" for type_ in clinic.visit_types[number][:1])
        yield write_request("GET", f"/doctors/{clinic.doctors[number]}/slots?to={until}{kind}")


def own_month(clinic: Clinic, tokens: Sequence[str]) -> Iterator[bytes]:
    span = f"from={written(clinic.now)}&to={written(clinic.now + MONTH)}"
    for token in tokens:
        path = f"/doctors/me/appointments?{span}&limit=100"
        yield write_request("GET", path, headers={"Authorization": f"Bearer {token}"})


def written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


if __name__ == "__main__":
    sys.exit(main())
