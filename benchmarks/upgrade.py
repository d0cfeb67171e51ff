"""Measure how long the migrations of this version take with a million appointments, and how long writes wait for them.

A PostgreSQL database and an SQLite file get a million appointments in the newest schema, and are then migrated down to
``OLD_REVISION``, the schema of the last release. On PostgreSQL, two connections write all the time while the database
is migrated up again: one inserts accounts, the other appointments. Both pause between their writes. SQLite is migrated
while no server runs.

Claim: on PostgreSQL no write takes longer than 500 ms. The durations are printed. The exit status is 0 if it holds.
"""

import asyncio
import sqlite3
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from time import perf_counter

import uvloop
from sqlalchemy import URL
from sqlalchemy.engine import make_url

from app.db import schema
from benchmarks.clinics import Clinic, load_clinic
from benchmarks.comparing import Comparison, make_parser, record, result_table, stop_on_sigterm
from benchmarks.databases import SHARED_BUFFERS, Connection, as_text, connect_to, create_database, vacuum_and_checkpoint
from tests.databases import migrate, open_engine
from tests.postgres import PostgresServer

OLD_REVISION = "0025"
DOCTORS, PATIENTS, APPOINTMENTS = 2_000, 50, 500  # of each doctor
MAX_WAIT_SECONDS = 0.5
PAUSE_SECONDS = 0.005
ACCOUNT = """
INSERT INTO users (id, email, email_canonical, name, role, password_hash, created_at)
VALUES (gen_random_uuid(), $1, $1, 'New', 'patient', '', now())"""
APPOINTMENT = """
INSERT INTO appointments (id, doctor_id, patient_id, start_time, end_time, busy_start, busy_end, status, created_at)
VALUES (gen_random_uuid(), $1, $2, $3, $4, $3, $4, 'booked', now())"""

type Write = Callable[[Connection, int], Awaitable[object]]


def main(arguments: list[str] | None = None) -> int:
    """Run the measurement and print the results. Return 0 if the claim holds, else 1."""
    options = make_parser("upgrade", "Measure the migrations of a large database.").parse_args(arguments)
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as folder, closing(PostgresServer(shared_buffers=SHARED_BUFFERS)) as server:
        comparisons = [uvloop.run(measure_postgresql(make_url(server.url)))]
        uvloop.run(measure_sqlite(Path(folder) / "clinic.db"))
    print(result_table(comparisons))
    return record("upgrade", comparisons, options.results)


async def measure_postgresql(server: URL) -> Comparison:
    database = await create_database(server, "upgrade")
    url = as_text(database)
    clinic = await load(url)
    await vacuum_and_checkpoint(database)
    new_patient, new_doctor = clinic.patients[0], clinic.doctors[-1]
    begin = datetime(2100, 1, 1, tzinfo=UTC)

    async def add_account(connection: Connection, number: int) -> None:
        await connection.execute(ACCOUNT, f"{number}@new.example.com")

    async def add_appointment(connection: Connection, number: int) -> None:
        start = begin + timedelta(hours=number)
        await connection.execute(APPOINTMENT, new_doctor, new_patient, start, start + timedelta(minutes=30))

    ended = asyncio.Event()
    writers = [asyncio.create_task(write(database, each, ended)) for each in (add_account, add_appointment)]
    await asyncio.sleep(1)
    seconds = await upgrade(url)
    ended.set()
    waits = [wait for writer in writers for wait in await writer]
    print(f"PostgreSQL: {seconds:.1f} s; {len(waits)} writes meanwhile, the longest took {max(waits) * 1000:.0f} ms")
    return Comparison(
        "longest write during the migration of a million appointments, compared with 500 ms: PostgreSQL",
        [max(waits) / MAX_WAIT_SECONDS],
        at_most=1,
    )


async def measure_sqlite(file: Path) -> None:
    sqlite3.connect(file).close()
    url = f"sqlite+aiosqlite:///{file}"
    await load(url)
    print(f"SQLite: {await upgrade(url):.1f} s")


async def load(url: str) -> Clinic:
    await migrate(url)
    clinic = await load_clinic(
        url, now=datetime.now(UTC), doctors=DOCTORS, patients=PATIENTS, appointments=APPOINTMENTS
    )
    async with open_engine(url) as engine:
        await schema.downgrade(engine, OLD_REVISION)
    return clinic


async def upgrade(url: str) -> float:
    begun = perf_counter()
    await migrate(url)
    return perf_counter() - begun


async def write(database: URL, insert: Write, ended: asyncio.Event) -> list[float]:
    """Insert rows one after the other until ``ended`` is set, and return how long each of them took, in seconds."""
    took: list[float] = []
    async with connect_to(database) as connection:
        for number in count():
            if ended.is_set():
                return took
            begun = perf_counter()
            await insert(connection, number)
            took.append(perf_counter() - begun)
            await asyncio.sleep(PAUSE_SECONDS)
    raise AssertionError


if __name__ == "__main__":
    sys.exit(main())
