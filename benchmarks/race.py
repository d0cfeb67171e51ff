"""Fifty patients race for one slot: what the schema's guard costs, beside the simplest guard there is.

Two databases of one PostgreSQL server differ in nothing but the guard. One has the exclusion constraints, as the
migrations make them. The other has a partial unique index on the doctor and the start of the visit instead: enough
for a race for the very same slot, and blind to every other overlap.

- *Over HTTP*: two processes of the application serve each database, on loopback. Patients register and log in; then,
  in every round, 50 of them book the same new slot at once, over connections that are open already.
- *Statement alone*: most of a response time is not the database's. So 50 connections race with the same INSERT in
  transactions of their own, without the application.

The rounds alternate between the databases, after a first one that does not count. Each is compared with the one next
to it on the other side, so that what else the machine does meanwhile cancels out: a time is a ratio, and the unique
index is 1.00.

The claim, which the exit status follows: exactly one winner in every round, no deadlock, no 5xx, and losers who are
answered within twice the time of the unique index's, the one in the middle and the slowest alike.

The second table shows why a booking is one INSERT with ON CONFLICT DO NOTHING (docs/booking.md). There 50 connections
write a chain of visits into the table with the exclusion constraints: each overlaps with its neighbours, but not with
all. Without the clause, those who wait for one that is then refused find each other's rows, and wait for each other.

The server is a throw-away one with durability switched off: waiting for a disk would take as long on both sides, and
only make them look more alike. Every wait in the database ends after the application's usual 5 seconds.
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

type Answers = list[tuple[str, float]]
"""How each one's try ended, and after how many seconds."""

CLIENTS = 50
PROCESSES = 2  # for each database
TIMES_AS_LONG = 2.0
MIN_ROUNDS, DEFAULT_ROUNDS, MAX_ROUNDS = 7, 11, 50
STATEMENT_ROUNDS = 31
CHAIN_ROUNDS = 5
SETTING_UP, MAX_RACE, MAX_WAIT = 60, 20, 5  # seconds

VISIT = timedelta(minutes=30)
STEP = timedelta(minutes=5)

GUARDED, UNIQUE = "exclusion constraints", "unique index"
UNIQUE_INDEX = f"""
ALTER TABLE appointments {", ".join(f"DROP CONSTRAINT {name}" for name in GUARDS)};
CREATE UNIQUE INDEX appointments_slot_key ON appointments (doctor_id, start_time) WHERE {OCCUPIES_TIME};
"""
PLAIN, OR_NOTHING = "INSERT", "INSERT … ON CONFLICT DO NOTHING"
_INSERT = """
INSERT INTO appointments (id, doctor_id, patient_id, start_time, end_time, busy_start, busy_end, status, created_at)
VALUES ($1, $2, $3, $4, $5, $4, $5, 'booked', now())
"""
STATEMENTS = {PLAIN: f"{_INSERT} RETURNING 1", OR_NOTHING: f"{_INSERT} ON CONFLICT DO NOTHING RETURNING 1"}


@dataclass(frozen=True, slots=True)
class Side:
    """What one guard did in all rounds of one race."""

    guard: str
    rounds: list[Answers]
    deadlocks: int


