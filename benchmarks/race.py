"""Let fifty patients book one slot at once, and compare the exclusion constraints with a unique index.

Two databases of one PostgreSQL server differ only in the guard against double bookings. One has the exclusion
constraints of the migrations. The other has a partial unique index on the doctor and the start of the visit instead,
the simplest guard. It is sufficient for bookings of the same slot, but does not notice other overlaps.

- *over HTTP*: two processes of the application serve each database on loopback. Patients register and log in. Then, in
  every round, 50 of them book the same new slot at once, over connections that are already open.
- *statement alone*: most of a response time is spent outside the database. So 50 connections also send the same INSERT
  at once, each in its own transaction, without the application.

Rounds alternate between the databases. The first one is not counted. Each is compared with the corresponding round on
the other database, so other load on the machine affects both. Times are ratios to the unique index.

Claim: exactly one booking succeeds in every round, there are no deadlocks and no 5xx responses, and the refused
bookings take at most twice as long as with the unique index, both the median and the slowest. The exit status is 0 if
it holds.

The second table shows why a booking is one INSERT with ON CONFLICT DO NOTHING (docs/booking.md). 50 connections insert
a chain of visits into the table with the exclusion constraints. Each visit overlaps with its neighbours but not with
all others. Without the clause, this ends in a deadlock: when a row is refused, the transactions that were waiting for
it meet each other's rows and wait for each other.

The server is temporary and runs without durability: waiting for a disk would take the same time on both sides and make
them look more alike. Every wait in the database ends after 5 seconds, the application's default.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import nan
from statistics import median
from time import perf_counter
from uuid import UUID

import asyncpg
import httpx2
from sqlalchemy import URL
from sqlalchemy.engine import make_url
from uuid_utils.compat import uuid7

from app.db.engine import create_engine
from app.db.schema import upgrade
from app.models.appointment import GUARDS, OCCUPIES_TIME
from benchmarks.comparing import (
    Comparison,
    read_options,
    record,
    result_table,
    spread,
    stop_on_sigterm,
    table,
)
from benchmarks.databases import Connection, as_text
from tests.people import Person
from tests.postgres import PostgresServer
from tests.servers import serve

type Outcomes = list[tuple[str, float]]
"""For each attempt to book, how it ended and after how many seconds."""

CLIENTS = 50
PROCESSES = 2  # for each database
MAX_SLOWDOWN = 2.0
MIN_ROUNDS, DEFAULT_ROUNDS, MAX_ROUNDS = 7, 11, 50
STATEMENT_ROUNDS = 31
CHAIN_ROUNDS = 5
SETUP_SECONDS, MAX_RACE_SECONDS, MAX_WAIT_SECONDS = 60, 20, 5

VISIT = timedelta(minutes=30)
STEP = timedelta(minutes=5)

GUARDED, UNIQUE = "exclusion constraints", "unique index"
UNIQUE_INDEX = f"""
ALTER TABLE appointments {", ".join(f"DROP CONSTRAINT {name}" for name in GUARDS)};
CREATE UNIQUE INDEX appointments_slot_key ON appointments (doctor_id, start_time) WHERE {OCCUPIES_TIME};
"""
PLAIN_INSERT, INSERT_OR_IGNORE = "INSERT", "INSERT … ON CONFLICT DO NOTHING"
_INSERT = """
INSERT INTO appointments (id, doctor_id, patient_id, start_time, end_time, busy_start, busy_end, status, created_at)
VALUES ($1, $2, $3, $4, $5, $4, $5, 'booked', now())
"""
STATEMENTS = {PLAIN_INSERT: f"{_INSERT} RETURNING 1", INSERT_OR_IGNORE: f"{_INSERT} ON CONFLICT DO NOTHING RETURNING 1"}


@dataclass(frozen=True, slots=True)
class Side:
    """The results of one guard in all rounds of a race."""

    guard: str
    rounds: list[Outcomes]
    deadlocks: int


@dataclass(frozen=True, slots=True)
class Race:
    """The same race with both guards."""

    name: str
    guarded: Side
    unique: Side


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison and print the results. Return 0 if the claim holds, else 1."""
    options = read_options(
        "race",
        "Let 50 clients book one slot at once.",
        arguments,
        minimum=MIN_ROUNDS,
        default=DEFAULT_ROUNDS,
        maximum=MAX_ROUNDS,
    )
    stop_on_sigterm()

    with closing(PostgresServer()) as postgresql:
        server = make_url(postgresql.url)
        urls = server.set(database="guarded"), server.set(database="unique")
        asyncio.run(create_databases(server, *urls))
        rounds = asyncio.run(race_over_http(urls, options.rounds))
        races = [to_race("over HTTP", urls, rounds)]
        rounds = asyncio.run(race_with_statements(urls))
        races.append(to_race("statement alone", urls, rounds))
        chains = asyncio.run(race_in_chains(urls[0]))

    comparisons = [
        Comparison(
            f"{loser} loser, {race.name}, compared with a unique index",
            ratios,
            at_most=MAX_SLOWDOWN,
            also_holds=is_fair(race),
        )
        for race in races
        for loser, ratios in compare(race).items()
    ]
    print(race_table(races), "", chain_table(chains), "", result_table(comparisons), sep="\n")
    return record("race", comparisons, options.results)


