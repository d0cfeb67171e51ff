"""The size of pages in a large clinic with long texts."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import insert, text

from app.core.permissions import Role
from app.models import Appointment, Doctor, Patient, User, VisitType
from app.models.search_offer import DoctorLanguage
from app.scheduling.status import AppointmentStatus
from app.scheduling.visits import VisitMode
from tests.conftest import SetClock
from tests.databases import open_engine
from tests.people import Person
from tests.web.conftest import Forms
from tests.web.table import ALL_ROLES, MAX_BYTES, World, pages_of, weigh

pytestmark = pytest.mark.slow

DOCTORS, VISITS_A_DAY, VISIT_TYPES = 500, 300, 30
ESCAPED = "a" + "\"&<>'" * 20
"""Nearly every character takes five bytes in HTML."""
FOUR_BYTES = "\U0001d400" * 100
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


@pytest.fixture
async def world(app: FastAPI, client: httpx2.AsyncClient, admin: Person, clock: SetClock, database_url: str) -> World:
    world = await World.make(app.state.resources, client, admin, clock)
    for _ in range(30):
        doctor = await Person.register(client, "doctor", time_zone="UTC")
        await doctor.set_hours(tuesday=[["08:00", "12:00"]])
    await fill(world, database_url)
    return world


async def fill(world: World, database_url: str) -> None:
    """Add hundreds of doctors, visit types and visits."""
    ids = (UUID(int=number) for number in count(1))
    doctor = UUID(world.ids["doctor"])
    people = [next(ids) for _ in range(DOCTORS + 2)]
    async with open_engine(database_url) as engine, engine.begin() as connection:
        await connection.execute(
            insert(User),
            [
                {
                    "id": each,
                    "email": f"{each}@example.com",
                    "email_canonical": f"{each}@example.com",
                    "name": "Wei Liu",
                    "role": Role.DOCTOR if number < DOCTORS else Role.PATIENT,
                    "password_hash": "",
                    "created_at": NOW,
                }
                for number, each in enumerate(people)
            ],
        )
        await connection.execute(
            insert(Patient),
            [
                {"id": each, "user_id": each, "name": "Wei Liu", "name_key": "wei liu", "created_at": NOW}
                for each in people[DOCTORS:]
            ],
        )
        await connection.execute(
            insert(Doctor),
            [
                {
                    "id": each,
                    "specialty": f"{number:03}",
                    "time_zone": "UTC",
                    "approved_at": NOW,
                    "name_key": "wei liu",
                    "specialty_key": f"{number:03}",
                }
                for number, each in enumerate(people[:DOCTORS])
            ],
        )
        await connection.execute(
            insert(DoctorLanguage),
            [
                {"language": f"x{chr(97 + n % 26)}-{n:04}-abcdefgh-abcdefgh", "doctor_id": d}
                for n, d in enumerate(people[:DOCTORS])
            ],
        )
        await connection.execute(
            insert(VisitType),
            [
                {
                    "id": next(ids),
                    "doctor_id": doctor,
                    "name": "Check-up",
                    "duration_minutes": 60,
                    "buffer_before_minutes": 0,
                    "buffer_after_minutes": 0,
                    "mode": VisitMode.IN_PERSON,
                    "min_notice_minutes": 0,
                    "created_at": NOW,
                }
                for _ in range(VISIT_TYPES)
            ],
        )
        await connection.execute(
            insert(Appointment), [*make_visits(ids, doctor, UUID(world.ids["patient"]), people[-1])]
        )
        # Autovacuum does this soon after so many inserts.
        await connection.execute(text("ANALYZE"))


def make_visits(ids: Iterator[UUID], doctor: UUID, patient: UUID, other: UUID) -> Iterator[dict[str, Any]]:
    """Return rows of visits of five minutes: booked where the doctor is free, otherwise cancelled."""
    for day in range(6, 13):
        start = datetime.combine(date(2026, 12, day), datetime.min.time(), UTC)
        for number in range(VISITS_A_DAY):
            begins = start + timedelta(minutes=5 * (number % 288))
            is_booked = number < 288 and not 13 <= begins.hour < 19
            yield {
                "id": next(ids),
                "doctor_id": doctor,
                "patient_id": other if is_booked else patient,
                "start_time": begins,
                "end_time": begins + timedelta(minutes=5),
                "busy_start": begins,
                "busy_end": begins + timedelta(minutes=5),
                "status": AppointmentStatus.BOOKED if is_booked else AppointmentStatus.CANCELLED,
                "created_at": NOW,
                "cancelled_at": None if is_booked else NOW,
                "cancelled_by": None if is_booked else patient,
            }


async def write_texts(database_url: str, name: str) -> None:
    """Put this name, of a hundred characters, into all texts. Specialties stay different from each other."""
    columns = {"name": name, "specialty": name[:97], "bio": name * 20, "reason": name * 5}
    async with open_engine(database_url) as engine, engine.begin() as connection:
        for table, changes in {
            "users": "name = :name",
            "patients": "name = :name",
            "doctors": "bio = :bio, specialty = substr(coalesce(specialty_key, ''), 1, 3) || cast(:specialty AS text)",
            "visit_types": "name = :name",
            "appointments": "reason = :reason, cancel_reason = :reason",
            "time_off": "reason = :reason",
        }.items():
            await connection.execute(text(f"UPDATE {table} SET {changes}"), columns)


async def test_pages_of_a_large_clinic_stay_light(
    forms: Forms, client: httpx2.AsyncClient, world: World, database_url: str
) -> None:
    failures = []
    for letters, name in (("escaped", ESCAPED), ("four bytes", FOUR_BYTES)):
        await write_texts(database_url, name[:100])
        for role in ALL_ROLES:
            client.cookies.clear()
            await world.enter(forms, role)
            for path, _ in pages_of(role):
                response = await client.get(world.address(path), headers={"Accept": "text/html"})
                weight = await weigh(client, response)
                if response.status_code >= 500 or weight > MAX_BYTES:
                    failures.append(f"{letters}, {role} on {path}: status {response.status_code}, {weight} bytes")
    assert not failures
