"""Measure how attacks affect the response times of ordinary clients.

One server process runs with an SQLite file, then with PostgreSQL, with hashing as in production. Four ordinary clients
search doctors, list slots, book, and list their visits, with a short pause after each response. Quiet rounds alternate
with rounds in which a separate process attacks:

- from two addresses each: bodies of 9 MB, deeply nested JSON of 64 KB, bodies sent at one byte per second, 30 MB of
  headers, and password guesses;
- 150 concurrent searches from one address;
- 40 accounts of one address that keep changing their passwords;
- a doctor who lists 100 patients in a loop;
- requests in a loop for the next slot, and for a year of slots, of a doctor who is fully booked;
- 40 patients of one address that keep trying to book a doctor whose daily limit is reached.

Every client has its own address, and the rate limits have their default values. A round under attack is measured after
a warm-up, in which the attackers reach their limits. Real attackers use their own machines, so here their process has
a lower priority than the server. Its CPU use still affects the results.

Each round under attack is compared with the quiet round before it. The table shows medians, and the peak of the memory.
Claims: under attack, the 99th percentile is at most ``MAX_SLOWDOWN`` times as long, no request of an ordinary client
fails, memory grows by at most ``MAX_GROWTH_MB``, and the audit trail by at most ``MAX_ROWS_PER_MINUTE``. The exit
status is 0 if they hold.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import batched, count
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.settings import OWASP_MEMORY_KIB, OWASP_PASSES, Settings
from app.db.database import Database
from app.models import Appointment
from benchmarks.attack_requests import (
    Targets,
    book,
    change_password,
    find_next_slot,
    guess_password,
    list_patients,
    list_slots,
    search,
    send_big_body,
    send_deep_json,
    send_headers,
    send_slow_body,
)
from benchmarks.comparing import Comparison, add_rounds, make_parser, record, result_table, stop_on_sigterm, table
from tests import databases
from tests.databases import migrate
from tests.people import Person
from tests.postgres import PostgresServer
from tests.servers import Server, serve

CLIENTS = 4
ADDRESSES_PER_ATTACK = 2
TRICKLES = 20  # slow bodies per address
MAX_SLOWDOWN = 3.0
MIN_ROUNDS, MAX_ROUNDS = 5, 9
ROUND_SECONDS, WARM_UP_SECONDS, PAUSE_SECONDS, MAX_RESPONSE_SECONDS = 10, 5, 0.12, 30
RATES = ("RATE_LIMIT_PER_ADDRESS", "RATE_LIMIT_LOGIN", "RATE_LIMIT_PER_ACCOUNT")
OTHER_LIMITS = ("MAX_IN_FLIGHT_PER_CLIENT", "MAX_SEARCH_SECONDS", "MAX_CONNECTIONS", "MAX_CONNECTIONS_PER_ADDRESS")
SEARCHES = 150  # concurrent, from one address
ACCOUNTS = 40  # that change their passwords and try to book
PATIENTS = 100  # of the doctor who lists them
REGISTRATIONS_PER_ADDRESS = 10  # within the rate limit
MAX_GROWTH_MB, MAX_ROWS_PER_MINUTE = 100, 3000  # of memory; of the audit trail
VISIT_LENGTH, DAY = timedelta(minutes=5), timedelta(days=1)
OPEN_PER_DAY, YEAR, LISTED_SPAN = timedelta(hours=8), 366 * DAY, 61 * DAY  # of the fully booked doctor
ATTACKS = (
    "bodies", "json", "trickles", "passwords", "headers", "searches", "changes", "patients", "next slot", "slots",
    "bookings",
)  # fmt: skip
LIMITS = {name: str(Settings.model_fields[name.lower()].default) for name in (*RATES, *OTHER_LIMITS)}
UNLIMITED = httpx2.Limits(max_connections=None)


@dataclass(slots=True)
class Round:
    """The measurements of a round: of the ordinary clients, of the server's memory, and of its audit trail."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    megabytes: float = 0
    rows_per_minute: float = 0


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison and print the results. Return 0 if the claims hold, else 1."""
    parser = make_parser("attack", "Attack a server that is in use.")
    add_rounds(parser, minimum=MIN_ROUNDS, default=MIN_ROUNDS, maximum=MAX_ROUNDS)
    parser.add_argument("--only", action="append", choices=ATTACKS, help="an attack to run (default: all); repeatable")
    parser.add_argument("--against", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    attacks = options.only or ATTACKS
    if options.against:
        os.nice(10)
        asyncio.run(attack(options.against, attacks, Targets(**json.loads(sys.stdin.readline()))))
        return 0
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as folder, closing(PostgresServer()) as postgresql:
        urls = {"SQLite": f"sqlite+aiosqlite:///{Path(folder)}/attack.db", "PostgreSQL": postgresql.url}
        pairs = {name: asyncio.run(compare(url, attacks, options.rounds)) for name, url in urls.items()}
    errors = {
        name: {error for pair in rounds for one in pair for error in one.errors} for name, rounds in pairs.items()
    }
    excesses = {name: list(find_excesses(rounds)) for name, rounds in pairs.items()}
    comparisons = [
        Comparison(
            f"99th percentile under attack, compared with a quiet round: {name}",
            percentiles(rounds, 99),
            at_most=MAX_SLOWDOWN,
            also_holds=not errors[name] and not excesses[name],
        )
        for name, rounds in pairs.items()
    ]
    print(rounds_table(pairs), "", result_table(comparisons), sep="\n")
    print(
        *(f"An ordinary client received an error: {error}" for error in sorted(set().union(*errors.values()))), sep="\n"
    )
    print(*(f"{name}: {excess}" for name in pairs for excess in excesses[name]), sep="\n")
    return record("attack", comparisons, options.results)


def find_excesses(pairs: list[tuple[Round, Round]]) -> Iterator[str]:
    """Yield a message for each claimed bound on growth that was exceeded."""
    quiet, attacked = [max(pair[turn].megabytes for pair in pairs) for turn in (0, 1)]
    if attacked - quiet > MAX_GROWTH_MB:
        yield f"memory grew from {quiet:.0f} to {attacked:.0f} MB"
    rows = median(under_attack.rows_per_minute for _, under_attack in pairs)
    if rows > MAX_ROWS_PER_MINUTE:
        yield f"the audit trail grew by {rows:.0f} rows a minute"


def open_client(url: str, address: str = "127.0.0.1") -> httpx2.AsyncClient:
    """Open a client with its own address, because limits are per address."""
    transport = httpx2.AsyncHTTPTransport(local_address=address, limits=UNLIMITED, verify=False)  # there is no TLS
    return httpx2.AsyncClient(base_url=url, timeout=MAX_RESPONSE_SECONDS, transport=transport)


async def compare(url: str, attacks: Sequence[str], rounds: int) -> list[tuple[Round, Round]]:
    """Run quiet rounds and rounds under attack alternately, after a short quiet round that is not counted."""
    hashing = {"PASSWORD_MEMORY_KIB": str(OWASP_MEMORY_KIB), "PASSWORD_PASSES": str(OWASP_PASSES)}
    environment: dict[str, Any] = hashing | LIMITS
    async with (
        serve(await migrate(url), 1, **environment) as [server],
        databases.open_engine(url) as engine,
        AsyncExitStack() as stack,
    ):
        clients = [open_client(server.url, f"127.0.1.{number + 1}") for number in range(CLIENTS)]
        visitors = [await open_visitor(await stack.enter_async_context(client)) for client in clients]
        targets = await prepare(server.url, engine)
        await run_clients(server, engine, visitors, 2)
        pairs = []
        for _ in range(rounds):
            quiet = await run_clients(server, engine, visitors, ROUND_SECONDS)
            async with attackers(server.url, attacks, targets):
                await asyncio.sleep(WARM_UP_SECONDS)
                pairs.append((quiet, await run_clients(server, engine, visitors, ROUND_SECONDS)))
        return pairs


async def prepare(url: str, engine: AsyncEngine) -> Targets:
    """Register the accounts and doctors that the attackers need."""
    people: list[Person] = []
    async with open_client(url, "127.0.1.250") as client:
        doctor = await Person.register(client, "doctor")
        first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + DAY
        await doctor.publish(first.isoformat(), (first + DAY).isoformat())
        for number in range((ACCOUNTS + PATIENTS) // REGISTRATIONS_PER_ADDRESS):
            async with open_client(url, f"127.0.3.{number + 1}") as registering:
                people += [await Person.register(registering, "patient") for _ in range(REGISTRATIONS_PER_ADDRESS)]
                for patient in people[max(ACCOUNTS, number * REGISTRATIONS_PER_ADDRESS) :]:
                    start = (
                        first
                        + (len(people) - people.index(patient)) * VISIT_LENGTH
                        + number * REGISTRATIONS_PER_ADDRESS * VISIT_LENGTH
                    )
                    await patient.book(doctor, start.isoformat(), (start + VISIT_LENGTH).isoformat())
        await doctor.update_profile(daily_limit=1)
        full_doctor = await Person.register(client, "doctor")
        await full_doctor.update_profile(default_visit_minutes=VISIT_LENGTH // timedelta(minutes=1))
        await full_doctor.publish(first.isoformat(), (first + OPEN_PER_DAY).isoformat(), "FREQ=DAILY")
    await fill(Database(engine), UUID(full_doctor.id), UUID(people[0].id), first)
    accounts = [each.token for each in people[:ACCOUNTS]]
    return Targets(accounts, doctor.token, doctor.id, full_doctor.id, first.isoformat())


async def fill(database: Database, doctor: UUID, patient: UUID, first: datetime) -> None:
    """Insert appointments with one patient for all slots of the doctor in a year."""
    starts = (
        first + day * DAY + number * VISIT_LENGTH
        for day in range(YEAR // DAY)
        for number in range(OPEN_PER_DAY // VISIT_LENGTH)
    )
    rows = (
        {
            "id": UUID(int=number),
            "doctor_id": doctor,
            "patient_id": patient,
            "start_time": start,
            "end_time": start + VISIT_LENGTH,
            "busy_start": start,
            "busy_end": start + VISIT_LENGTH,
            "status": "booked",
            "created_at": first,
        }
        for number, start in enumerate(starts, 1)
    )
    async with database.write() as transaction:
        for batch in batched(rows, 2000):
            await transaction.execute(insert(Appointment), batch)


async def open_visitor(client: httpx2.AsyncClient) -> tuple[Person, Person, Iterator[datetime]]:
    """Register a patient and a doctor, and return them with the doctor's free times."""
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + DAY
    doctor = await Person.register(client, "doctor", specialty="Dermatology")
    await doctor.publish(first.isoformat(), (first + 7 * DAY).isoformat())
    return await Person.register(client, "patient"), doctor, (first + number * VISIT_LENGTH for number in count())


