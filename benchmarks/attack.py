"""What ordinary clients notice while others attack.

One server process, on an SQLite file and then on PostgreSQL, with hashing as in production. Four ordinary clients
search doctors, look at slots, book, and list their visits, with a short pause after each answer. Quiet rounds alternate
with rounds in which attackers, in a process of their own, do what they can. In pairs, they send bodies of 9 MB, JSON
nested as deeply as 64 KB allow, bodies that come a byte a second, 30 MB of headers, and passwords that they try; 150
searches come from one address at once; 40 accounts of one address keep changing their passwords; a doctor lists 100
patients in a loop; the next slot, and a year of slots, of a doctor who is booked out are asked for in a loop; and 40
patients of one address keep trying to book a doctor who has reached a limit for the day.
Everybody has an address of their own, and rates are limited as they are by default; the attackers have noticed when it
begins to count. Attackers would have machines of their own, too, so here their process has a lower priority than the
server; what they compute is noticed all the same.

Each round under attack is compared with the quiet one before it; the table shows medians, and the highest memory. The
claims, which the exit status follows: under attack the 99th percentile is at most three times as long, without errors,
memory grows by at most MAX_GROWTH, and the audit trail by at most MAX_ROWS_A_MINUTE.
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
from benchmarks.comparing import Comparison, add_rounds, make_parser, record, result_table, stop_on_sigterm, table
from tests import databases
from tests.databases import migrate
from tests.people import Person
from tests.postgres import PostgresServer
from tests.servers import Server, serve

CLIENTS = 4
OF_EACH_KIND, TRICKLES, TIMES_AS_LONG = 2, 20, 3.0  # attackers; connections of one who trickles; the claim
MIN_ROUNDS, MAX_ROUNDS = 5, 9
ROUND, WARM_UP, PAUSE, MAX_ANSWER = 10, 5, 0.12, 30  # seconds
RATES = ("RATE_LIMIT_PER_ADDRESS", "RATE_LIMIT_LOGIN", "RATE_LIMIT_PER_ACCOUNT")
BOUNDS = ("MAX_IN_FLIGHT_PER_CLIENT", "MAX_SEARCH_SECONDS", "MAX_CONNECTIONS", "MAX_CONNECTIONS_PER_ADDRESS")
SEARCHES, ACCOUNTS, PATIENTS = 150, 40, 100  # at once from one address; that change passwords; that a doctor lists
PER_ADDRESS = 10  # people who register from one address without meeting its limit
MAX_GROWTH, MAX_ROWS_A_MINUTE = 100, 3000  # megabytes; rows of the audit trail
VISIT, DAY = timedelta(minutes=5), timedelta(days=1)
OPEN, YEAR, LISTING = timedelta(hours=8), 366 * DAY, 61 * DAY  # each day, of the doctor who is booked out
KINDS = (
    "bodies", "json", "trickles", "passwords", "headers", "searches", "changes", "patients", "next slot", "slots",
    "bookings",
)  # fmt: skip
LIMITS = {name: str(Settings.model_fields[name.lower()].default) for name in (*RATES, *BOUNDS)}
UNLIMITED = httpx2.Limits(max_connections=None)
BIG_BODY = b"x" * 9_000_000
JSON = {"Content-Type": "application/json"}
DEEP_JSON = b"[" * 32_000 + b"]" * 32_000
HEADER = b"X-Header: %s\r\n" % (b"x" * 1000)
HEADERS = 30_000_000 // len(HEADER)


@dataclass(slots=True)
class Targets:
    """Accounts to attack with, and doctors to attack."""

    accounts: list[str]
    doctor: str
    """The token of one with many patients."""
    limited_doctor: str
    """The same one's id; there is a limit for each day."""
    full_doctor: str
    """The id of one who is booked out for a year."""
    first: str
    """When the year, and the limited doctor's day, begin."""


