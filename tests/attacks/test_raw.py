"""What no HTTP client sends, written to a socket of a real server: it answers or hangs up, and nothing changes."""

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
from tests.attacks.corpus import Made, labelled, read, substitute
from tests.attacks.judge import judge_secrets, judge_state
from tests.attacks.world import SECRET_KEY, Builder, Rows, World
from tests.databases import both_databases, migrate, open_engine, temporary_postgresql
from tests.servers import Server, clients, serve

MAX_ANSWER = 256 * 1024
PATIENCE = 10
"""Seconds, after which a server that says nothing is left; a request that is never complete is one second's wait."""
HUNG_UP = 0
"""The status of an answer that is none."""


@dataclass
class Target:
    world: World
    rows: Rows
    server: Server
    log: Path


@contextmanager
def written_to(path: Path) -> Iterator[None]:
    """What processes that start meanwhile print goes to a file."""
    sys.stdout.flush()
    kept = os.dup(1), os.dup(2)
    with path.open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        for number, one in enumerate(kept, start=1):
            os.dup2(one, number)
            os.close(one)


@pytest.fixture(scope="module", params=both_databases("raw attacks"))
async def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    folder = tmp_path_factory.mktemp("raw")
    async with AsyncExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite+aiosqlite:///{folder}/raw.db"
        else:
            url = await stack.enter_async_context(temporary_postgresql())
        await migrate(url)
        with written_to(folder / "log"):
            servers = await stack.enter_async_context(serve(url, 1, SECRET_KEY=SECRET_KEY, DOCTOR_APPROVAL="required"))
        [client] = await stack.enter_async_context(clients(servers))
        engine = await stack.enter_async_context(open_engine(url))
        world = World(client, datetime.now(UTC).replace(microsecond=0), engine)

        async def advance(_by: timedelta) -> None:
            raise NotImplementedError

        settings = Settings(_env_file=None, database_url=url, password_memory_kib=8, password_passes=1)
        await Builder(world, settings, advance).build(complete=False)
        yield Target(world, await world.rows(), servers[0], folder / "log")


def cases() -> list[Any]:
    found = [
        pytest.param({**case, "send": substitute(case["send"], {"each": value}, partly=True)}, id=f"{name} {label}")
        for case in read("raw.yml")["cases"]
        for name in [case["name"]]
        for label, value in (labelled(case["each"]) if "each" in case else [("", None)])
    ]
    assert len(found) >= 20
    return found


@pytest.mark.parametrize("case", cases())
async def test_raw_request_changes_nothing_and_reveals_nothing(target: Target, case: dict[str, Any]) -> None:
    assert case.keys() <= {"name", "send", "each", "expect", "answers", "forbid", "as"}
    world = target.world
    sent = to_bytes(world.resolve(case["send"]))
    before = target.log.stat().st_size
    answered = await talk(target.server.port, sent, patience=1 if HUNG_UP in case["expect"] else PATIENCE)
    try:
        assert statuses(answered)[:1] in [[status] for status in case["expect"]], answered[:500]
        assert len(statuses(answered)) <= case.get("answers", 1), answered[:500]
        assert all(status < 500 for status in statuses(answered))
        assert len(answered) < MAX_ANSWER
        text = answered.decode("latin-1")
        said = target.log.read_text(errors="replace")[before:]
        judge_secrets(world, case.get("as", "nobody"), text, said)
        for word in ("Traceback", "sqlalchemy", *case.get("forbid", [])):
            assert word not in text
            assert word not in said
        assert b" 200 " in await talk(
            target.server.port, b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
    finally:
        rows = await world.rows()
        if rows != target.rows:
            await world.restore(target.rows)
    judge_state(target.rows, rows, frozenset())


def to_bytes(text: Any) -> bytes:
    assert not isinstance(text, Made)
    return text if isinstance(text, bytes) else str(text).replace("\n", "\r\n").encode("latin-1")


async def talk(port: int, sent: bytes, patience: float = PATIENCE) -> bytes:
    """What the server answers until it hangs up, or says no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered = b""
    try:
        async with asyncio.timeout(patience):
            writer.write(sent)
            await writer.drain()
            while len(answered) < MAX_ANSWER and (some := await reader.read(65536)):
                answered += some
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return answered


def statuses(answered: bytes) -> list[int]:
    """Of all the answers, one after the other; ``HUNG_UP`` if there is none."""
    heads = answered.split(b"HTTP/1.1 ")[1:]
    return [int(head[:3]) for head in heads] or [HUNG_UP]
