"""Compare frequent requests on SQLite with the same on PostgreSQL.

Each database has one uvicorn process on loopback and the same clinic. The requests are complete bookings with tokens
and `Idempotency-Key`s, 30 days of a doctor's slots, and a patient's own appointments. Commits do not wait for a disk:
the PostgreSQL server runs without durability, and the SQLite file is in memory if the system has `/dev/shm`.

The databases are measured alternately in every round, in changing order, after a first round that is not counted. Times
are compared within the round. Nothing is claimed: which database is faster depends on the requests and their
concurrency.
"""

import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import uvloop

from benchmarks.booking import send_bookings, spread_over_doctors
from benchmarks.clinics import load_clinic, log_in
from benchmarks.comparing import Comparison, read_options, record, result_table, stop_on_sigterm, take_turns
from benchmarks.crowd import Run, write_request
from benchmarks.growth import list_slot_requests, send_views, slowdown
from tests.databases import migrate, settings_for
from tests.postgres import PostgresServer
from tests.servers import serve

MIN_ROUNDS, DEFAULT_ROUNDS, MAX_ROUNDS = 5, 7, 15
DOCTORS, PATIENTS, APPOINTMENTS = 50, 20, 100
FREE_DOCTORS = 40  # additional doctors without appointments, with whom patients book
BOOKINGS = 150
SHARED_MEMORY = Path("/dev/shm")
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison and print the results. Return 0, because nothing is claimed."""
    options = read_options(
        "engines", "Compare databases.", arguments, minimum=MIN_ROUNDS, default=DEFAULT_ROUNDS, maximum=MAX_ROUNDS
    )
    stop_on_sigterm()
    directory = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=directory) as folder, closing(PostgresServer()) as server:
        urls = {SQLITE: f"sqlite+aiosqlite:///{folder}/clinic.db", POSTGRESQL: server.url}
        comparisons = uvloop.run(compare(urls, Path(folder), options.rounds))
    print(result_table(comparisons))
    return record("engines", comparisons, options.results)


async def compare(urls: dict[str, str], folder: Path, rounds: int) -> list[Comparison]:
    now = datetime.now(UTC)
    contenders: dict[str, dict[str, Callable[[], Awaitable[Run]]]] = {}
    async with AsyncExitStack() as stack:
        for name, url in urls.items():
            await migrate(url)
            clinic = await load_clinic(url, now=now, doctors=DOCTORS, patients=PATIENTS, appointments=APPOINTMENTS)
            free = await load_clinic(url, now=now, doctors=FREE_DOCTORS, patients=PATIENTS, first=DOCTORS)
            tokens, free_tokens = [await log_in(url, each.patients, settings_for(url)) for each in (clinic, free)]
            appointment_requests = [
                write_request("GET", "/appointments?limit=20", headers={"Authorization": f"Bearer {token}"})
                for token in tokens
            ]
            with_types = [number for number, types in enumerate(free.visit_types) if types]
            bookings = spread_over_doctors(free, with_types, dict(zip(free.patients, free_tokens, strict=True)))
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            servers = await stack.enter_async_context(serve(url, 1, stderr=log))
            contenders.setdefault("a booking", {})[name] = partial(send_bookings, servers, bookings, BOOKINGS)
            slot_requests = list(list_slot_requests(clinic, range(DOCTORS)))
            contenders.setdefault("30 days of a doctor's slots", {})[name] = send_views(servers, slot_requests)
            contenders.setdefault("a patient's appointments", {})[name] = send_views(servers, appointment_requests)
        return [
            Comparison(
                f"time of {request}, SQLite compared with PostgreSQL",
                slowdown(await take_turns(each, rounds), SQLITE, POSTGRESQL),
            )
            for request, each in contenders.items()
        ]


if __name__ == "__main__":
    sys.exit(main())
