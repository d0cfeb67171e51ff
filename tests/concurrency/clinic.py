"""A clinic on two server processes with one database, whose users send requests at the same time."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import text

from app.db.database import Database
from tests.databases import migrate, open_engine, temporary_postgresql
from tests.people import Person
from tests.servers import PATIENCE, clients, serve

NUMBER_OF_PATIENTS = 50
# Not tomorrow, because a run may last past midnight.
FIRST_DAY = (datetime.now(UTC) + timedelta(days=2)).replace(hour=0, minute=0, second=0, microsecond=0)
DROP_GUARDS = {
    "sqlite": [
        f"DROP TRIGGER appointments_{party}_busy_{change}"
        for party in ("doctor", "patient")
        for change in ("insert", "update")
    ],
    "postgresql": [
        f"ALTER TABLE appointments DROP CONSTRAINT appointments_{party}_busy" for party in ("doctor", "patient")
    ],
}
# PostgreSQL finds this function before its own. The write lock of SQLite cannot be switched off.
DISABLE_LOCKS = [
    "CREATE FUNCTION public.pg_advisory_xact_lock(bigint) RETURNS void LANGUAGE sql AS ''",
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$",
]


def at(clock: str, day: int = 0) -> str:
    hour, minute = map(int, clock.split(":"))
    return (FIRST_DAY + timedelta(days=day, hours=hour, minutes=minute)).isoformat()


@dataclass
class Clinic:
    """A client for each of two servers, transactions on their database, and patients with accounts."""

    clients: list[httpx2.AsyncClient]
    database: Database
    patients: list[Person]

    async def register_doctor(self) -> Person:
        """Return a new doctor who is open for a week from the first day on."""
        doctor = await Person.register(random.choice(self.clients), "doctor", email=f"{random.random()}@example.com")
        await doctor.publish(at("0:00"), at("0:00", day=7))
        return doctor

    async def register_admin(self) -> Person:
        admin = await Person.register(random.choice(self.clients), "patient", email=f"{random.random()}@example.com")
        async with self.database.write() as transaction:
            await transaction.execute(
                text("UPDATE users SET role = 'admin' WHERE email = :email"), {"email": admin.email}
            )
        return await admin.log_in_again()

    async def list_booked(self, doctor: Person) -> list[tuple[str, str]]:
        """Return the start and the end of the doctor's booked appointments, in order."""
        listed = await doctor.get("/doctors/me/appointments", params={"status": "booked", "limit": 100})
        return [(each["start_time"], each["end_time"]) for each in listed.json()]

    async def clear(self) -> None:
        """Delete all appointments."""
        async with self.database.write() as transaction:
            await transaction.execute(text("DELETE FROM appointments"))

    async def count_overlaps(self) -> int:
        """Count the pairs of booked appointments that overlap for a doctor or a patient."""
        async with self.database.read() as transaction:
            counted: int = await transaction.scalar(
                text("""
                    SELECT count(*) FROM appointments a JOIN appointments b ON a.id < b.id
                      AND (a.doctor_id = b.doctor_id AND a.busy_start < b.busy_end AND b.busy_start < a.busy_end
                        OR a.patient_id = b.patient_id AND a.start_time < b.end_time AND b.start_time < a.end_time)
                    WHERE a.status = 'booked' AND b.status = 'booked'""")
            )
            return counted


@asynccontextmanager
async def open_clinic(backend: str, folder: Path, *, guarded: bool) -> AsyncIterator[Clinic]:
    async with open_database(backend, folder) as url, open_engine(url) as engine:
        await migrate(url)
        if not guarded:
            async with Database(engine).write() as transaction:
                for statement in DROP_GUARDS[backend] + DISABLE_LOCKS * (backend == "postgresql"):
                    await transaction.execute(text(statement))
        async with (
            serve(url, processes=2, DATABASE_TIMEOUT_SECONDS=PATIENCE) as servers,
            clients(servers) as (first, second),
        ):
            patients = await asyncio.gather(
                *(Person.register((first, second)[number % 2], "patient") for number in range(NUMBER_OF_PATIENTS))
            )
            yield Clinic([first, second], Database(engine), list(patients))


@asynccontextmanager
async def open_database(backend: str, folder: Path) -> AsyncIterator[str]:
    if backend == "sqlite":
        yield f"sqlite+aiosqlite:///{folder}/clinic.db"
    else:
        async with temporary_postgresql() as url:
            yield url


type Attempt = Callable[[], Awaitable[httpx2.Response]]


async def race(attempts: Sequence[Attempt], *, stagger: float = 0) -> list[httpx2.Response]:
    """Start all attempts at once, or at random times within ``stagger`` seconds; return the responses in order."""
    start = asyncio.Event()

    async def run(attempt: Attempt) -> httpx2.Response:
        await start.wait()
        await asyncio.sleep(random.random() * stagger)
        return await attempt()

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(run(attempt)) for attempt in attempts]
        await asyncio.sleep(0)
        start.set()
    return [task.result() for task in running]


def count_outcomes(responses: list[httpx2.Response]) -> Counter[tuple[int, str]]:
    """Count the responses by status and by error code, or by the status of the appointment if they succeeded."""
    return Counter((each.status_code, each.json().get("code") or each.json()["status"]) for each in responses)


async def reschedule(person: Person, appointment: dict[str, Any], start: str, **headers: str) -> httpx2.Response:
    return await person.client.post(
        f"/appointments/{appointment['id']}/reschedule",
        headers=person.headers | headers,
        json={"start_time": start},
    )


async def hold(person: Person, doctor: Person, start: str) -> httpx2.Response:
    return await person.post("/holds", {"doctor_id": doctor.id, "start_time": start})
