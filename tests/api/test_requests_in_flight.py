"""A repeated request while the first one is still running."""

from contextlib import suppress
from uuid import UUID

import httpx2
import pytest

from app.core.settings import Settings
from app.db.database import Database
from app.repositories.idempotency import reserve_key
from tests.conftest import SetClock
from tests.databases import settings_for
from tests.people import Person, assert_problem


class LostError(Exception):
    """Ends the first request without an effect."""


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url, database_timeout_seconds=1)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # on SQLite all writers wait for each other
async def test_repeated_request_is_refused_while_the_first_is_running(
    doctor: Person, patient: Person, database: Database, clock: SetClock
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")

    async def send() -> httpx2.Response:
        body = {"doctor_id": doctor.id, "start_time": "2026-12-08T15:00:00Z"}
        headers = patient.headers | {"Idempotency-Key": "a-key"}
        return await patient.client.post("/appointments", headers=headers, json=body)

    with suppress(LostError):
        async with database.write() as transaction:
            await reserve_key(transaction, UUID(patient.id), "a-key", "what the first one asked for", clock.time)
            waiting = await send()
            raise LostError
    assert_problem(waiting, 409, "request_in_flight")
    assert waiting.headers["retry-after"] == "1"
    assert (await send()).status_code == 201
