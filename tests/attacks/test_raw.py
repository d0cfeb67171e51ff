"""Requests that no HTTP client sends, written to a socket of a real server."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.core.settings import Settings
from tests.attacks.checks import check_secrets, check_state
from tests.attacks.clinic import SECRET_KEY, Builder, Clinic, Rows
from tests.attacks.corpus import Computed, label_values, read, substitute
from tests.databases import both_databases, migrate, open_engine, temporary_postgresql
from tests.servers import Server, clients, serve

pytestmark = pytest.mark.slow

MAX_ANSWER = 256 * 1024
PATIENCE = 10
"""Seconds to wait for a response. A request that is never completed gets one second."""
NO_RESPONSE = 0
"""The status if the server closes the connection, or waits for more, without a response."""


@dataclass
class Target:
    clinic: Clinic
    rows: Rows
    server: Server
    log: Path


@contextmanager
def redirect_output(path: Path) -> Iterator[None]:
    """Redirect the output of processes that are started within the context to a file."""
    sys.stdout.flush()
    saved = os.dup(1), os.dup(2)
    with path.open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        for number, descriptor in enumerate(saved, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)


@pytest.fixture(scope="module", params=both_databases("raw attacks"))
async def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    folder = tmp_path_factory.mktemp("raw")
    async with AsyncExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite+aiosqlite:///{folder}/raw.db"
        else:
            url = await stack.enter_async_context(temporary_postgresql())
        await migrate(url)
        with redirect_output(folder / "log"):
            servers = await stack.enter_async_context(serve(url, 1, SECRET_KEY=SECRET_KEY, DOCTOR_APPROVAL="required"))
        [client] = await stack.enter_async_context(clients(servers))
        engine = await stack.enter_async_context(open_engine(url))
        clinic = Clinic(client, datetime.now(UTC).replace(microsecond=0), engine)

        async def advance(_by: timedelta) -> None:
            raise NotImplementedError

        settings = Settings(_env_file=None, database_url=url, password_memory_kib=8, password_passes=1)
        await Builder(clinic, settings, advance).build(complete=False)
        yield Target(clinic, await clinic.read_rows(), servers[0], folder / "log")


def list_cases() -> list[Any]:
    found = [
        pytest.param({**case, "send": substitute(case["send"], {"each": value}, partly=True)}, id=f"{name} {label}")
        for case in read("raw.yml")["cases"]
        for name in [case["name"]]
        for label, value in (label_values(case["each"]) if "each" in case else [("", None)])
    ]
    assert len(found) >= 20
    return found


@pytest.mark.parametrize("case", list_cases())
async def test_raw_request_changes_nothing_and_reveals_nothing(target: Target, case: dict[str, Any]) -> None:
    assert case.keys() <= {"name", "send", "each", "expect", "answers", "forbid", "as"}
    clinic = target.clinic
    sent = to_bytes(clinic.resolve(case["send"]))
    before = target.log.stat().st_size
    received = await send_raw(target.server.port, sent, patience=1 if NO_RESPONSE in case["expect"] else PATIENCE)
    try:
        assert list_statuses(received)[:1] in [[status] for status in case["expect"]], received[:500]
        assert len(list_statuses(received)) <= case.get("answers", 1), received[:500]
        assert all(status < 500 for status in list_statuses(received))
        assert len(received) < MAX_ANSWER
        text = received.decode("latin-1")
        logged = target.log.read_text(errors="replace")[before:]
        check_secrets(clinic, case.get("as", "nobody"), text, logged)
        for word in ("Traceback", "sqlalchemy", *case.get("forbid", [])):
            assert word not in text
            assert word not in logged
        assert b" 200 " in await send_raw(
            target.server.port, b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
    finally:
        rows = await clinic.read_rows()
        if rows != target.rows:
            await clinic.restore(target.rows)
    check_state(target.rows, rows, frozenset())


def to_bytes(text: Any) -> bytes:
    assert not isinstance(text, Computed)
    return text if isinstance(text, bytes) else str(text).replace("\n", "\r\n").encode("latin-1")


async def send_raw(port: int, sent: bytes, patience: float = PATIENCE) -> bytes:
    """Return what the server sends until it closes the connection, or until ``patience`` seconds have passed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        async with asyncio.timeout(patience):
            writer.write(sent)
            await writer.drain()
            while len(received) < MAX_ANSWER and (part := await reader.read(65536)):
                received += part
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return received


def list_statuses(received: bytes) -> list[int]:
    """Return the statuses of all responses in order, or ``NO_RESPONSE`` if there is none."""
    heads = received.split(b"HTTP/1.1 ")[1:]
    return [int(head[:3]) for head in heads] or [NO_RESPONSE]
