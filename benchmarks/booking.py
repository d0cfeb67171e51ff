"""Compare complete bookings over HTTP with the bare statements and with other implementations.

Servers are real uvicorn processes on loopback, two for each implementation, on copies of one PostgreSQL database with a
clinic. Many patients book with many doctors, each at another time, with their own tokens and `Idempotency-Key`s. The
application does everything that it does in production: it authenticates, checks the rules, inserts, writes the audit
trail and seals it, stores the response, and updates its metrics. Only the log level is `warning`, and rate limits are
off, because all requests come from one address.

- *the limit of asyncpg*: the recorded statements of such bookings, sent as fast as possible by asyncpg in as many
  processes as the application has (`benchmarks/players.py`). It is the rate without any other work in Python.
- *the limit of pgbench*: the same with pgbench (`benchmarks/replay.py`). It is the rate without Python.
- *raw asyncpg*: the same endpoint, reduced to the booking itself (`benchmarks/raw.py`).
- *straightforward*: the same endpoint with the ORM (`benchmarks/straightforward.py`).
- *the same doctor*: the application, when all patients book different times of one doctor.

Clients, servers and database share two processors. The contenders run alternately in every round, in changing order,
after a first round that is not counted. Rates are responses per second. CPU is the user and system time of the server
processes per response. Both are compared within the round, so other load on the machine affects both sides.

The table shows the claims. The exit status is 0 if they hold. The database is temporary and runs without durability:
waiting for a disk would take the same time on all sides and make them look more alike.
"""

import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime
from functools import partial
from itertools import cycle, islice
from math import nan
from pathlib import Path
from uuid import UUID, uuid4

import uvloop
from sqlalchemy.engine import make_url

from benchmarks.clinics import Clinic, Visit, load_clinic, log_in
from benchmarks.comparing import Comparison, ratios, read_options, record, result_table, stop_on_sigterm, take_turns
from benchmarks.crowd import Run, send_all, write_request
from benchmarks.databases import as_text, create_database
from benchmarks.players import play, players
from benchmarks.replay import prepare_replay, record_bookings, replay
from tests.databases import migrate, settings_for
from tests.postgres import PostgresServer
from tests.servers import Server, serve

type BookingRequest = tuple[dict[str, str], dict[str, str]]
"""The headers and the body of a booking."""

MIN_ROUNDS, DEFAULT_ROUNDS, MAX_ROUNDS = 5, 7, 11
DOCTORS, PATIENTS = 100, 20  # patients of each doctor
PROCESSES, CONNECTIONS = 2, 16
BOOKINGS, ORM_BOOKINGS, ONE_DOCTOR_BOOKINGS, REPLAYED_BOOKINGS = 900, 240, 200, 2400  # per round

APPLICATION, RAW, ORM, ONE_DOCTOR = "application", "raw asyncpg", "straightforward", "same doctor"
PGBENCH, DRIVER = "pgbench", "asyncpg"
APPS = {APPLICATION: "app.main:app", RAW: "benchmarks.raw:app", ORM: "benchmarks.straightforward:app"}


def main(arguments: list[str] | None = None) -> int:
    """Run the comparisons and print the results. Return 0 if the claims hold, else 1."""
    options = read_options(
        "booking", "Compare bookings.", arguments, minimum=MIN_ROUNDS, default=DEFAULT_ROUNDS, maximum=MAX_ROUNDS
    )
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as folder, closing(PostgresServer()) as server:
        comparisons = uvloop.run(compare(server, Path(folder), options.rounds))
    print(result_table(comparisons))
    return record("booking", comparisons, options.results)