@dataclass(slots=True)
class Round:
    """What the ordinary clients saw in one round, the server's memory, and the growth of its audit trail."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    megabytes: float = 0
    rows_a_minute: float = 0


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison and prints it; the exit status is 0 if the claim holds."""
    parser = make_parser("attack", "Attack a server that is in use.")
    add_rounds(parser, fewest=MIN_ROUNDS, usual=MIN_ROUNDS, most=MAX_ROUNDS)
    parser.add_argument("--only", action="append", choices=KINDS, help="an attack to make, instead of all of them")
    parser.add_argument("--against", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    kinds = options.only or KINDS
    if options.against:
        os.nice(10)
        asyncio.run(attack(options.against, kinds, Targets(**json.loads(sys.stdin.readline()))))
        return 0
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as folder, closing(PostgresServer()) as postgresql:
        urls = {"SQLite": f"sqlite+aiosqlite:///{Path(folder)}/attack.db", "PostgreSQL": postgresql.url}
        pairs = {name: asyncio.run(compare(url, kinds, options.rounds)) for name, url in urls.items()}
    errors = {
        name: {error for pair in rounds for one in pair for error in one.errors} for name, rounds in pairs.items()
    }
    excesses = {name: list(find_excesses(rounds)) for name, rounds in pairs.items()}
    comparisons = [
        Comparison(
            f"99th percentile under attack, compared with a quiet round: {name}",
            percentiles(rounds, 99),
            at_most=TIMES_AS_LONG,
            also=not errors[name] and not excesses[name],
        )
        for name, rounds in pairs.items()
    ]
    print(rounds_table(pairs), "", result_table(comparisons), sep="\n")
    print(*(f"An ordinary client was answered: {error}" for error in sorted(set().union(*errors.values()))), sep="\n")
    print(*(f"{name}: {excess}" for name in pairs for excess in excesses[name]), sep="\n")
    return record("attack", comparisons, options.results)


def find_excesses(pairs: list[tuple[Round, Round]]) -> Iterator[str]:
    """What grew by more than is claimed."""
    quiet, attacked = [max(pair[turn].megabytes for pair in pairs) for turn in (0, 1)]
    if attacked - quiet > MAX_GROWTH:
        yield f"memory grew from {quiet:.0f} to {attacked:.0f} MB"
    rows = median(under_attack.rows_a_minute for _, under_attack in pairs)
    if rows > MAX_ROWS_A_MINUTE:
        yield f"the audit trail grew by {rows:.0f} rows a minute"


def open_client(url: str, address: str = "127.0.0.1") -> httpx2.AsyncClient:
    """A client with an address of its own: limits are by address."""
    transport = httpx2.AsyncHTTPTransport(local_address=address, limits=UNLIMITED, verify=False)  # there is no TLS
    return httpx2.AsyncClient(base_url=url, timeout=MAX_ANSWER, transport=transport)


async def compare(url: str, kinds: Sequence[str], rounds: int) -> list[tuple[Round, Round]]:
    """Quiet rounds and rounds under attack, in turn; a first quiet one does not count."""
    hashing = {"PASSWORD_MEMORY_KIB": str(OWASP_MEMORY_KIB), "PASSWORD_PASSES": str(OWASP_PASSES)}
    environment: dict[str, Any] = hashing | LIMITS
    async with (
        serve(await migrate(url), 1, **environment) as [server],
        databases.open_engine(url) as engine,
        AsyncExitStack() as stack,
    ):
        clients = [open_client(server.url, f"127.0.1.{number + 1}") for number in range(CLIENTS)]
        visitors = [await visitor(await stack.enter_async_context(client)) for client in clients]
        targets = await prepare(server.url, engine)
        await use(server, engine, visitors, 2)
        pairs = []
        for _ in range(rounds):
            quiet = await use(server, engine, visitors, ROUND)
            async with attackers(server.url, kinds, targets):
                await asyncio.sleep(WARM_UP)
                pairs.append((quiet, await use(server, engine, visitors, ROUND)))
        return pairs


async def prepare(url: str, engine: AsyncEngine) -> Targets:
    """Registers those whom the attackers need."""
    people: list[Person] = []
    async with open_client(url, "127.0.1.250") as client:
        doctor = await Person.register(client, "doctor")
        first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + DAY
        await doctor.publish(first.isoformat(), (first + DAY).isoformat())
        for number in range((ACCOUNTS + PATIENTS) // PER_ADDRESS):
            async with open_client(url, f"127.0.3.{number + 1}") as registering:
                people += [await Person.register(registering, "patient") for _ in range(PER_ADDRESS)]
                for patient in people[max(ACCOUNTS, number * PER_ADDRESS) :]:
                    start = first + (len(people) - people.index(patient)) * VISIT + number * PER_ADDRESS * VISIT
                    await patient.book(doctor, start.isoformat(), (start + VISIT).isoformat())
        await doctor.update_profile(daily_limit=1)
        full_doctor = await Person.register(client, "doctor")
        await full_doctor.update_profile(default_visit_minutes=VISIT // timedelta(minutes=1))
        await full_doctor.publish(first.isoformat(), (first + OPEN).isoformat(), "FREQ=DAILY")
    await fill(Database(engine), UUID(full_doctor.id), UUID(people[0].id), first)
    accounts = [each.token for each in people[:ACCOUNTS]]
    return Targets(accounts, doctor.token, doctor.id, full_doctor.id, first.isoformat())


async def fill(database: Database, doctor: UUID, patient: UUID, first: datetime) -> None:
    """Books the doctor out for a year, with one patient."""
    starts = (first + day * DAY + number * VISIT for day in range(YEAR // DAY) for number in range(OPEN // VISIT))
    rows = (
        {
            "id": UUID(int=number),
            "doctor_id": doctor,
            "patient_id": patient,
            "start_time": start,
            "end_time": start + VISIT,
            "busy_start": start,
            "busy_end": start + VISIT,
            "status": "booked",
            "created_at": first,
        }
        for number, start in enumerate(starts, 1)
    )
    async with database.write() as transaction:
        for some in batched(rows, 2000):
            await transaction.execute(insert(Appointment), some)


async def visitor(client: httpx2.AsyncClient) -> tuple[Person, Person, Iterator[datetime]]:
    """An ordinary client, a doctor of her choice, and times that are free."""
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + DAY
    doctor = await Person.register(client, "doctor", specialty="Dermatology")
    await doctor.publish(first.isoformat(), (first + 7 * DAY).isoformat())
    return await Person.register(client, "patient"), doctor, (first + number * VISIT for number in count())


async def use(
    server: Server, engine: AsyncEngine, visitors: list[tuple[Person, Person, Iterator[datetime]]], seconds: float
) -> Round:
    """Lets the ordinary clients do what they do for so long."""
    seen = Round()
    process = Path(f"/proc/{server.process.pid}")
    (process / "clear_refs").write_text("5")  # the peak is measured anew: proc_pid_clear_refs(5)
    rows = await count_rows(engine)
    ends = perf_counter() + seconds
    async with asyncio.TaskGroup() as group:
        for each in visitors:
            group.create_task(visit(*each, seen, ends))
    [peak] = [line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM:")]
    seen.megabytes = int(peak.split()[1]) / 1024
    seen.rows_a_minute = (await count_rows(engine) - rows) * 60 / seconds
    return seen


async def count_rows(engine: AsyncEngine) -> int:
    """Of the audit trail."""
    async with engine.connect() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM audit_events")) or 0)


async def visit(patient: Person, doctor: Person, starts: Iterator[datetime], seen: Round, ends: float) -> None:
    while perf_counter() < ends:
        start = next(starts)
        span = {"from": start.isoformat(), "to": (start + DAY).isoformat()}
        for status, request in (
            (200, patient.get("/doctors", params={"specialty": "Dermatology"})),
            (200, patient.get(f"/doctors/{doctor.id}/slots", params=span)),
            (201, patient.try_to_book(doctor, start.isoformat(), (start + VISIT).isoformat())),
            (200, patient.get("/appointments", params={"limit": 20})),
        ):
            began = perf_counter()
            try:
                answer = await request
                if answer.status_code != status:
                    seen.errors.append(f"{answer.status_code} {answer.text}")
            except httpx2.HTTPError as error:
                seen.errors.append(repr(error))
            seen.seconds.append(perf_counter() - began)
            await asyncio.sleep(PAUSE)


@asynccontextmanager
async def attackers(url: str, kinds: Sequence[str], targets: Targets) -> AsyncIterator[None]:
    """A process that attacks; it ends by itself should nobody end it."""
    command = [sys.executable, "-m", "benchmarks.attack", "--against", url, *(f"--only={kind}" for kind in kinds)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=1024 * 1024)
    try:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(asdict(targets)).encode() + b"\n")
        await process.stdout.readline()  # it has begun
        yield
    finally:
        process.terminate()
        await process.wait()


async def attack(url: str, chosen: Sequence[str], targets: Targets) -> None:
    names = (f"{number}@example.com" for number in count())
    change = {"current_password": "wrong", "new_password": "correct horse battery"}
    changes = [
        partial(lambda token, client: client.post("/auth/change-password", json=change, headers=bearer(token)), token)
        for token in targets.accounts
    ]
    full_doctor, first = f"/doctors/{targets.full_doctor}", datetime.fromisoformat(targets.first)
    listings = [
        {"from": begin.isoformat(), "to": (begin + LISTING).isoformat()}
        for begin in (first + number * LISTING for number in range(YEAR // LISTING))
    ]
    # What is done from an address of its own, by how many at once, and from how many such addresses.
    kinds: dict[str, tuple[int, int, Sequence[Callable[[httpx2.AsyncClient], Coroutine[None, None, object]]]]] = {
        "bodies": (1, OF_EACH_KIND, [lambda client: client.post("/appointments", content=BIG_BODY)]),
        "json": (1, OF_EACH_KIND, [lambda client: register(client, DEEP_JSON)]),
        "trickles": (TRICKLES, OF_EACH_KIND, [lambda client: register(client, trickle())]),
        "passwords": (1, OF_EACH_KIND, [lambda client: log_in(client, next(names))]),
        "headers": (1, OF_EACH_KIND, [lambda _: send_headers(url)]),
        "searches": (SEARCHES, 1, [lambda client: client.get("/search/slots", params={"between": "03:00-03:05"})]),
        "changes": (1, 1, changes),
        "patients": (1, 1, [lambda client: list_patients(client, targets.doctor)]),
        "next slot": (1, 1, [lambda client: client.get(f"{full_doctor}/next-slot", params={"from": targets.first})]),
        "slots": (1, 1, [partial(list_slots, f"{full_doctor}/slots", listing) for listing in listings]),
        "bookings": (1, 1, [partial(book, token, targets) for token in targets.accounts]),
    }
    addresses = count(1)
    print("begun", flush=True)
    async with asyncio.timeout(2 * MAX_ANSWER), AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for at_once, times, sends in map(kinds.__getitem__, chosen):
            for _ in range(times):
                client = await stack.enter_async_context(open_client(url, f"127.0.2.{next(addresses)}"))
                for send in (*sends,) * at_once:
                    group.create_task(forever(partial(send, client)))


async def register(client: httpx2.AsyncClient, body: bytes | AsyncIterator[bytes]) -> None:
    await client.post("/auth/register", content=body, headers=JSON)


async def log_in(client: httpx2.AsyncClient, name: str) -> None:
    await client.post("/auth/login", data={"username": name, "password": "w"})


async def list_patients(client: httpx2.AsyncClient, doctor: str) -> None:
    await client.get("/doctors/me/appointments?limit=100", headers=bearer(doctor))


async def list_slots(path: str, listing: dict[str, str], client: httpx2.AsyncClient) -> None:
    await client.get(path, params=listing)


async def book(token: str, targets: Targets, client: httpx2.AsyncClient) -> None:
    body = {"doctor_id": targets.limited_doctor, "start_time": targets.first}
    await client.post("/appointments", json=body, headers=bearer(token))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def send_headers(url: str) -> None:
    """30 MB of them, as long as the server takes them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx2.URL(url).port)
    with suppress(OSError), closing(writer):
        writer.write(b"GET /doctors HTTP/1.1\r\nHost: x\r\n")
        for _ in range(HEADERS):
            writer.write(HEADER)
            await writer.drain()
        writer.write(b"\r\n")
        await reader.read(1)


async def forever(send: Callable[[], Coroutine[None, None, object]]) -> None:
    while True:
        with suppress(httpx2.HTTPError):  # a server may well hang up
            await send()


async def trickle() -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(1)


def percentiles(pairs: list[tuple[Round, Round]], percent: int) -> list[float]:
    """Under attack, to the quiet round before."""
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
