"""What ordinary clients notice while others attack.

One server process, on an SQLite file and then on PostgreSQL, with hashing as in production. Four ordinary clients
search doctors, look at slots, book, and list their visits, with a short pause after each answer. Quiet rounds alternate
with rounds in which eight attackers, in a process of their own, do what they can: two send bodies of 9 MB, two JSON
nested as deeply as 64 KB allow, two keep connections open with bodies that come a byte a second, and two try passwords.
Everybody has an address of her own, and rates are limited as they are by default; the attackers have noticed when it
begins to count.
Attackers and server share the machine, so what the attackers compute is noticed too.

Each round under attack is compared with the quiet one before it; the table shows medians, and the highest memory. The
claim, which the exit status follows: under attack the 99th percentile is at most three times as long, without errors.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import httpx2

from app.core.settings import SAFE_MEMORY_KIB, SAFE_PASSES, Settings
from benchmarks.comparing import Comparison, add_rounds, make_parser, record, result_table, stop_on_sigterm, table
from tests.databases import migrate
from tests.people import Person
from tests.postgres import PostgresServer
from tests.servers import Server, serve

CLIENTS = 4
OF_EACH_KIND, TRICKLES, TIMES_AS_LONG = 2, 20, 3.0  # attackers; connections of one who trickles; the claim
FEWEST_ROUNDS, MOST_ROUNDS = 5, 9
ROUND, WARM_UP, PAUSE, LONGEST_ANSWER = 10, 5, 0.12, 30  # seconds
RATES = ("RATE_LIMIT_PER_ADDRESS", "RATE_LIMIT_LOGIN", "RATE_LIMIT_PER_ACCOUNT")
BOUNDS = ("MAX_IN_FLIGHT_PER_CLIENT", "MAX_SEARCH_SECONDS")
VISIT, DAY = timedelta(minutes=5), timedelta(days=1)
LIMITS = {name: str(Settings.model_fields[name.lower()].default) for name in (*RATES, *BOUNDS)}
UNLIMITED = httpx2.Limits(max_connections=None)
BIG_BODY = b"x" * 9_000_000
JSON = {"Content-Type": "application/json"}
DEEP_JSON = b"[" * 32_000 + b"]" * 32_000


@dataclass(slots=True)
class Round:
    """What the ordinary clients saw in one round, and the server's memory."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    megabytes: float = 0


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison and prints it; the exit status is 0 if the claim holds."""
    parser = make_parser("attack", "Attack a server that is in use.")
    add_rounds(parser, fewest=FEWEST_ROUNDS, usual=FEWEST_ROUNDS, most=MOST_ROUNDS)
    parser.add_argument("--against", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.against:
        asyncio.run(attack(options.against))
        return 0
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as folder, closing(PostgresServer()) as postgresql:
        urls = {"SQLite": f"sqlite+aiosqlite:///{Path(folder)}/attack.db", "PostgreSQL": postgresql.url}
        pairs = {name: asyncio.run(compare(url, options.rounds)) for name, url in urls.items()}
    errors = {
        name: {error for pair in rounds for one in pair for error in one.errors} for name, rounds in pairs.items()
    }
    comparisons = [
        Comparison(
            f"99th percentile under attack, to a quiet round: {name}",
            percentiles(rounds, 99),
            at_most=TIMES_AS_LONG,
            also=not errors[name],
        )
        for name, rounds in pairs.items()
    ]
    print(rounds_table(pairs), "", result_table(comparisons), sep="\n")
    print(*(f"An ordinary client was answered: {error}" for error in sorted(set().union(*errors.values()))), sep="\n")
    return record("attack", comparisons, options.results)


def connected(url: str, address: str = "127.0.0.1") -> httpx2.AsyncClient:
    """A client with an address of its own: limits are by address."""
    transport = httpx2.AsyncHTTPTransport(local_address=address, limits=UNLIMITED, verify=False)  # there is no TLS
    return httpx2.AsyncClient(base_url=url, timeout=LONGEST_ANSWER, transport=transport)


async def compare(url: str, rounds: int) -> list[tuple[Round, Round]]:
    """Quiet rounds and rounds under attack, in turn; a first quiet one does not count."""
    hashing = {"PASSWORD_MEMORY_KIB": str(SAFE_MEMORY_KIB), "PASSWORD_PASSES": str(SAFE_PASSES)}
    environment: dict[str, Any] = hashing | LIMITS
    async with serve(await migrate(url), 1, **environment) as [server], AsyncExitStack() as stack:
        clients = [connected(server.url, f"127.0.1.{number + 1}") for number in range(CLIENTS)]
        visitors = [await visitor(await stack.enter_async_context(client)) for client in clients]
        await use(server, visitors, 2)
        pairs = []
        for _ in range(rounds):
            quiet = await use(server, visitors, ROUND)
            async with attackers(server.url):
                await asyncio.sleep(WARM_UP)
                pairs.append((quiet, await use(server, visitors, ROUND)))
        return pairs


async def visitor(client: httpx2.AsyncClient) -> tuple[Person, Person, Iterator[datetime]]:
    """An ordinary client, a doctor of her choice, and times that are free."""
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + DAY
    doctor = await Person.join(client, "doctor", specialty="Dermatology")
    await doctor.open(first.isoformat(), (first + 7 * DAY).isoformat())
    return await Person.join(client, "patient"), doctor, (first + number * VISIT for number in count())


async def use(server: Server, visitors: list[tuple[Person, Person, Iterator[datetime]]], seconds: float) -> Round:
    """Lets the ordinary clients do what they do for so long."""
    seen = Round()
    process = Path(f"/proc/{server.process.pid}")
    (process / "clear_refs").write_text("5")  # the peak is measured anew: proc_pid_clear_refs(5)
    ends = perf_counter() + seconds
    async with asyncio.TaskGroup() as group:
        for each in visitors:
            group.create_task(visit(*each, seen, ends))
    [peak] = [line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM:")]
    seen.megabytes = int(peak.split()[1]) / 1024
    return seen


async def visit(patient: Person, doctor: Person, starts: Iterator[datetime], seen: Round, ends: float) -> None:
    while perf_counter() < ends:
        start = next(starts)
        span = {"from": start.isoformat(), "to": (start + DAY).isoformat()}
        for status, request in (
            (200, patient.get("/doctors", params={"specialty": "Dermatology"})),
            (200, patient.get(f"/doctors/{doctor.id}/slots", params=span)),
            (201, patient.ask(doctor, start.isoformat(), (start + VISIT).isoformat())),
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
async def attackers(url: str) -> AsyncIterator[None]:
    """A process that attacks; it ends by itself should nobody end it."""
    command = [sys.executable, "-m", "benchmarks.attack", "--against", url]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout
        await process.stdout.readline()  # it has begun
        yield
    finally:
        process.terminate()
        await process.wait()


async def attack(url: str) -> None:
    names = (f"{number}@example.com" for number in count())
    kinds: list[Callable[[httpx2.AsyncClient], Coroutine[None, None, object]]] = [
        lambda client: client.post("/appointments", content=BIG_BODY),
        lambda client: client.post("/auth/register", content=DEEP_JSON, headers=JSON),
        lambda client: client.post("/auth/register", content=trickle(), headers=JSON),
        lambda client: client.post("/auth/login", data={"username": next(names), "password": "wrong"}),
    ]
    print("begun", flush=True)
    async with asyncio.timeout(2 * LONGEST_ANSWER), AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for number, kind in enumerate(kinds * OF_EACH_KIND):
            client = await stack.enter_async_context(connected(url, f"127.0.2.{number + 1}"))
            for _ in range(TRICKLES if kind is kinds[2] else 1):
                group.create_task(forever(partial(kind, client)))


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
