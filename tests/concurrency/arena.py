"""Two server processes on one database, and people who use them at once."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from sqlalchemy import text

from app.db.database import Database
from tests.databases import migrate, open_engine, temporary_postgresql
from tests.people import Person
from tests.servers import PATIENCE, clients, serve

RUNNERS = 50
# Not tomorrow: the run may go on over midnight.
FIRST_DAY = (datetime.now(UTC) + timedelta(days=2)).replace(hour=0, minute=0, second=0, microsecond=0)
TAKE_THE_GUARD_AWAY = {
    "sqlite": [
        f"DROP TRIGGER appointments_{whose}_busy_{change}"
        for whose in ("doctor", "patient")
        for change in ("insert", "update")
    ],
    "postgresql": [
        f"ALTER TABLE appointments DROP CONSTRAINT appointments_{whose}_busy" for whose in ("doctor", "patient")
    ],
}
# Found before the function that it shadows. SQLite's lock is not ours to take away.
TAKE_THE_LOCK_AWAY = [
    "CREATE FUNCTION public.pg_advisory_xact_lock(bigint) RETURNS void LANGUAGE sql AS ''",
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$",
]


def at(clock: str, day: int = 0) -> str:
    hour, minute = map(int, clock.split(":"))
    return (FIRST_DAY + timedelta(days=day, hours=hour, minutes=minute)).isoformat()


@dataclass
class Arena:
    """Two servers on one database, and people who use them."""

    clients: list[httpx2.AsyncClient]
    database: Database
    patients: list[Person]

    async def doctor(self) -> Person:
        """A new doctor, open for a week from the first day on."""
        doctor = await Person.register(random.choice(self.clients), "doctor", email=f"{random.random()}@example.com")
        await doctor.publish(at("0:00"), at("0:00", day=7))
        return doctor

    async def admin(self) -> Person:
        """A new administrator."""
        admin = await Person.register(random.choice(self.clients), "patient", email=f"{random.random()}@example.com")
        async with self.database.write() as transaction:
            await transaction.execute(
                text("UPDATE users SET role = 'admin' WHERE email = :email"), {"email": admin.email}
            )
        return await admin.log_in_again()

    async def booked(self, doctor: Person) -> list[tuple[str, str]]:
        """What occupies the doctor's time, as it is in the database."""
        listed = await doctor.get("/doctors/me/appointments", params={"status": "booked", "limit": 100})
        return [(each["start_time"], each["end_time"]) for each in listed.json()]

    async def clear(self) -> None:
        """Forgets everything that was booked."""
        async with self.database.write() as transaction:
            await transaction.execute(text("DELETE FROM appointments"))

    async def overlaps(self) -> int:
        """Pairs of appointments that should not be, in the whole database."""
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
async def open_arena(backend: str, folder: Path, *, guarded: bool) -> AsyncIterator[Arena]:
    async with database(backend, folder) as url, open_engine(url) as engine:
        await migrate(url)
        if not guarded:
            async with Database(engine).write() as transaction:
                for statement in TAKE_THE_GUARD_AWAY[backend] + TAKE_THE_LOCK_AWAY * (backend == "postgresql"):
                    await transaction.execute(text(statement))
        async with (
            serve(url, processes=2, DATABASE_TIMEOUT_SECONDS=PATIENCE) as servers,
            clients(servers) as (one, other),
        ):
            patients = await asyncio.gather(
                *(Person.register((one, other)[number % 2], "patient") for number in range(RUNNERS))
            )
            yield Arena([one, other], Database(engine), list(patients))


@asynccontextmanager
async def database(backend: str, folder: Path) -> AsyncIterator[str]:
    if backend == "sqlite":
        yield f"sqlite+aiosqlite:///{folder}/arena.db"
    else:
        async with temporary_postgresql() as url:
            yield url


type Attempt = Callable[[], Awaitable[httpx2.Response]]


async def race(attempts: Sequence[Attempt], *, stagger: float = 0) -> list[httpx2.Response]:
    """Starts all attempts at once, or spread over ``stagger`` seconds."""
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


def outcomes(answers: list[httpx2.Response]) -> Counter[tuple[int, str]]:
    return Counter((answer.status_code, answer.json().get("code") or answer.json()["status"]) for answer in answers)
