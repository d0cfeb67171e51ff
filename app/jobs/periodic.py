"""Periodic background work of a process."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

log = logging.getLogger(__name__)


@asynccontextmanager
async def run_periodically(name: str, work: Callable[[], Awaitable[None]], *, seconds: float) -> AsyncIterator[None]:
    """Run ``work`` at once and then every ``seconds``, while the context lasts. ``name`` appears in the log.

    A failure is logged once, and then again only after a success. At the end of the context, a run in progress is
    finished, because cancelling a statement would cost its connection. Then ``work`` runs one last time.
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
            # Keep going: the next run may succeed.
            if not failing:
                # The cause of `busy` is the error of the database, which says more.
                log.exception("job failed: %s", name, exc_info=error.__cause__ or error)
            failing = True
        else:
            if failing:
                log.info("job recovered: %s", name)
            failing = False
        if last:
            return
        with suppress(TimeoutError):
            # Waits for the event instead of sleeping, so that the server stops without delay.
            await asyncio.wait_for(ended.wait(), seconds)
        last = ended.is_set()