async def compare(server: PostgresServer, folder: Path, rounds: int) -> list[Comparison]:
    url = make_url(server.url)
    loaded = await create_database(url, "loaded")
    await migrate(as_text(loaded))
    clinic = await load_clinic(as_text(loaded), now=datetime.now(UTC), doctors=DOCTORS, patients=PATIENTS)
    settings = settings_for(as_text(loaded))
    tokens = dict(zip(clinic.patients, await log_in(as_text(loaded), clinic.patients, settings), strict=True))
    with_types = [number for number, types in enumerate(clinic.visit_types) if types]
    single_doctors, other_doctors = with_types[: rounds + 1], with_types[rounds + 1 :]

    recorded = await create_database(url, "recorded", template=loaded)
    bookings = list(islice(spread_over_doctors(clinic, other_doctors, tokens), REPLAYED_BOOKINGS))
    statements = await record_bookings(settings_for(as_text(recorded)), bookings)
    scripts = await prepare_replay(loaded, statements, folder)

    async def run_pgbench() -> Run:
        copy = await create_database(url, "replayed", template=loaded)
        return Run(REPLAYED_BOOKINGS, await replay(server, copy, scripts, REPLAYED_BOOKINGS), nan)

    async def run_asyncpg() -> Run:
        copy = await create_database(url, "replayed", template=loaded)
        return Run(REPLAYED_BOOKINGS, await play(processes, copy, REPLAYED_BOOKINGS), nan)

    contenders: dict[str, Callable[[], Awaitable[Run]]] = {PGBENCH: run_pgbench, DRIVER: run_asyncpg}
    async with AsyncExitStack() as stack:
        processes = stack.enter_context(players(statements, PROCESSES))
        for name, app in APPS.items():
            copy = await create_database(url, name, template=loaded)
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            servers = await stack.enter_async_context(serve(as_text(copy), PROCESSES, app=app, stderr=log))
            count = ORM_BOOKINGS if name == ORM else BOOKINGS
            contenders[name] = partial(
                send_bookings, servers, spread_over_doctors(clinic, other_doctors, tokens), count
            )
            if name == APPLICATION:
                contenders[ONE_DOCTOR] = partial(
                    send_bookings, servers, one_doctor_at_a_time(clinic, single_doctors, tokens), ONE_DOCTOR_BOOKINGS
                )
        runs = await take_turns(contenders, rounds)
    rates = {name: [run.rate for run in each] for name, each in runs.items()}
    cpu = {name: [run.cpu_per_request for run in each] for name, each in runs.items()}
    return [
        Comparison(
            "rate of bookings, compared with the limit of asyncpg",
            ratios(rates[APPLICATION], rates[DRIVER]),
            at_least=0.25,
        ),
        Comparison("rate of bookings, compared with the limit of pgbench", ratios(rates[APPLICATION], rates[PGBENCH])),
        Comparison(
            "rate of bookings, compared with the straightforward implementation",
            ratios(rates[APPLICATION], rates[ORM]),
            at_least=3,
        ),
        Comparison("CPU of a booking, compared with raw asyncpg", ratios(cpu[APPLICATION], cpu[RAW]), at_most=2),
        Comparison(
            "rate of bookings with one doctor, compared with many doctors",
            ratios(rates[ONE_DOCTOR], rates[APPLICATION]),
            at_least=0.6,
        ),
        Comparison("rate of raw asyncpg, compared with the limit of asyncpg", ratios(rates[RAW], rates[DRIVER])),
        Comparison("rate of raw asyncpg, compared with the limit of pgbench", ratios(rates[RAW], rates[PGBENCH])),
    ]


async def send_bookings(servers: Sequence[Server], bookings: Iterator[BookingRequest], count: int) -> Run:
    requests = [
        write_request("POST", "/appointments", headers=headers, body=body) for headers, body in islice(bookings, count)
    ]
    return await send_all(servers, requests, status=201, connections=CONNECTIONS)


def spread_over_doctors(clinic: Clinic, doctors: Sequence[int], tokens: Mapping[UUID, str]) -> Iterator[BookingRequest]:
    """Yield one booking with each doctor, then a second one with each, and so on. A doctor's patients take turns."""
    patients = {number: cycle(clinic.patients_of(number)) for number in doctors}
    for visits in zip(*(clinic.free_visits(number) for number in doctors), strict=False):
        for number, visit in zip(doctors, visits, strict=True):
            yield booking_request(visit, tokens[next(patients[number])])


def one_doctor_at_a_time(
    clinic: Clinic, doctors: Sequence[int], tokens: Mapping[UUID, str]
) -> Iterator[BookingRequest]:
    """Yield the bookings of a round with one doctor, then with the next doctor. A doctor's patients take turns."""
    for number in doctors:
        patients = cycle(clinic.patients_of(number))
        visits = list(islice(clinic.free_visits(number), ONE_DOCTOR_BOOKINGS))
        if len(visits) < ONE_DOCTOR_BOOKINGS:
            raise RuntimeError(f"doctor {number} has only {len(visits)} free visits")
        yield from (booking_request(visit, tokens[next(patients)]) for visit in visits)


def booking_request(visit: Visit, token: str) -> BookingRequest:
    body = {"doctor_id": str(visit.doctor_id), "start_time": visit.start.isoformat(), "reason": "A mole"}
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid4())}
    return headers, body | {"visit_type_id": str(visit.visit_type_id)}


if __name__ == "__main__":
    sys.exit(main())
