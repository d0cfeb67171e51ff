"""Whatever doctors and patients do, in whatever order, what comes of it is what the model says.

``STATEFUL_EXAMPLES`` makes the run longer, and another one every time.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from app.db.database import Database
from tests.databases import both_databases, migrate, open_engine, temporary_postgresql
from tests.stateful.machine import Practice
from tests.stateful.worlds import World

EXAMPLES = int(os.environ.get("STATEFUL_EXAMPLES", "20"))
IN_SHORT = "STATEFUL_EXAMPLES" not in os.environ


@asynccontextmanager
async def migrated(backend: str, folder: Path) -> AsyncIterator[Database]:
    if backend == "sqlite":
        url = await migrate(f"sqlite+aiosqlite:///{folder}/practice.db")
        async with open_engine(url) as engine:
            yield Database(engine)
    else:
        async with temporary_postgresql() as url, open_engine(await migrate(url)) as engine:
            yield Database(engine)


@pytest.fixture(params=both_databases("stateful"))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    # The connections belong to this loop, and the machine is not a coroutine.
    with asyncio.Runner() as runner:
        database = migrated(request.param, tmp_path)
        yield World(runner, runner.run(database.__aenter__()))
        runner.run(database.__aexit__(None, None, None))


def test_all_that_happens_is_what_should(world: World) -> None:
    class Here(Practice):
        pass

    Here.world = world
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            derandomize=IN_SHORT,
            deadline=None,  # a slow machine is no failure
        ),
    )