@asynccontextmanager
async def connected(url: URL, count: int = 1) -> AsyncIterator[list[Connection]]:
    milliseconds = str(MAX_WAIT_SECONDS * 1000)
    settings = {"lock_timeout": milliseconds, "statement_timeout": milliseconds}
    async with AsyncExitStack() as stack:
        connections: list[Connection] = []
        for _ in range(count):
            connection = await asyncpg.connect(as_text(url.set(drivername="postgresql")), server_settings=settings)
            stack.push_async_callback(connection.close)
            connections.append(connection)
        yield connections


async def create_databases(server: URL, guarded: URL, unique: URL) -> None:
    async with connected(server) as [connection]:
        for url in (guarded, unique):
            await connection.execute(f'CREATE DATABASE "{url.database}"')
            engine = create_engine(as_text(url), pool_size=1, timeout=MAX_WAIT_SECONDS)
            await upgrade(engine)
            await engine.dispose()
    async with connected(unique) as [connection]:
        await connection.execute(UNIQUE_INDEX)


async def read_and_reset_deadlocks(url: URL) -> int:
    """Return the number of deadlocks in the database since the last call."""
    async with connected(url) as [connection]:
        # A connection may report its counts only when it ends.
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        deadlocks = await connection.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        await connection.execute("SELECT pg_stat_reset()")
    return int(deadlocks)


async def race_over_http(urls: Sequence[URL], count: int) -> list[list[Outcomes]]:
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    rounds: list[list[Outcomes]] = [[] for _ in urls]
    async with AsyncExitStack() as stack:
        sides: list[tuple[Person, list[Person]]] = []
        for url in urls:
            servers = await stack.enter_async_context(serve(as_text(url), PROCESSES))
            async with asyncio.timeout(SETUP_SECONDS):
                # Without TLS there is nothing to verify, and loading the certificates fifty times is slow.
                new = (
                    httpx2.AsyncClient(base_url=servers[n % PROCESSES].url, timeout=MAX_RACE_SECONDS, verify=False)
                    for n in range(CLIENTS)
                )
                clients = [await stack.enter_async_context(client) for client in new]
                patients = await asyncio.gather(*(Person.register(client, "patient") for client in clients))
                doctor = await Person.register(clients[0], "doctor")
                await doctor.publish(first.isoformat(), (first + (count + 1) * VISIT).isoformat())
            sides.append((doctor, patients))
        for number in range(count + 1):
            for (doctor, patients), results in zip(sides, rounds, strict=True):
                async with asyncio.timeout(2 * MAX_RACE_SECONDS):
                    results.append(await race_once_over_http(doctor, patients, first + number * VISIT))
    return [results[1:] for results in rounds]


async def race_once_over_http(doctor: Person, patients: Sequence[Person], start: datetime) -> Outcomes:
    body = {"doctor_id": doctor.id, "start_time": start.isoformat()}
    barrier = asyncio.Barrier(len(patients))

    async def run(patient: Person) -> tuple[str, float]:
        # Reopen connections that were closed in the meantime: to the server, and from there to the database.
        (await patient.get("/auth/me")).raise_for_status()
        request = patient.client.build_request("POST", "/appointments", headers=patient.headers, json=body)
        await barrier.wait()
        started = perf_counter()
        response = await patient.client.send(request)
        seconds = perf_counter() - started
        if response.status_code == 201:
            return "won", seconds
        if response.status_code == 409 and response.json()["code"] == "slot_taken":
            return "refused", seconds
        if response.is_server_error:
            return "failed", seconds
        raise RuntimeError(f"unexpected response: {response.status_code} {response.text}")

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run(patient)) for patient in patients]
    return [each.result() for each in tasks]


async def race_with_statements(urls: Sequence[URL]) -> list[list[Outcomes]]:
    first = datetime.now(UTC) + timedelta(days=100)
    rounds: list[list[Outcomes]] = [[] for _ in urls]
    async with AsyncExitStack() as stack:
        sides = [await stack.enter_async_context(connected(url, CLIENTS)) for url in urls]
        for number in range(STATEMENT_ROUNDS + 1):
            starts = [first + number * VISIT] * CLIENTS
            for connections, results in zip(sides, rounds, strict=True):
                results.append(await race_once_with_statements(connections, STATEMENTS[INSERT_OR_IGNORE], starts))
    return [results[1:] for results in rounds]


