"""Somebody else commits something at a chosen point of a transaction."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import text

from app.core.permissions import Actor, Role
from app.db.database import Database
from tests.databases import open_engine
from tests.people import Person
from tests.statements import observing

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)

type Interruption = Callable[[Database], Coroutine[None, None, None]]


@contextmanager
def interrupted(url: str, by: Interruption, before: str, times: int) -> Iterator[list[str]]:
    """Somebody else commits something, right before a statement of this kind is sent, as often as told."""
    happened: list[str] = []

    async def commit() -> None:
        async with open_engine(url) as engine:
            await by(Database(engine))

    def interrupt(statement: str, _: object) -> None:
        if statement.startswith(before) and len(happened) < times:
            happened.append(statement)
            with ThreadPoolExecutor(1) as elsewhere:
                elsewhere.submit(asyncio.run, commit()).result()

    with observing(interrupt):
        yield happened


def actor(person: Person, role: Role) -> Actor:
    return Actor(UUID(person.id), role, person.name)


async def change_something_else(database: Database) -> None:
    async with database.write() as transaction:
        await transaction.execute(text("UPDATE doctors SET schedule_version = schedule_version + 1"))
