from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.core.permissions import Actor, Role
from app.core.settings import Settings
from app.db.base import Base
from app.db.database import Database
from app.demo.clinic import fill
from app.models import Appointment, User
from app.repositories.appointments import AppointmentRecord
from app.repositories.doctor_schedules import get_doctor_schedule
from app.scheduling.availability import Rules
from app.scheduling.intervals import Interval, to_instant
from app.scheduling.status import AppointmentStatus
from app.services.conflicts import page_conflicting
from app.services.slots import list_slots
from tests.databases import migrate, temporary_postgresql

# A Monday; Europe, Africa and America change their clocks in the weeks that follow.
NOW = datetime(2026, 10, 19, 10, tzinfo=UTC)
WEEKS = 4
SPAN: Interval = to_instant(NOW - timedelta(weeks=2)), to_instant(NOW + timedelta(weeks=WEEKS))

NOT_BLOCKING = {AppointmentStatus.CANCELLED, AppointmentStatus.NOSHOW}


@dataclass
class DemoClinic:
    """The filled clinic, and the output of ``make demo``."""

    database: Database
    settings: Settings
    printed: str

    async def fill(self, now: datetime = NOW) -> str:
        """Run ``make demo`` and return its output."""
        with redirect_stdout(StringIO()) as printed:
            await fill(self.database, self.settings, now)
        return printed.getvalue()

    async def read_rows(self, *columns: Any) -> list[Any]:
        async with self.database.read() as transaction:
            return list(await transaction.execute(select(*columns)))

    async def list_appointments(self) -> list[Any]:
        return await self.read_rows(Appointment)

    async def list_doctors(self) -> list[Actor]:
        return [
            Actor(each.id, Role.DOCTOR, each.name)
            for each in await self.read_rows(User.id, User.name, User.role)
            if each.role is Role.DOCTOR
        ]

    async def get_rules(self, doctor_id: UUID) -> Rules:
        async with self.database.read() as transaction:
            return (await get_doctor_schedule(transaction, doctor_id, SPAN)).rules

    async def list_conflicting(self, doctor: Actor) -> list[AppointmentRecord]:
        async with self.database.read() as transaction:
            found = await page_conflicting(
                transaction, doctor.id, as_of=NOW, since=None, until=None, statuses=(), after=None, limit=100
            )
        return list(found)

    async def list_slots(self, doctor_id: UUID, visit_type_id: UUID | None) -> list[Interval]:
        async with self.database.read() as transaction:
            _, found = await list_slots(
                transaction,
                doctor_id,
                computation=None,
                visit_type_id=visit_type_id,
                start=NOW,
                end=NOW + timedelta(weeks=WEEKS),
                viewer=None,
                now=NOW,
            )
        return found

    async def take_snapshot(self) -> Any:
        """Return all rows as texts, with names in place of ids, which differ from run to run."""
        rows = {
            table.name: [row._mapping for row in await self.read_rows(table)]
            for table in Base.metadata.sorted_tables
            # Audit events of registrations have ids of their own.
            if table.name != "audit_events"
        }
        names: dict[Any, str] = {}
        for table, identity in (
            ("users", ["email"]),
            ("patients", ["user_id"]),
            ("visit_types", ["doctor_id", "name"]),
            ("appointments", ["doctor_id", "patient_id", "created_at"]),
        ):
            for row in rows[table]:
                names[row["id"]] = " ".join(str(names.get(row[column], row[column])) for column in identity)
        return {
            table: sorted(
                str(
                    {
                        column: names.get(value) if isinstance(value, UUID) else value
                        for column, value in row.items()
                        if column not in {"password_hash", "ring_position"}  # computed from random bytes and from an id
                    }
                )
                for row in found
            )
            for table, found in rows.items()
        }


@asynccontextmanager
async def new_database(backend: str, folder: Path) -> AsyncIterator[str]:
    if backend == "sqlite":
        yield await migrate(f"sqlite+aiosqlite:///{folder}/demo.db")
    else:
        async with temporary_postgresql() as url:
            yield await migrate(url)