async def race_in_chains(url: URL) -> dict[str, list[Outcomes]]:
    """Insert chains of overlapping visits, alternately with both statements."""
    first = datetime.now(UTC) + timedelta(days=200)
    chain = [n * 3 % CLIENTS * STEP for n in range(CLIENTS)]  # neighbours in time are not started one after the other
    rounds: dict[str, list[Outcomes]] = {name: [] for name in STATEMENTS}
    async with connected(url, CLIENTS) as connections:
        for number in range(CHAIN_ROUNDS):
            for turn, (name, statement) in enumerate(STATEMENTS.items()):
                day = first + timedelta(days=number * len(STATEMENTS) + turn)
                starts = [day + offset for offset in chain]
                rounds[name].append(await race_once_with_statements(connections, statement, starts))
    return rounds


async def race_once_with_statements(
    connections: Sequence[Connection], statement: str, starts: Sequence[datetime]
) -> Outcomes:
    doctor = await connections[0].fetchval("SELECT id FROM doctors")
    patients = await connections[0].fetch("SELECT id FROM users WHERE role = 'patient' ORDER BY id")
    barrier = asyncio.Barrier(len(connections))

    async def run(connection: Connection, patient: UUID, start: datetime) -> tuple[str, float]:
        prepared = await connection.prepare(statement)
        await barrier.wait()
        started = perf_counter()
        try:
            # As in the application, a transaction takes several round trips.
            async with connection.transaction():
                inserted = await prepared.fetchval(uuid7(), doctor, patient, start, start + VISIT)
            outcome = "won" if inserted else "refused"
        except asyncpg.ExclusionViolationError:
            outcome = "refused"
        except asyncpg.DeadlockDetectedError:
            outcome = "deadlock"
        except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError):
            outcome = "timed out"
        return outcome, perf_counter() - started

    async with asyncio.timeout(2 * MAX_RACE_SECONDS), asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(run(connection, patient["id"], start))
            for connection, patient, start in zip(connections, patients, starts, strict=True)
        ]
    return [each.result() for each in tasks]


def times(outcomes: Outcomes, outcome: str) -> list[float]:
    return [seconds for each, seconds in outcomes if each == outcome]


def to_race(name: str, urls: Sequence[URL], rounds: Sequence[list[Outcomes]]) -> Race:
    """Combine the rounds of both databases with their deadlocks. All connections of the race must be closed."""
    deadlocks = [asyncio.run(read_and_reset_deadlocks(url)) for url in urls]
    return Race(name, *(Side(*side) for side in zip((GUARDED, UNIQUE), rounds, deadlocks, strict=True)))


def winners(side: Side) -> list[int]:
    return sorted({len(times(outcomes, "won")) for outcomes in side.rounds})


def failures(side: Side) -> int:
    return sum(outcome not in {"won", "refused"} for outcomes in side.rounds for outcome, _ in outcomes)


def compare(race: Race) -> dict[str, list[float]]:
    """Return the ratios of the losers' response times for each round, or NaN if a side has no losers."""

    def ratios(measure: Callable[[list[float]], float]) -> list[float]:
        pairs = [
            (times(one, "refused"), times(other, "refused"))
            for one, other in zip(race.guarded.rounds, race.unique.rounds, strict=True)
        ]
        return [measure(one) / measure(other) if one and other else nan for one, other in pairs]

    return {"median": ratios(median), "slowest": ratios(max)}


def is_fair(race: Race) -> bool:
    """Return whether exactly one booking succeeded in each round, without deadlocks and errors."""
    return all(winners(side) == [1] and failures(side) == side.deadlocks == 0 for side in (race.guarded, race.unique))


def race_table(races: Iterable[Race]) -> str:
    rows = [
        ["race", "guard", "rounds", "winners in each", "5xx or error", "deadlocks", "median loser", "slowest loser"]
    ]
    for race in races:
        ratios = [spread(values) for values in compare(race).values()]
        for side, compared in ((race.guarded, ratios), (race.unique, ["1.00", "1.00"])):
            won = " or ".join(map(str, winners(side)))
            counts = [str(len(side.rounds)), won, str(failures(side)), str(side.deadlocks)]
            rows.append([race.name, side.guard, *counts, *compared])
    return (
        f"{CLIENTS} bookings of the same slot at once; the losers' times as median (and range) of ratios:\n\n"
        f"{table(rows)}"
    )


def chain_table(chains: dict[str, list[Outcomes]]) -> str:
    rows = [["statement", "rounds", "booked", "refused", "deadlock", "timed out", "slowest response"]]
    for name, rounds in chains.items():
        counts = [
            str(sum(len(times(outcomes, outcome)) for outcomes in rounds))
            for outcome in ("won", "refused", "deadlock", "timed out")
        ]
        slowest = max(seconds for outcomes in rounds for _, seconds in outcomes)
        rows.append([f"`{name}`", str(len(rounds)), *counts, f"{slowest:.2f} s"])
    return f"A chain of {CLIENTS} overlapping visits at once, with the exclusion constraints:\n\n{table(rows)}"


if __name__ == "__main__":
    sys.exit(main())
