"""The database records the releases of time-zone data, and older ones are refused."""

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text
from tzdata import IANA_VERSION

from app.cli import main
from app.core.settings import Settings
from app.db.database import Database
from app.jobs.time_zones import finish_release
from app.main import open_resources
from app.repositories.search_bounds import BoundUpdate, save_bounds
from app.repositories.search_offers import list_offers
from app.services import time_zones
from app.services.time_zones import OlderTimeZonesError, apply_release, register_release
from tests.conftest import Register, SetClock
from tests.databases import settings_for
from tests.people import Person

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
LATER = "2999z"


async def read_releases(database: Database) -> dict[str, bool]:
    """Return whether each recorded release has been applied."""
    async with database.read() as transaction:
        rows = await transaction.execute(text("SELECT version, applied_at IS NOT NULL FROM time_zone_releases"))
        return {version: bool(applied) for version, applied in rows}


async def record_release(database: Database, version: str) -> None:
    async with database.write() as transaction:
        insert = "INSERT INTO time_zone_releases VALUES (:version, '2026-01-01 00:00:00.000000', NULL)"
        if transaction.dialect.name == "postgresql":
            insert = insert.replace("'2026-01-01 00:00:00.000000'", "now()")
        await transaction.execute(text(insert), {"version": version})


async def test_release_is_recorded_once(database: Database) -> None:
    for _ in range(2):
        await register_release(database, allow_older=False, now=NOW)
    assert await read_releases(database) == {IANA_VERSION: False}


async def test_newer_release_is_recorded_beside_older_ones(database: Database) -> None:
    await record_release(database, "2025b")
    await register_release(database, allow_older=False, now=NOW)
    assert await read_releases(database) == {"2025b": False, IANA_VERSION: False}


async def test_start_with_older_data_is_refused(settings: Settings, database: Database, clock: SetClock) -> None:
    await record_release(database, LATER)
    with pytest.raises(OlderTimeZonesError, match=f"{LATER}.*{IANA_VERSION}"):
        async with open_resources(settings, clock, None):
            pytest.fail("the application started")
    assert await read_releases(database) == {LATER: False}


async def test_start_with_older_data_can_be_allowed(
    database_url: str, database: Database, clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app.main")
    await record_release(database, LATER)
    settings = settings_for(database_url, allow_older_time_zones=True)
    async with open_resources(settings, clock, None):
        assert f"time zones: IANA {IANA_VERSION}" in caplog.messages
    assert await read_releases(database) == {LATER: False}


async def test_demo_with_older_data_is_refused(
    database_url: str,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    await record_release(database, LATER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert await asyncio.to_thread(main, ["demo"]) == 1
    assert LATER in capsys.readouterr().err


async def test_newer_release_lowers_all_bounds(
    database: Database, register: Register, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_zones, "BATCH", 2)
    doctors = [await register("doctor", name=f"Dr {name}", time_zone="America/Vancouver") for name in "ABC"]
    await try_to_save_bound(database, doctors, "2026-12-08T17:00Z")
    await finish_release(database, clock)
    async with database.read() as transaction:
        offers = await list_offers(transaction, [UUID(doctor.id) for doctor in doctors])
    assert {offer.not_before for offer in offers} == {datetime(1970, 1, 1, tzinfo=UTC)}
    assert await read_releases(database) == {IANA_VERSION: True}


async def test_release_is_applied_once(database: Database, doctor: Person) -> None:
    await apply_release(database, NOW)
    await try_to_save_bound(database, [doctor], "2026-12-08T17:00Z")
    await apply_release(database, NOW)
    async with database.read() as transaction:
        [offer] = await list_offers(transaction, [UUID(doctor.id)])
    assert offer.not_before == datetime(2026, 12, 8, 17, tzinfo=UTC)


async def test_process_with_older_data_saves_no_bounds(database: Database, doctor: Person) -> None:
    await record_release(database, LATER)
    await try_to_save_bound(database, [doctor], "2026-12-08T17:00Z")
    async with database.read() as transaction:
        [offer] = await list_offers(transaction, [UUID(doctor.id)])
    assert offer.not_before == datetime(1970, 1, 1, tzinfo=UTC)


async def try_to_save_bound(database: Database, doctors: list[Person], moment: str) -> None:
    bound = datetime.fromisoformat(moment)
    async with database.write() as transaction:
        offers = await list_offers(transaction, [UUID(doctor.id) for doctor in doctors])
        await save_bounds(
            transaction, [BoundUpdate(offer.id, offer.revision, bound, 0, bound, bound) for offer in offers]
        )
