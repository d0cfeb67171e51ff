"""What a booking costs over HTTP, with everything on, beside what it costs others.

Servers are real uvicorn processes on loopback, two of each kind, on copies of one PostgreSQL database with a clinic in
it. Many patients of many doctors book, each at another time, with their own tokens and `Idempotency-Key`s; the
application authenticates, checks, inserts, records, keeps the answer, measures, and seals the audit trail meanwhile, as
always. Only its log is at `warning`, and no rate is counted, for all requests come from one address.

- *the limit*: the statements of such bookings are played as fast as they can be, by asyncpg, in as many processes as
  the application has (`benchmarks/players.py`): how fast it could book if it did nothing but book. And by pgbench
  (`benchmarks/replay.py`): how fast the machine could book if Python took no time. Clients, servers and database share
  the same two processors.
- *raw asyncpg*: the same endpoint without all that is not the booking itself (`benchmarks/raw.py`).
- *straightforward*: the same endpoint with the ORM (`benchmarks/straightforward.py`).
- *the same doctor*: the application, when everybody books with one doctor, one visit after another.

They take turns in every round, in changing order, after a first round that does not count. Rates are answers a second;
CPU is what the server processes used, user and system, for an answer. Both are compared within their round, so that
what else the machine does meanwhile cancels out.

The claims, which the exit status follows, are in the table. The database is a throw-away one with durability switched
off: waiting for a disk would take as long on all sides, and only make them look more alike.
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

type Sent = tuple[dict[str, str], dict[str, str]]
"""Headers and body of a booking."""

MIN_ROUNDS, DEFAULT_ROUNDS, MAX_ROUNDS = 5, 7, 11
DOCTORS, PATIENTS = 100, 20  # patients of each doctor
PROCESSES, CONNECTIONS = 2, 16
EACH, OF_THE_SLOW, OF_ONE_DOCTOR, REPLAYED = 900, 240, 200, 2400  # bookings a round

OURS, RAW, ORM, ONE_DOCTOR = "application", "raw asyncpg", "straightforward", "same doctor"
PGBENCH, DRIVER = "pgbench", "asyncpg"
APPS = {OURS: "app.main:app", RAW: "benchmarks.raw:app", ORM: "benchmarks.straightforward:app"}


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparisons and prints them; the exit status is 0 if the claims hold."""
    options = read_options(
        "booking", "Compare bookings.", arguments, fewest=MIN_ROUNDS, usual=DEFAULT_ROUNDS, most=MAX_ROUNDS
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
    crowded, rest = with_types[: rounds + 1], with_types[rounds + 1 :]

    recorded = await create_database(url, "recorded", template=loaded)
    bookings = list(islice(everywhere(clinic, rest, tokens), REPLAYED))
    statements = await record_bookings(settings_for(as_text(recorded)), bookings)
    scripts = await prepare_replay(loaded, statements, folder)

    async def by_pgbench() -> Run:
        copy = await create_database(url, "replayed", template=loaded)
        return Run(REPLAYED, await replay(server, copy, scripts, REPLAYED), nan)

    async def by_asyncpg() -> Run:
        copy = await create_database(url, "replayed", template=loaded)
        return Run(REPLAYED, await play(playing, copy, REPLAYED), nan)

    contenders: dict[str, Callable[[], Awaitable[Run]]] = {PGBENCH: by_pgbench, DRIVER: by_asyncpg}
    async with AsyncExitStack() as stack:
        playing = stack.enter_context(players(statements, PROCESSES))
        for name, app in APPS.items():
            copy = await create_database(url, name, template=loaded)
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            servers = await stack.enter_async_context(serve(as_text(copy), PROCESSES, app=app, stderr=log))
            count = OF_THE_SLOW if name == ORM else EACH
            contenders[name] = partial(book, servers, everywhere(clinic, rest, tokens), count)
            if name == OURS:
                contenders[ONE_DOCTOR] = partial(book, servers, one_by_one(clinic, crowded, tokens), OF_ONE_DOCTOR)
        runs = await take_turns(contenders, rounds)
    rates = {name: [run.rate for run in each] for name, each in runs.items()}
    cpu = {name: [run.cpu_each for run in each] for name, each in runs.items()}
    return [
        Comparison(
            "rate of bookings, compared with the limit of asyncpg", ratios(rates[OURS], rates[DRIVER]), at_least=0.25
        ),
        Comparison("rate of bookings, compared with the limit of pgbench", ratios(rates[OURS], rates[PGBENCH])),
        Comparison(
            "rate of bookings, compared with the straightforward implementation",
            ratios(rates[OURS], rates[ORM]),
            at_least=3,
        ),
        Comparison("CPU of a booking, compared with raw asyncpg", ratios(cpu[OURS], cpu[RAW]), at_most=2),
        Comparison(
            "rate of bookings with one doctor, compared with many doctors",
            ratios(rates[ONE_DOCTOR], rates[OURS]),
            at_least=0.6,
        ),
        Comparison("rate of raw asyncpg, compared with the limit of asyncpg", ratios(rates[RAW], rates[DRIVER])),
        Comparison("rate of raw asyncpg, compared with the limit of pgbench", ratios(rates[RAW], rates[PGBENCH])),
    ]


async def book(servers: Sequence[Server], bookings: Iterator[Sent], count: int) -> Run:
    requests = [
        write_request("POST", "/appointments", headers=headers, body=body) for headers, body in islice(bookings, count)
    ]
    return await send_all(servers, requests, status=201, connections=CONNECTIONS)


def everywhere(clinic: Clinic, doctors: Sequence[int], tokens: Mapping[UUID, str]) -> Iterator[Sent]:
    """One booking with each doctor after the other, and then again, each time by the next of her patients."""
    takers = {number: cycle(clinic.patients_of(number)) for number in doctors}
    for visits in zip(*(clinic.free_visits(number) for number in doctors), strict=False):
        for number, visit in zip(doctors, visits, strict=True):
            yield booking(visit, tokens[next(takers[number])])


def one_by_one(clinic: Clinic, doctors: Sequence[int], tokens: Mapping[UUID, str]) -> Iterator[Sent]:
    """A round of bookings with one doctor, by all of her patients in turn; then with the next doctor."""
    for number in doctors:
        takers = cycle(clinic.patients_of(number))
        visits = list(islice(clinic.free_visits(number), OF_ONE_DOCTOR))
        if len(visits) < OF_ONE_DOCTOR:
            raise RuntimeError(f"doctor {number} has no more than {len(visits)} visits")
        yield from (booking(visit, tokens[next(takers)]) for visit in visits)


def booking(visit: Visit, token: str) -> Sent:
    body = {"doctor_id": str(visit.doctor_id), "start_time": visit.start.isoformat(), "reason": "A mole"}
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid4())}
    return headers, body | {"visit_type_id": str(visit.visit_type_id)}


if __name__ == "__main__":
    sys.exit(main())
