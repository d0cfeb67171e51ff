"""Replay recorded bookings with asyncpg: the rate that the driver reaches without any other work.

There are as many processes as the application has, each with its own connections and uvloop. They send the statements
that the application has sent (`benchmarks/replay.py`), in the same transactions and with the same values.
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

from benchmarks.databases import Connection, connect_to
from benchmarks.replay import CONNECTIONS, MAX_REPLAY_SECONDS, Statement, count_bookings

type Bookings = Sequence[Sequence[Statement]]


@contextmanager
def players(bookings: Bookings, processes: int) -> Iterator[list[Pipe]]:
    """Start processes that replay their shares of the bookings at each call of ``play``. Yield pipes to them."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(processes)
    pipes, running = [], []
    try:
        for number in range(processes):
            parent_end, child_end = context.Pipe()
            share = bookings[number::processes]
            process = context.Process(
                target=_serve_play_commands, args=(child_end, ready, share, CONNECTIONS // processes)
            )
            process.start()
            child_end.close()
            pipes.append(parent_end)
            running.append(process)
        yield pipes
    finally:
        for process in running:
            process.terminate()
            process.join()


async def play(players: Sequence[Pipe], url: URL, count: int) -> float:
    """Replay all bookings and return the seconds from the first start to the last end.

    Raise ``RuntimeError`` if there are not ``count`` appointments then.
    """
    for pipe in players:
        pipe.send(url)
    async with asyncio.timeout(MAX_REPLAY_SECONDS):
        started, ended = zip(*[await asyncio.to_thread(pipe.recv) for pipe in players], strict=True)
    await count_bookings(url, count)
    return float(max(ended) - min(started))


def _serve_play_commands(pipe: Pipe, ready: Barrier, share: Bookings, connections: int) -> None:
    while True:
        pipe.send(uvloop.run(_play_all(pipe.recv(), ready, iter(share), connections)))


async def _play_all(
    url: URL, ready: Barrier, bookings: Iterator[Sequence[Statement]], connections: int
) -> tuple[float, float]:
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(connect_to(url)) for _ in range(connections)]
        ready.wait(MAX_REPLAY_SECONDS)
        started = monotonic()
        async with asyncio.TaskGroup() as group:
            for connection in opened:
                group.create_task(_play(connection, bookings))
        return started, monotonic()


async def _play(connection: Connection, bookings: Iterator[Sequence[Statement]]) -> None:
    for statements in bookings:
        await connection.execute("BEGIN")
        for sql, values in statements:
            await connection.fetch(sql, *values)
        await connection.execute("COMMIT")
