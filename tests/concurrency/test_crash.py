"""What was acknowledged is never lost: a server is killed in the middle of a load."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from app.db.database import Database
from tests.concurrency.arena import Arena, at, database
from tests.databases import migrate, open_engine
from tests.people import Person
from tests.servers import PATIENCE, clients, serve


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with database(request.param, tmp_path) as url:
        yield await migrate(url)


async def test_acknowledged_bookings_survive_a_killed_server(database_url: str) -> None:
    acknowledged: set[str] = set()
    async with (
        open_engine(database_url) as engine,
        serve(database_url, processes=2, DATABASE_TIMEOUT_SECONDS=PATIENCE) as servers,
        clients(servers) as (doomed, survivor),
    ):
        people = [await Person.register(client, "patient") for client in (doomed, survivor) for _ in range(4)]
        arena = Arena([doomed, survivor], Database(engine), people)
        doctor = await Person.register(survivor, "doctor", email=f"{random.random()}@example.com")
        await doctor.publish(at("0:00"), at("0:00", day=7))

        async def keep_booking(patient: Person) -> None:
            for _ in range(60):
                minute = random.randrange(7 * 24 * 12) * 5
                start = datetime.fromisoformat(at("0:00")) + timedelta(minutes=minute)
                try:
                    answer = await patient.try_to_book(
                        doctor, start.isoformat(), (start + timedelta(minutes=5)).isoformat()
                    )
                except httpx2.TransportError:
                    return  # no answer, no promise
                assert answer.status_code in {201, 409}, answer.text
                if answer.status_code == 201:
                    acknowledged.add(answer.json()["id"])
                if len(acknowledged) == 60:
                    servers[0].kill()

        await asyncio.gather(*map(keep_booking, people))
        assert servers[0].process.poll() is not None
        assert len(acknowledged) > 60, "the other server went on"
        assert await arena.overlaps() == 0
        found: set[str] = set()
        for patient in people:
            path: str | None = "/appointments?limit=100"
            while path:
                answer = await survivor.get(path, headers=patient.headers)
                found |= {each["id"] for each in answer.json()}
                path = answer.links.get("next", {}).get("url")
        assert acknowledged <= found
