"""Work that a process does again and again, beside its requests, as long as it lives."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

log = logging.getLogger(__name__)


@asynccontextmanager
async def run_periodically(name: str, work: Callable[[], Awaitable[None]], *, seconds: float) -> AsyncIterator[None]:
    """Does the work at once and then every so many seconds, while the context lasts.

    What goes wrong is logged once until it goes well again. At the end the work that has begun is finished, for a
    statement that is given up costs its connection, and done for the last time: it is short.
    """
    ended = asyncio.Event()
    task = asyncio.create_task(_repeat(name, work, seconds, ended), name=name)
    try:
        yield
    finally:
        ended.set()
        await task


async def _repeat(name: str, work: Callable[[], Awaitable[None]], seconds: float, ended: asyncio.Event) -> None:
    failing = last = False
    while True:
        try:
            await work()
        except Exception as error:
            # Whatever it is, the next time may go well.
            if not failing:
                log.exception("%s fails for the moment", name, exc_info=error.__cause__ or error)
            failing = True
        else:
            if failing:
                log.info("%s goes well again", name)
            failing = False
        if last:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), seconds)
        last = ended.is_set()
