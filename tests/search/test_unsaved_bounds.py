"""A search whose lower bounds cannot be saved."""

from uuid import UUID

import httpx2
import pytest

from app.core.settings import Settings
from app.db.database import Database
from app.repositories.search_bounds import lower_bounds
from tests.conftest import Register
from tests.databases import settings_for


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url, database_timeout_seconds=1)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # on PostgreSQL, saving bounds never waits
async def test_search_is_answered_if_its_bounds_cannot_be_saved(
    client: httpx2.AsyncClient, register: Register, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    doctor = await register("doctor")
    await doctor.publish("2026-12-01T09:00:00Z", "2026-12-01T09:30:00Z")
    async with database.write() as transaction:
        await lower_bounds(transaction, [UUID(doctor.id)])
        response = await client.get("/search/slots")
        assert [each["start_time"] for each in response.json()] == ["2026-12-01T09:00:00Z"]
    assert "lower bounds of a search were not saved" in caplog.text
