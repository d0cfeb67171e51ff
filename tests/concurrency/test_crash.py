"""A server is killed while it serves requests."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from app.db.database import Database
from tests.concurrency.clinic import Clinic, at, open_database
from tests.databases import migrate, open_engine
from tests.people import Person
from tests.servers import PATIENCE, clients, serve


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with open_database(request.param, tmp_path) as url:
        yield await migrate(url)


async def test_acknowledged_bookings_survive_a_killed_server(database_url: str) -> None:
    acknowledged: set[str] = set()
    async with (
        open_engine(database_url) as engine,
        serve(database_url, processes=2, DATABASE_TIMEOUT_SECONDS=PATIENCE) as servers,
        clients(servers) as (killed, survivor),
    ):
        patients = [await Person.register(client, "patient") for client in (killed, survivor) for _ in range(4)]
        clinic = Clinic([killed, survivor], Database(engine), patients)
        doctor = await Person.register(survivor, "doctor", email=f"{random.random()}@example.com")
        await doctor.publish(at("0:00"), at("0:00", day=7))

        async def keep_booking(patient: Person) -> None:
            for _ in range(60):
                minute = random.randrange(7 * 24 * 12) * 5
                start = datetime.fromisoformat(at("0:00")) + timedelta(minutes=minute)
                try:
                    response = await patient.try_to_book(
                        doctor, start.isoformat(), (start + timedelta(minutes=5)).isoformat()
                    )
                except httpx2.TransportError:
                    return  # without a response nothing was acknowledged
                assert response.status_code in {201, 409}, response.text
                if response.status_code == 201:
                    acknowledged.add(response.json()["id"])
                if len(acknowledged) == 60:
                    servers[0].kill()

        await asyncio.gather(*map(keep_booking, patients))
        assert not servers[0].process.is_alive()
        assert len(acknowledged) > 60, "the other server kept working"
        assert await clinic.count_overlaps() == 0
        found: set[str] = set()
        for patient in patients:
            path: str | None = "/appointments?limit=100"
            while path:
                response = await survivor.get(path, headers=patient.headers)
                found |= {each["id"] for each in response.json()}
                path = response.links.get("next", {}).get("url")
        assert acknowledged <= found
