from collections.abc import AsyncIterator

import pytest

from app.db.database import Database
from tests.databases import both_databases, open_engine, settings_for
from tests.demo.clinic import DemoClinic, new_database


@pytest.fixture(scope="package", params=both_databases("demo"))
async def clinic(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DemoClinic]:
    """Filled once, because that takes several seconds. Every test must leave it unchanged."""
    async with new_database(request.param, tmp_path_factory.mktemp("demo")) as url, open_engine(url) as engine:
        clinic = DemoClinic(Database(engine), settings_for(url), "")
        clinic.printed = await clinic.fill()
        yield clinic
