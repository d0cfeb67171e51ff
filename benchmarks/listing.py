"""Measure how long the application takes to list a doctor's slots, including the database.

Two doctors have the same realistic hours: Monday to Friday, 08:00 to 12:00 and 13:00 to 17:00 in New York, with visits
of 20 minutes and a buffer of 10 minutes after them. One has no bookings, the other 300 in the next 30 days. `GET
/doctors/{id}/slots` is called in-process, without sockets, for the empty week, the empty 30 days and the booked 30
days, in every round, on SQLite and on PostgreSQL. The first round is not counted. Times are compared within the round,
so other load on the machine affects both sides. The table shows medians (and ranges) of ratios to the empty week.

Then 99,700 bookings of 199 other doctors are added and the same is measured again.

Claim: with and without the other bookings, 30 days with 300 bookings take at most 3 times as long as the empty week.
The exit status is 0 if it holds.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from itertools import batched
from random import Random
from statistics import median
from time import perf_counter
from uuid import UUID

import httpx2
from sqlalchemy import insert, text

from app.db.database import Database
from app.main import create_app
from app.models import Appointment, Doctor, Patient, User
from benchmarks.comparing import Comparison, ratios, read_options, record, result_table, spread, stop_on_sigterm, table
from tests.databases import migrate, open_engine, settings_for
from tests.people import Person
from tests.postgres import PostgresServer

NOW = datetime(2026, 10, 12, 9, tzinfo=UTC)
BOOKINGS, OTHER_DOCTORS, OTHER_BOOKINGS = 300, 199, 99_700
HOURS = [["08:00", "12:00"], ["13:00", "17:00"]]
WEEK = dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday"), HOURS)
EMPTY_WEEK, EMPTY_MONTH, BOOKED_MONTH = "empty week", "empty 30 days", f"30 days, {BOOKINGS} bookings"
MIN_ROUNDS, DEFAULT_ROUNDS, MAX_ROUNDS = 5, 15, 100
REQUESTS_PER_ROUND = 5  # for each span
MAX_GROWTH = 3.0

type Times = dict[str, list[float]]
type Paths = dict[str, str]


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison and print the results. Return 0 if the claim holds, else 1."""
    options = read_options(
        "listing",
        "Compare listings of slots.",
        arguments,
        minimum=MIN_ROUNDS,
        default=DEFAULT_ROUNDS,
        maximum=MAX_ROUNDS,
    )
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as folder, closing(PostgresServer()) as server:
        urls = {"SQLite": f"sqlite+aiosqlite:///{folder}/listing.db", "PostgreSQL": server.url}
        measured = {name: asyncio.run(run(url, options.rounds)) for name, url in urls.items()}
    rows = [["database", "bookings", EMPTY_WEEK, EMPTY_MONTH, BOOKED_MONTH]]
    comparisons = []
    for name, (before, after) in measured.items():
        for bookings, times in ((BOOKINGS, before), (BOOKINGS + OTHER_BOOKINGS, after)):
            empty, booked = (ratios(times[it], times[EMPTY_WEEK]) for it in (EMPTY_MONTH, BOOKED_MONTH))
            rows.append([name, f"{bookings:,}", "1.0", spread(empty, 1), spread(booked, 1)])
            description = f"{BOOKED_MONTH}, compared with an empty week: {name}, {bookings:,} bookings in all"
            comparisons.append(Comparison(f"time of {description}", booked, at_most=MAX_GROWTH))
    print("Time of a listing of slots compared with an empty week; median (and range) of ratios:\n")
    print(table(rows), "", result_table(comparisons), sep="\n")
    return record("listing", comparisons, options.results)


async def run(url: str, rounds: int) -> tuple[Times, Times]:
    """Return the times before and after the bookings of other doctors are added."""
    await migrate(url)
    async with open_engine(url) as engine, serving(url) as client:
        database = Database(engine)
        patient = await Person.register(client, "patient")
        free, booked = [await open_practice(client) for _ in range(2)]
        await add_bookings(database, client, UUID(booked[0].id), booked[1], [UUID(patient.id)])
        paths = {
            EMPTY_WEEK: slots_path(*free, days=7),
            EMPTY_MONTH: slots_path(*free, days=30),
            BOOKED_MONTH: slots_path(*booked, days=30),
        }
        before = await measure(client, paths, rounds)
        await add_other_bookings(database)
        return before, await measure(client, paths, rounds)


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(settings_for(url), clock=lambda: NOW)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://bench") as client,
    ):
        yield client


