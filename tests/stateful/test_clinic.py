"""Random sequences of actions of doctors and patients have the same results as in the model.

``STATEFUL_EXAMPLES`` sets the number of sequences, which are then different in each run.
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
from tests.stateful.database_runner import DatabaseRunner
from tests.stateful.machine import ClinicMachine

EXAMPLES = int(os.environ.get("STATEFUL_EXAMPLES", "20"))
IS_SHORT_RUN = "STATEFUL_EXAMPLES" not in os.environ


@asynccontextmanager
async def open_database(backend: str, folder: Path) -> AsyncIterator[Database]:
    if backend == "sqlite":
        url = await migrate(f"sqlite+aiosqlite:///{folder}/clinic.db")
        async with open_engine(url) as engine:
            yield Database(engine)
    else:
        async with temporary_postgresql() as url, open_engine(await migrate(url)) as engine:
            yield Database(engine)


@pytest.fixture(params=both_databases("stateful"))
def database_runner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseRunner]:
    with asyncio.Runner() as runner:
        database = open_database(request.param, tmp_path)
        yield DatabaseRunner(runner, runner.run(database.__aenter__()))
        runner.run(database.__aexit__(None, None, None))


def test_services_agree_with_the_model(database_runner: DatabaseRunner) -> None:
    class Machine(ClinicMachine):
        pass

    Machine.database_runner = database_runner
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            derandomize=IS_SHORT_RUN,
            deadline=None,  # so that a busy machine does not fail the test
        ),
    )
