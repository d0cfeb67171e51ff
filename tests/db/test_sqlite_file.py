"""An SQLite file that is created, deleted or replaced while the server runs."""

import logging
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import text

from app.core.errors import DomainError
from app.db.database import Database
from app.db.schema import UnavailableDatabaseError, ensure_newest, upgrade
from app.routers import health
from tests.conftest import Register
from tests.databases import open_engine
from tests.people import PASSWORD, Person, assert_problem


@pytest.fixture
def backend() -> str:
    return "sqlite"


@pytest.fixture
def path(database_url: str) -> Path:
    return Path(database_url.removeprefix("sqlite+aiosqlite:///"))


def delete(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()


def replace_by_copy(path: Path) -> None:
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    copy.replace(path)


def replace_by_empty(path: Path) -> None:
    delete(path)
    path.touch()


def read_content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


CHANGES = [delete, replace_by_copy, replace_by_empty]


async def send_registration(client: httpx2.AsyncClient, name: str) -> httpx2.Response:
    body = {"email": f"{name}@example.com", "password": PASSWORD, "name": name, "role": "patient"}
    return await client.post("/auth/register", json=body)


@pytest.mark.parametrize("change", CHANGES)
async def test_no_change_is_acknowledged_after_the_file_was_deleted_or_replaced(
    client: httpx2.AsyncClient,
    register: Register,
    patient: Person,
    path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
) -> None:
    monkeypatch.setattr(health, "CACHE_SECONDS", 0)
    doctor = await register("doctor")
    await doctor.publish("2026-12-01T09:00:00Z", "2026-12-01T17:00:00Z")
    assert (await client.get("/readyz")).status_code == 200
    change(path)
    before = read_content(path)
    booking = {"doctor_id": doctor.id, "start_time": "2026-12-01T09:00:00Z"}
    for _ in range(5):
        assert_problem(await patient.post("/appointments", booking), 503, "busy")
        assert_problem(await send_registration(client, "late"), 503, "busy")
        assert_problem(await client.get("/doctors"), 503, "busy")
        assert_problem(await client.get("/readyz"), 503, "busy")
    assert read_content(path) == before, "the file was created or changed"
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert any("deleted or replaced" in record.getMessage() for record in warnings)
    assert not any(record.exc_info for record in warnings)


@pytest.mark.parametrize("change", CHANGES)
async def test_commit_to_a_file_that_was_just_deleted_or_replaced_is_busy(
    database: Database, path: Path, change: Callable[[Path], None]
) -> None:
    async def write() -> None:
        async with database.write() as transaction:
            await transaction.execute(text("DELETE FROM password_resets"))
            change(path)

    with pytest.raises(DomainError, match="busy"):
        await write()


async def test_missing_file_is_created_only_at_startup(tmp_path: Path) -> None:
    path = tmp_path / "with space #1?.db"
    async with open_engine(f"sqlite+aiosqlite:///{path.as_posix().replace('?', '%3F')}") as engine:
        found = Path(engine.url.database or "")
        with pytest.raises(DomainError, match="busy"):
            async with Database(engine).read() as transaction:
                await transaction.execute(text("SELECT 1"))
        assert read_content(found) is None
        await ensure_newest(engine)
        assert read_content(found)
        async with Database(engine).read() as transaction:
            assert await transaction.scalar(text("SELECT count(*) FROM users")) == 0


async def test_migration_creates_the_file(tmp_path: Path) -> None:
    async with open_engine(f"sqlite+aiosqlite:///{tmp_path}/new.db") as engine:
        await upgrade(engine)
    with sqlite3.connect(tmp_path / "new.db") as connection:
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (0,)
    connection.close()


async def test_missing_folder_is_reported_at_startup(tmp_path: Path) -> None:
    async with open_engine(f"sqlite+aiosqlite:///{tmp_path}/none/new.db") as engine:
        with pytest.raises(UnavailableDatabaseError, match="No such file"):
            await ensure_newest(engine)


async def test_touched_file_stays_usable(database: Database, path: Path) -> None:
    os.utime(path)
    async with database.write() as transaction:
        await transaction.execute(text("DELETE FROM password_resets"))