async def open_practice(client: httpx2.AsyncClient) -> tuple[Person, str]:
    doctor = await Person.register(client, "doctor", time_zone="America/New_York")
    hours_response = await client.put("/doctors/me/hours", headers=doctor.headers, json=WEEK)
    body = {"name": "Check-up", "duration_minutes": 20, "buffer_after_minutes": 10}
    visit_type_response = await doctor.post("/doctors/me/visit-types", body)
    hours_response.raise_for_status()
    return doctor, visit_type_response.raise_for_status().json()["id"]


def slots_path(doctor: Person, visit_type: str, *, days: int) -> str:
    until = (NOW + timedelta(days=days)).isoformat().replace("+00:00", "Z")
    return f"/doctors/{doctor.id}/slots?visit_type_id={visit_type}&to={until}"


def row(number: int, doctor: UUID, patient: UUID, visit_type: UUID | None, start: datetime) -> dict[str, object]:
    end = start + timedelta(minutes=20)
    return {
        "id": UUID(int=number),
        "doctor_id": doctor,
        "patient_id": patient,
        "visit_type_id": visit_type,
        "start_time": start,
        "end_time": end,
        "busy_start": start,
        "busy_end": end + timedelta(minutes=10),
        "status": "booked",
        "created_at": NOW,
    }


async def add_bookings(
    database: Database, client: httpx2.AsyncClient, doctor: UUID, visit_type: str, patients: Sequence[UUID]
) -> None:
    """Book 300 of the slots in the next 30 days. A fixed seed chooses the same slots in every run."""
    until = (NOW + timedelta(days=30)).isoformat().replace("+00:00", "Z")
    listed = (await client.get(f"/doctors/{doctor}/slots?visit_type_id={visit_type}&to={until}")).json()
    starts = [datetime.fromisoformat(each["start_time"]) for each in Random(20261012).sample(listed, BOOKINGS)]
    async with database.write() as transaction:
        rows = [row(number, doctor, patients[0], UUID(visit_type), start) for number, start in enumerate(starts, 1)]
        await transaction.execute(insert(Appointment), rows)


async def add_other_bookings(database: Database) -> None:
    """Add other doctors and patients with appointments that do not overlap."""
    doctors = [UUID(int=10**9 + number) for number in range(OTHER_DOCTORS)]
    patients = [UUID(int=10**10 + number) for number in range(OTHER_DOCTORS)]
    async with database.write() as transaction:
        people = [
            {"id": id_, "email": str(id_), "email_canonical": str(id_), "name": "A", "role": role, "password_hash": ""}
            | {"created_at": NOW}
            for role, ids in (("doctor", doctors), ("patient", patients))
            for id_ in ids
        ]
        await transaction.execute(insert(User), people)
        records = [{"id": id_, "user_id": id_, "name": "A", "name_key": "a", "created_at": NOW} for id_ in patients]
        await transaction.execute(insert(Patient), records)
        await transaction.execute(insert(Doctor), [{"id": id_, "time_zone": "UTC", "name_key": "a"} for id_ in doctors])
    for numbers in batched(range(OTHER_BOOKINGS), 2000):
        rows = []
        for number in numbers:
            hour, index = divmod(number, OTHER_DOCTORS)
            patient = patients[(index + hour) % OTHER_DOCTORS]
            start = NOW + timedelta(hours=hour)
            rows.append(row(10**6 + number, doctors[index], patient, None, start))
        async with database.write() as transaction:
            await transaction.execute(insert(Appointment), rows)
    async with database.write() as transaction:
        await transaction.execute(text("ANALYZE"))


async def measure(client: httpx2.AsyncClient, paths: Paths, rounds: int) -> Times:
    times: Times = {name: [] for name in paths}
    for number in range(rounds + 1):
        for name, path in paths.items():
            seconds = []
            for _ in range(REQUESTS_PER_ROUND):
                started = perf_counter()
                response = await client.get(path)
                seconds.append(perf_counter() - started)
                response.raise_for_status()
            if number:
                times[name].append(median(seconds))
    return times


if __name__ == "__main__":
    sys.exit(main())
