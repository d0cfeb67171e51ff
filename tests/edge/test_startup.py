"""A start that fails for a known reason prints one line about it, and no traceback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.types import Message

from app.db.database import Database
from app.db.schema import UnknownSchemaError
from app.edge.startup import run_lifespan
from tests.databases import migrate, open_engine
from tests.servers import Server


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", "the database has schema 9999, this version needs"),
        (
            "INSERT INTO time_zone_releases (version, first_used_at) VALUES ('9999z', '2026-12-01 00:00:00')",
            "the database has been used with time zones of IANA 9999z",
        ),
        (None, "the database cannot be used: "),
    ],
)
async def test_failed_start_prints_one_line(tmp_path: Path, change: str | None, expected: str) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/{'clinic.db' if change else 'missing/clinic.db'}"
    if change:
        await migrate(url)
        async with open_engine(url) as engine, Database(engine).write() as transaction:
            await transaction.execute(text(change))
    with (tmp_path / "stderr").open("wb") as stderr:
        process = Server(url, stderr).process
        await asyncio.to_thread(process.join, 60)
        assert process.exitcode == 3
    reason, end = (tmp_path / "stderr").read_text().splitlines()
    assert reason.startswith(expected)
    assert end == "Application startup failed. Exiting."


async def test_unexpected_failure_of_the_start_keeps_its_traceback() -> None:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        raise ZeroDivisionError("a bug")
        yield

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    start = Starlette(lifespan=lifespan).router.lifespan
    with pytest.raises(ZeroDivisionError):
        await run_lifespan(start, (UnknownSchemaError,), {"type": "lifespan", "state": {}}, receive, send)
    [failed] = sent
    assert failed["type"] == "lifespan.startup.failed"
    assert "Traceback" in failed["message"]
