"""Transactions of a state machine, which is not a coroutine."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.db.database import Database, Transaction


@dataclass(frozen=True)
class DatabaseRunner:
    """A database, and the event loop that its connections belong to."""

    runner: asyncio.Runner
    database: Database

    def read[T](self, query: Callable[[Transaction], Awaitable[T]]) -> T:
        async def run() -> T:
            async with self.database.read() as transaction:
                return await query(transaction)

        return self.runner.run(run())

    def write[T](self, command: Callable[[Transaction], Awaitable[T]]) -> T:
        async def run() -> T:
            async with self.database.write() as transaction:
                return await command(transaction)

        return self.runner.run(run())
