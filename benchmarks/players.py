"""The same bookings as asyncpg plays them: what the application's driver reaches where it has nothing else to do.

As many processes as serve the application, each with its connections and uvloop, send the statements that the
application has sent (`benchmarks/replay.py`), in the same transactions and with the same values.
"""

import asyncio
import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from multiprocessing.connection import Connection as Pipe
from multiprocessing.synchronize import Barrier
from time import monotonic

import uvloop
from sqlalchemy import URL

from benchmarks.databases import Connection, connected
from benchmarks.replay import CONNECTIONS, MAX_REPLAY, Statement, count_bookings

type Bookings = Sequence[Sequence[Statement]]


@contextmanager
def players(bookings: Bookings, processes: int) -> Iterator[list[Pipe]]:
    """Processes that play the bookings, each its share, whenever ``play`` tells them to."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(processes)
    pipes, started = [], []
    try:
        for number in range(processes):
            ours, theirs = context.Pipe()
            share = bookings[number::processes]
            process = context.Process(target=_play_when_told, args=(theirs, ready, share, CONNECTIONS // processes))
            process.start()
            theirs.close()
            pipes.append(ours)
            started.append(process)
        yield pipes
    finally:
        for process in started:
            process.terminate()
            process.join()


async def play(players: Sequence[Pipe], url: URL, count: int) -> float:
    """Seconds for all ``count`` bookings."""
    for pipe in players:
        pipe.send(url)
    async with asyncio.timeout(MAX_REPLAY):
        began, ended = zip(*[await asyncio.to_thread(pipe.recv) for pipe in players], strict=True)
    await count_bookings(url, count)
    return float(max(ended) - min(began))


def _play_when_told(pipe: Pipe, ready: Barrier, share: Bookings, connections: int) -> None:
    while True:
        pipe.send(uvloop.run(_play_all(pipe.recv(), ready, iter(share), connections)))


async def _play_all(
    url: URL, ready: Barrier, bookings: Iterator[Sequence[Statement]], connections: int
) -> tuple[float, float]:
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(connected(url)) for _ in range(connections)]
        ready.wait(MAX_REPLAY)
        began = monotonic()
        async with asyncio.TaskGroup() as group:
            for connection in opened:
                group.create_task(_play(connection, bookings))
        return began, monotonic()


async def _play(connection: Connection, bookings: Iterator[Sequence[Statement]]) -> None:
    for statements in bookings:
        await connection.execute("BEGIN")
        for sql, values in statements:
            await connection.fetch(sql, *values)
        await connection.execute("COMMIT")
