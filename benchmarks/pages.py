"""Compare pages with the API calls that return the same data.

A page reads the same data as these calls and renders HTML. Pages and calls are requested in-process, without sockets,
as the same user, alternately in every round, on SQLite and on PostgreSQL. The first round is not counted. Times are
compared within the round, so other load on the machine affects both sides. The table shows medians (and ranges) of
ratios.

Claim: a page takes at most twice as long as its calls. The exit status is 0 if it holds.
"""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC
from statistics import median
from time import perf_counter

import httpx2

from app.main import create_app
from benchmarks.comparing import Comparison, read_options, record, result_table, stop_on_sigterm
from tests.conftest import SetClock
from tests.databases import migrate, settings_for
from tests.people import make_admin
from tests.postgres import PostgresServer
from tests.web.conftest import Forms
from tests.web.table import ADMIN, DOCTOR, PATIENT, SIGNED_OUT, World

MIN_ROUNDS, DEFAULT_ROUNDS, MAX_ROUNDS = 5, 15, 100
REQUESTS_PER_ROUND = 5  # for each path
MAX_SLOWDOWN = 2.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A page and the calls behind it. Names in braces are ids of ``World``."""

    role: str
    page: str
    calls: tuple[str, ...]


_DAY = "from=2026-12-08T05:00:00Z&to=2026-12-09T05:00:00Z"
_WEEK = "from=2026-12-07T05:00:00Z&to=2026-12-14T05:00:00Z"
_SLOTS = f"/doctors/{{doctor}}/slots?visit_type_id={{visit_type}}&{_WEEK}"
_ME, _FREE, _BOOKED = "/doctors/me", "/doctors/{doctor}/availability?", "/doctors/me/appointments?"
PAIRS = (
    Pair(SIGNED_OUT, "/", ("/search/slots?limit=40",)),
    Pair(SIGNED_OUT, "/with/{doctor}?week=2026-12-08", ("/doctors/{doctor}", "/doctors/{doctor}/visit-types", _SLOTS)),
    Pair(PATIENT, "/my/appointments", ("/appointments",)),
    Pair(PATIENT, "/my/appointments/{visit}", ("/appointments/{visit}",)),
    Pair(DOCTOR, "/practice/day?day=2026-12-08", (_ME, _FREE + _DAY, _BOOKED + _DAY)),
    Pair(DOCTOR, "/practice/week?day=2026-12-08", (_ME, _FREE + _WEEK, _BOOKED + _WEEK)),
    Pair(DOCTOR, "/practice/visits/{visit}", ("/appointments/{visit}",)),
    Pair(ADMIN, "/office/users?role=patient", ("/admin/users?role=patient",)),
    Pair(ADMIN, "/office/trail", ("/admin/audit?limit=100",)),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison and print the results. Return 0 if the claim holds, else 1."""
    options = read_options(
        "pages",
        "Compare pages with the API calls behind them.",
        arguments,
        minimum=MIN_ROUNDS,
        default=DEFAULT_ROUNDS,
        maximum=MAX_ROUNDS,
    )
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as folder, closing(PostgresServer()) as server:
        urls = {"SQLite": f"sqlite+aiosqlite:///{folder}/pages.db", "PostgreSQL": server.url}
        comparisons = [
            Comparison(f"time of {pair.page}, compared with the calls behind it: {name}", ratios, at_most=MAX_SLOWDOWN)
            for name, url in urls.items()
            for pair, ratios in asyncio.run(run(url, options.rounds)).items()
        ]
    print(result_table(comparisons))
    return record("pages", comparisons, options.results)


async def run(url: str, rounds: int) -> dict[Pair, list[float]]:
    """Return the ratios of each pair, one for each round."""
    await migrate(url)
    clock = SetClock()
    app = create_app(settings_for(url), clock=clock)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://bench") as client,
    ):
        resources = app.state.resources
        admin = await make_admin(resources, client, clock.time.astimezone(UTC))
        world = await World.make(resources, client, admin, clock)
        for _ in range(2):
            await world.grow()
        measured: dict[Pair, list[float]] = {pair: [] for pair in PAIRS}
        for number in range(rounds + 1):
            for role in (SIGNED_OUT, PATIENT, DOCTOR, ADMIN):
                client.cookies.clear()
                await world.enter(Forms(client), role)
                for pair in PAIRS:
                    if pair.role == role:
                        ratio = await compare(client, world, pair)
                        measured[pair] += [ratio] if number else []
        return measured


async def compare(client: httpx2.AsyncClient, world: World, pair: Pair) -> float:
    person = world.people.get(pair.role)
    headers = person.headers if person else {}
    page = await measure(client, world.address(pair.page), {"Accept": "text/html"})
    return page / sum([await measure(client, world.address(call), headers) for call in pair.calls])


async def measure(client: httpx2.AsyncClient, path: str, headers: dict[str, str]) -> float:
    """Return the median response time in seconds."""
    seconds = []
    for _ in range(REQUESTS_PER_ROUND):
        started = perf_counter()
        response = await client.get(path, headers=headers)
        seconds.append(perf_counter() - started)
        response.raise_for_status()
    return median(seconds)


if __name__ == "__main__":
    sys.exit(main())
