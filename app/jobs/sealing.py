"""Seals the audit trail, shortly after it has grown and beside the requests that make it grow."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from app.db.session import Sessions
from app.repositories.audit import list_unsealed
from app.services import audit

INTERVAL = 1.0  # seconds; how long the end of the trail is open to whoever can write to the database

log = logging.getLogger(__name__)


@asynccontextmanager
async def sealing(sessions: Sessions, key: bytes) -> AsyncIterator[None]:
    """Seals what comes while the context lasts; what comes last is left to the next start, or to another process."""
    ended = asyncio.Event()
    task = asyncio.create_task(_keep_sealing(sessions, key, ended), name="sealing")
    try:
        yield
    finally:
        # A batch that has begun is finished: it is short, and a statement that is given up costs its connection.
        ended.set()
        await task


async def _keep_sealing(sessions: Sessions, key: bytes, ended: asyncio.Event) -> None:
    failing = False
    while not ended.is_set():
        try:
            while await seal_once(sessions, key) == audit.BATCH and not ended.is_set():
                pass
        except Exception as error:
            # Whatever it is, the trail goes on to grow, and is sealed when it can be.
            if not failing:
                log.exception("the audit trail cannot be sealed for the moment", exc_info=error.__cause__ or error)
            failing = True
        else:
            if failing:
                log.info("the audit trail is being sealed again")
            failing = False
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), INTERVAL)


async def seal_once(sessions: Sessions, key: bytes) -> int:
    """Seals one batch, if there is anything to be sealed, and says how many events."""
    async with sessions.read() as session:
        # On SQLite a writer stands in everybody's way, so first without.
        if not await list_unsealed(session, limit=1):
            return 0
    async with sessions.write() as session:
        sealed = await audit.seal(session, key)
    # After the commit: a head that is written down is one that the chain has had.
    if sealed.count:
        log.info("audit trail sealed: %d events, head %s", sealed.count, sealed.head)
    return sealed.count
