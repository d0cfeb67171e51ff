"""A server that gets SIGTERM answers the requests that it has begun, and accepts no others."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from app.db.database import Database
from tests.concurrency.clinic import at, open_database
from tests.databases import migrate, open_engine
from tests.people import Person
from tests.servers import PATIENCE, Server, clients, serve


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with open_database(request.param, tmp_path) as url:
        yield await migrate(url)


async def test_sigterm_under_load_loses_no_request(database_url: str) -> None:
    acknowledged: set[str] = set()
    unanswered = 0
    async with serve(database_url, processes=1, DATABASE_TIMEOUT_SECONDS=PATIENCE) as [server]:
        async with clients([server]) as [client]:
            doctor = await Person.register(client, "doctor")
            await doctor.publish(at("0:00"), at("0:00", day=7))
            patients = [await Person.register(client, "patient") for _ in range(8)]

        async def keep_booking(patient: Person) -> None:
            nonlocal unanswered
            while not unanswered:
                status, body = await book(server, patient, doctor)
                if status == 201:
                    acknowledged.add(json.loads(body)["id"])
                    if len(acknowledged) == 40:
                        server.process.terminate()
                elif status is None:
                    unanswered += 1
                else:
                    assert status == 409, body

        await asyncio.gather(*map(keep_booking, patients))
        # The graceful shutdown takes up to eight seconds, and some seconds may pass before it starts.
        await asyncio.to_thread(server.process.join, 15)
    assert unanswered > 0
    async with open_engine(database_url) as engine, Database(engine).read() as transaction:
        found = {str(each).replace("-", "") for each in await transaction.scalars(text("SELECT id FROM appointments"))}
    # There are no others: a request without a response was not begun.
    assert found == {each.replace("-", "") for each in acknowledged}


async def book(server: Server, patient: Person, doctor: Person) -> tuple[int | None, bytes]:
    """Return the status and the body; the status is ``None`` if the connection was refused.

    An incomplete response is a failure.
    """
    start = datetime.fromisoformat(at("0:00")) + timedelta(minutes=5 * random.randrange(7 * 24 * 12))
    body = json.dumps(
        {
            "doctor_id": doctor.id,
            "start_time": start.isoformat(),
            "end_time": (start + timedelta(minutes=5)).isoformat(),
        }
    ).encode()
    head = (
        f"POST /appointments HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {patient.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            writer.write(head.encode() + body)
            response = await reader.read()
        finally:
            writer.close()
    except ConnectionError:
        return None, b""
    if not response:
        return None, b""
    fields, _, content = response.partition(b"\r\n\r\n")
    [length] = [line for line in fields.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    assert len(content) == int(length.partition(b":")[2])
    return int(fields.split()[1]), content