@dataclass(frozen=True, slots=True)
class Race:
    """The same race on both sides."""

    name: str
    guarded: Side
    unique: Side


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison and prints it; the exit status is 0 if the claim holds."""
    options = read_options(
        "race",
        "Race 50 clients for one slot.",
        arguments,
        fewest=MIN_ROUNDS,
        usual=DEFAULT_ROUNDS,
        most=MAX_ROUNDS,
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
            at_most=TIMES_AS_LONG,
            also=is_fair(race),
        )
        for race in races
        for loser, ratios in compare(race).items()
    ]
    print(race_table(races), "", chain_table(chains), "", result_table(comparisons), sep="\n")
    return record("race", comparisons, options.results)


@asynccontextmanager
async def connected(url: URL, count: int = 1) -> AsyncIterator[list[Connection]]:
    milliseconds = str(MAX_WAIT * 1000)
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
            engine = create_engine(as_text(url), pool_size=1, timeout=MAX_WAIT)
            await upgrade(engine)
            await engine.dispose()
    async with connected(unique) as [connection]:
        await connection.execute(UNIQUE_INDEX)


async def take_deadlocks(url: URL) -> int:
    """How many the database has seen since the last time."""
    async with connected(url) as [connection]:
        # A connection may report what it has counted as late as at its end.
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        deadlocks = await connection.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        await connection.execute("SELECT pg_stat_reset()")
    return int(deadlocks)


async def race_over_http(urls: Sequence[URL], count: int) -> list[list[Answers]]:
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    rounds: list[list[Answers]] = [[] for _ in urls]
    async with AsyncExitStack() as stack:
        sides: list[tuple[Person, list[Person]]] = []
        for url in urls:
            servers = await stack.enter_async_context(serve(as_text(url), PROCESSES))
            async with asyncio.timeout(SETTING_UP):
                # There is no TLS to verify, and loading the certificates fifty times takes long.
                new = (
                    httpx2.AsyncClient(base_url=servers[n % PROCESSES].url, timeout=MAX_RACE, verify=False)
                    for n in range(CLIENTS)
                )
                clients = [await stack.enter_async_context(client) for client in new]
                patients = await asyncio.gather(*(Person.register(client, "patient") for client in clients))
                doctor = await Person.register(clients[0], "doctor")
                await doctor.publish(first.isoformat(), (first + (count + 1) * VISIT).isoformat())
            sides.append((doctor, patients))
        for number in range(count + 1):
            for (doctor, patients), kept in zip(sides, rounds, strict=True):
                async with asyncio.timeout(2 * MAX_RACE):
                    kept.append(await race_once_over_http(doctor, patients, first + number * VISIT))
    return [kept[1:] for kept in rounds]


async def race_once_over_http(doctor: Person, patients: Sequence[Person], start: datetime) -> Answers:
    body = {"doctor_id": doctor.id, "start_time": start.isoformat()}
    line = asyncio.Barrier(len(patients))

    async def run(patient: Person) -> tuple[str, float]:
        # Opens what has been closed meanwhile: the connection to the server, and those of the server to the database.
        (await patient.get("/auth/me")).raise_for_status()
        request = patient.client.build_request("POST", "/appointments", headers=patient.headers, json=body)
        await line.wait()
        started = perf_counter()
        answer = await patient.client.send(request)
        seconds = perf_counter() - started
        if answer.status_code == 201:
            return "won", seconds
        if answer.status_code == 409 and answer.json()["code"] == "slot_taken":
            return "refused", seconds
        if answer.is_server_error:
            return "failed", seconds
        raise RuntimeError(f"not an answer to this race: {answer.status_code} {answer.text}")

    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(run(patient)) for patient in patients]
    return [each.result() for each in runs]


async def race_with_statements(urls: Sequence[URL]) -> list[list[Answers]]:
    first = datetime.now(UTC) + timedelta(days=100)
    rounds: list[list[Answers]] = [[] for _ in urls]
    async with AsyncExitStack() as stack:
        sides = [await stack.enter_async_context(connected(url, CLIENTS)) for url in urls]
        for number in range(STATEMENT_ROUNDS + 1):
            starts = [first + number * VISIT] * CLIENTS
            for connections, kept in zip(sides, rounds, strict=True):
                kept.append(await race_once_with_statements(connections, STATEMENTS[OR_NOTHING], starts))
    return [kept[1:] for kept in rounds]


async def race_in_chains(url: URL) -> dict[str, list[Answers]]:
    """Alternates between the statements."""
    first = datetime.now(UTC) + timedelta(days=200)
    chain = [n * 3 % CLIENTS * STEP for n in range(CLIENTS)]  # neighbours in time do not come one after the other
    rounds: dict[str, list[Answers]] = {name: [] for name in STATEMENTS}
    async with connected(url, CLIENTS) as connections:
        for number in range(CHAIN_ROUNDS):
            for turn, (name, statement) in enumerate(STATEMENTS.items()):
                day = first + timedelta(days=number * len(STATEMENTS) + turn)
                starts = [day + offset for offset in chain]
                rounds[name].append(await race_once_with_statements(connections, statement, starts))
    return rounds


async def race_once_with_statements(
    connections: Sequence[Connection], statement: str, starts: Sequence[datetime]
) -> Answers:
    doctor = await connections[0].fetchval("SELECT id FROM doctors")
    patients = await connections[0].fetch("SELECT id FROM users WHERE role = 'patient' ORDER BY id")
    line = asyncio.Barrier(len(connections))

    async def run(connection: Connection, patient: UUID, start: datetime) -> tuple[str, float]:
        prepared = await connection.prepare(statement)
        await line.wait()
        started = perf_counter()
        try:
            # Several round trips to a transaction, as in the application.
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

    async with asyncio.timeout(2 * MAX_RACE), asyncio.TaskGroup() as group:
        runs = [
            group.create_task(run(connection, patient["id"], start))
            for connection, patient, start in zip(connections, patients, starts, strict=True)
        ]
    return [each.result() for each in runs]


def times(answers: Answers, outcome: str) -> list[float]:
    return [seconds for each, seconds in answers if each == outcome]


def to_race(name: str, urls: Sequence[URL], rounds: Sequence[list[Answers]]) -> Race:
    """Counts the deadlocks, too; nobody may be connected any more who could cause one."""
    deadlocks = [asyncio.run(take_deadlocks(url)) for url in urls]
    return Race(name, *(Side(*side) for side in zip((GUARDED, UNIQUE), rounds, deadlocks, strict=True)))


def winners(side: Side) -> list[int]:
    return sorted({len(times(answers, "won")) for answers in side.rounds})


def failures(side: Side) -> int:
    return sum(outcome not in {"won", "refused"} for answers in side.rounds for outcome, _ in answers)


def compare(race: Race) -> dict[str, list[float]]:
    """The ratios of the losers' response times, round by round; NaN where a side has no losers."""

    def ratios(measure: Callable[[list[float]], float]) -> list[float]:
        pairs = [
            (times(one, "refused"), times(other, "refused"))
            for one, other in zip(race.guarded.rounds, race.unique.rounds, strict=True)
        ]
        return [measure(one) / measure(other) if one and other else nan for one, other in pairs]

    return {"median": ratios(median), "slowest": ratios(max)}


def is_fair(race: Race) -> bool:
    """Whether exactly one has won each round, and nobody saw a deadlock or an error."""
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
        f"{CLIENTS} at once for the same slot; the losers' times as the median (and range) of ratios:\n\n{table(rows)}"
    )


def chain_table(chains: dict[str, list[Answers]]) -> str:
    rows = [["statement", "rounds", "booked", "refused", "deadlock", "timed out", "slowest answer"]]
    for name, rounds in chains.items():
        counts = [
            str(sum(len(times(answers, outcome)) for answers in rounds))
            for outcome in ("won", "refused", "deadlock", "timed out")
        ]
        slowest = max(seconds for answers in rounds for _, seconds in answers)
        rows.append([f"`{name}`", str(len(rounds)), *counts, f"{slowest:.2f} s"])
    return f"{CLIENTS} at once for a chain of overlapping visits, under the exclusion constraints:\n\n{table(rows)}"


if __name__ == "__main__":
    sys.exit(main())
