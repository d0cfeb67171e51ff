"""The hot paths on SQLite beside the same on PostgreSQL.

One uvicorn process on loopback for each, with the same clinic in both: full bookings with tokens and
`Idempotency-Key`s, 30 days of a doctor's slots, and a patient's own appointments. On both, a commit waits for no disk:
the PostgreSQL server has durability switched off, and the SQLite file lies in memory where there is such a place.

The databases take turns in every round, in changing order, after a first round that does not count; times are compared
within their round. Nothing is claimed: which is quicker depends on what is asked, and on how many ask at once.
"""

import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import uvloop

from benchmarks.booking import book, everywhere
from benchmarks.clinics import load_clinic, log_in
from benchmarks.comparing import Comparison, read_options, record, result_table, stop_on_sigterm, take_turns
from benchmarks.crowd import Run, write_request
from benchmarks.growth import slots, slower, viewing
from tests.databases import migrate, settings_for
from tests.postgres import PostgresServer
from tests.servers import serve

MIN_ROUNDS, DEFAULT_ROUNDS, MAX_ROUNDS = 5, 7, 15
DOCTORS, PATIENTS, APPOINTMENTS = 50, 20, 100
FREE = 40  # more doctors, whom the bookings are with
BOOKINGS = 150
IN_MEMORY = Path("/dev/shm")
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison and prints it; the exit status is 0."""
    options = read_options(
        "engines", "Compare databases.", arguments, fewest=MIN_ROUNDS, usual=DEFAULT_ROUNDS, most=MAX_ROUNDS
    )
    stop_on_sigterm()
    place = IN_MEMORY if IN_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder, closing(PostgresServer()) as server:
        urls = {SQLITE: f"sqlite+aiosqlite:///{folder}/clinic.db", POSTGRESQL: server.url}
        comparisons = uvloop.run(compare(urls, Path(folder), options.rounds))
    print(result_table(comparisons))
    return record("engines", comparisons, options.results)


async def compare(urls: dict[str, str], folder: Path, rounds: int) -> list[Comparison]:
    now = datetime.now(UTC)
    paths: dict[str, dict[str, Callable[[], Awaitable[Run]]]] = {}
    async with AsyncExitStack() as stack:
        for name, url in urls.items():
            await migrate(url)
            clinic = await load_clinic(url, now=now, doctors=DOCTORS, patients=PATIENTS, appointments=APPOINTMENTS)
            free = await load_clinic(url, now=now, doctors=FREE, patients=PATIENTS, first=DOCTORS)
            tokens, of_free = [await log_in(url, each.patients, settings_for(url)) for each in (clinic, free)]
            mine = [
                write_request("GET", "/appointments?limit=20", headers={"Authorization": f"Bearer {token}"})
                for token in tokens
            ]
            with_types = [number for number, types in enumerate(free.visit_types) if types]
            bookings = everywhere(free, with_types, dict(zip(free.patients, of_free, strict=True)))
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            servers = await stack.enter_async_context(serve(url, 1, stderr=log))
            paths.setdefault("a booking", {})[name] = partial(book, servers, bookings, BOOKINGS)
            listing = list(slots(clinic, range(DOCTORS)))
            paths.setdefault("30 days of a doctor's slots", {})[name] = viewing(servers, listing)
            paths.setdefault("a patient's appointments", {})[name] = viewing(servers, mine)
        return [
            Comparison(
                f"time of {what}, SQLite compared with PostgreSQL",
                slower(await take_turns(each, rounds), SQLITE, POSTGRESQL),
            )
            for what, each in paths.items()
        ]


if __name__ == "__main__":
    sys.exit(main())
