"""Another transaction commits at a chosen point of the tested one."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import text

from app.core.permissions import Actor, Role
from app.db.database import Database
from app.repositories.appointments import Reference
from tests.databases import open_engine
from tests.people import Person
from tests.statements import observing

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)

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


def make_actor(person: Person, role: Role) -> Actor:
    return Actor(UUID(person.id), role, person.name)


async def change_schedule_version(database: Database) -> None:
    async with database.write() as transaction:
        await transaction.execute(text("UPDATE doctors SET schedule_version = schedule_version + 1"))


def make_reference(person: Person) -> Reference:
    return Reference(UUID(person.id), person.name)
