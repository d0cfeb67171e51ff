"""Another transaction commits at a chosen point of the tested one."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy import text

from app.db.database import Database
from tests.databases import open_engine
from tests.statements import observing

type Interruption = Callable[[Database], Coroutine[None, None, None]]


@contextmanager
def interrupted(url: str, by: Interruption, before: str, times: int) -> Iterator[list[str]]:
    """Run ``by`` on a connection of its own before each of the first statements that start with ``before``.

    Yields the statements that were interrupted: at most ``times``.
    """
    interrupted_statements: list[str] = []

    async def commit() -> None:
        async with open_engine(url) as engine:
            await by(Database(engine))

    def interrupt(statement: str, _: object) -> None:
        if statement.startswith(before) and len(interrupted_statements) < times:
            interrupted_statements.append(statement)
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, commit()).result()

    with observing(interrupt):
        yield interrupted_statements


async def change_schedule_version(database: Database) -> None:
    async with database.write() as transaction:
        await transaction.execute(text("UPDATE doctors SET schedule_version = schedule_version + 1"))