async def run_clients(
    server: Server, engine: AsyncEngine, visitors: list[tuple[Person, Person, Iterator[datetime]]], seconds: float
) -> Round:
    """Run the ordinary clients for this many seconds and return what was measured."""
    observed = Round()
    process = Path(f"/proc/{server.process.pid}")
    (process / "clear_refs").write_text("5")  # reset the peak of the memory: proc_pid_clear_refs(5)
    rows = await count_rows(engine)
    end = perf_counter() + seconds
    async with asyncio.TaskGroup() as group:
        for each in visitors:
            group.create_task(run_client(*each, observed, end))
    [peak] = [line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM:")]
    observed.megabytes = int(peak.split()[1]) / 1024
    observed.rows_per_minute = (await count_rows(engine) - rows) * 60 / seconds
    return observed


async def count_rows(engine: AsyncEngine) -> int:
    """Count the rows of the audit trail."""
    async with engine.connect() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM audit_events")) or 0)


async def run_client(patient: Person, doctor: Person, starts: Iterator[datetime], observed: Round, end: float) -> None:
    while perf_counter() < end:
        start = next(starts)
        span = {"from": start.isoformat(), "to": (start + DAY).isoformat()}
        for status, request in (
            (200, patient.get("/doctors", params={"specialty": "Dermatology"})),
            (200, patient.get(f"/doctors/{doctor.id}/slots", params=span)),
            (201, patient.try_to_book(doctor, start.isoformat(), (start + VISIT_LENGTH).isoformat())),
            (200, patient.get("/appointments", params={"limit": 20})),
        ):
            started = perf_counter()
            try:
                response = await request
                if response.status_code != status:
                    observed.errors.append(f"{response.status_code} {response.text}")
            except httpx2.HTTPError as error:
                observed.errors.append(repr(error))
            observed.seconds.append(perf_counter() - started)
            await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def attackers(url: str, attacks: Sequence[str], targets: Targets) -> AsyncIterator[None]:
    """Run a process that attacks. It has a time-out, in case this process is killed."""
    command = [sys.executable, "-m", "benchmarks.attack", "--against", url, *(f"--only={kind}" for kind in attacks)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=1024 * 1024)
    try:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(asdict(targets)).encode() + b"\n")
        await process.stdout.readline()  # printed when the attack starts
        yield
    finally:
        process.terminate()
        await process.wait()


