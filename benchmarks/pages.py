"""What a page costs beside the calls of the API behind it.

A page does what its calls do, those by which a program would find out the same, and makes HTML of it. Page and calls
are asked in-process, past the sockets, as the same person, in turn in every round, on SQLite and on PostgreSQL; after
a first round that does not count. Times are compared within their round, so that what else the machine does meanwhile
cancels out; the table shows medians (and ranges) of ratios.

The claim, which the exit status follows: a page takes at most twice as long as its calls.
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
ASKED = 5  # times a round
TIMES_THE_CALLS = 2.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A page and the calls behind it; in braces are the ids of the world."""

    who: str
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
    """Runs the comparison and prints it; the exit status is 0 if the claim holds."""
    options = read_options(
        "pages",
        "Compare pages with their calls.",
        arguments,
        fewest=MIN_ROUNDS,
        usual=DEFAULT_ROUNDS,
        most=MAX_ROUNDS,
    )
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as folder, closing(PostgresServer()) as server:
        urls = {"SQLite": f"sqlite+aiosqlite:///{folder}/pages.db", "PostgreSQL": server.url}
        comparisons = [
            Comparison(
                f"time of {pair.page}, compared with the calls behind it: {name}", ratios, at_most=TIMES_THE_CALLS
            )
            for name, url in urls.items()
            for pair, ratios in asyncio.run(run(url, options.rounds)).items()
        ]
    print(result_table(comparisons))
    return record("pages", comparisons, options.results)


async def run(url: str, rounds: int) -> dict[Pair, list[float]]:
    """The ratios of each pair, round by round."""
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
        found: dict[Pair, list[float]] = {pair: [] for pair in PAIRS}
        for number in range(rounds + 1):
            for who in (SIGNED_OUT, PATIENT, DOCTOR, ADMIN):
                client.cookies.clear()
                await world.enter(Forms(client), who)
                for pair in PAIRS:
                    if pair.who == who:
                        ratio = await compare(client, world, pair)
                        found[pair] += [ratio] if number else []
        return found


async def compare(client: httpx2.AsyncClient, world: World, pair: Pair) -> float:
    person = world.people.get(pair.who)
    headers = person.headers if person else {}
    page = await ask(client, world.address(pair.page), {"Accept": "text/html"})
    return page / sum([await ask(client, world.address(call), headers) for call in pair.calls])


async def ask(client: httpx2.AsyncClient, where: str, headers: dict[str, str]) -> float:
    """Seconds."""
    seconds = []
    for _ in range(ASKED):
        started = perf_counter()
        answer = await client.get(where, headers=headers)
        seconds.append(perf_counter() - started)
        answer.raise_for_status()
    return median(seconds)


if __name__ == "__main__":
    sys.exit(main())