async def attack(url: str, chosen: Sequence[str], targets: Targets) -> None:
    names = (f"{number}@example.com" for number in count())
    full_doctor, first = f"/doctors/{targets.full_doctor}", datetime.fromisoformat(targets.first)
    listings = [
        {"from": begin.isoformat(), "to": (begin + LISTED_SPAN).isoformat()}
        for begin in (first + number * LISTED_SPAN for number in range(YEAR // LISTED_SPAN))
    ]
    # For each attack: the concurrency per address, the number of addresses, and the requests that are repeated.
    attacks: dict[str, tuple[int, int, Sequence[Callable[[httpx2.AsyncClient], Coroutine[None, None, object]]]]] = {
        "bodies": (1, ADDRESSES_PER_ATTACK, [send_big_body]),
        "json": (1, ADDRESSES_PER_ATTACK, [send_deep_json]),
        "trickles": (TRICKLES, ADDRESSES_PER_ATTACK, [send_slow_body]),
        "passwords": (1, ADDRESSES_PER_ATTACK, [partial(guess_password, names)]),
        "headers": (1, ADDRESSES_PER_ATTACK, [send_headers]),
        "searches": (SEARCHES, 1, [search]),
        "changes": (1, 1, [partial(change_password, token) for token in targets.accounts]),
        "patients": (1, 1, [partial(list_patients, targets.doctor)]),
        "next slot": (1, 1, [partial(find_next_slot, f"{full_doctor}/next-slot", targets.first)]),
        "slots": (1, 1, [partial(list_slots, f"{full_doctor}/slots", listing) for listing in listings]),
        "bookings": (1, 1, [partial(book, token, targets) for token in targets.accounts]),
    }
    addresses = count(1)
    print("started", flush=True)
    async with asyncio.timeout(2 * MAX_RESPONSE_SECONDS), AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for concurrency, number_of_addresses, sends in map(attacks.__getitem__, chosen):
            for _ in range(number_of_addresses):
                client = await stack.enter_async_context(open_client(url, f"127.0.2.{next(addresses)}"))
                for send in (*sends,) * concurrency:
                    group.create_task(repeat(partial(send, client)))


async def repeat(send: Callable[[], Coroutine[None, None, object]]) -> None:
    while True:
        with suppress(httpx2.HTTPError):  # the server may refuse the request by closing the connection
            await send()


def percentiles(pairs: list[tuple[Round, Round]], percent: int) -> list[float]:
    """Return the percentile of each round under attack, as a ratio to that of the quiet round before it."""
    return [quantiles(b.seconds, n=100)[percent - 1] / quantiles(a.seconds, n=100)[percent - 1] for a, b in pairs]


def rounds_table(pairs: dict[str, list[tuple[Round, Round]]]) -> str:
    rows = [["database", "rounds", "requests", "errors", "p50", "p99", "p50 ratio", "p99 ratio", "peak memory"]]
    for database, each in pairs.items():
        for turn, name in enumerate(("quiet", "attack")):
            rounds = [pair[turn] for pair in each]
            times = [
                f"{1000 * median(quantiles(one.seconds, n=100)[p - 1] for one in rounds):.1f} ms" for p in (50, 99)
            ]
            ratios = [f"{median(percentiles(each, p)):.2f}" if turn else "1.00" for p in (50, 99)]
            counts = [str(sum(len(one.seconds) for one in rounds)), str(sum(len(one.errors) for one in rounds))]
            memory = f"{max(one.megabytes for one in rounds):.0f} MB"
            rows.append([f"{database}, {name}", str(len(rounds)), *counts, *times, *ratios, memory])
    return table(rows)


if __name__ == "__main__":
    sys.exit(main())
