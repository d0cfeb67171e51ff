"""Seals the audit trail, shortly after it has grown and beside the requests that make it grow."""

import logging
from dataclasses import dataclass

from app.core.chain import Head
from app.db.session import Sessions
from app.repositories.audit import list_unsealed
from app.services import audit

SECONDS = 1.0
"""How long the end of the trail is open to whoever can write to the database."""

MOST_BATCHES = 10

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Memory:
    """What this process knows of the chain; the metrics show it."""

    head: Head | None = None
    """The last head that was seen; a chain that does not have it any more was tampered with."""
    archived: int = 0
    """The last position that is archived."""
    failing: bool = False
    """Whether the last attempt to seal has failed."""


async def seal_all(sessions: Sessions, key: bytes, memory: Memory) -> None:
    """Seals what there is, batch by batch; of very much the rest is left to the next time."""
    try:
        for _ in range(MOST_BATCHES):
            if await seal_once(sessions, key, memory) < audit.BATCH:
                break
    except Exception:
        memory.failing = True
        raise
    memory.failing = False


async def seal_once(sessions: Sessions, key: bytes, memory: Memory) -> int:
    """Seals one batch, if there is anything to be sealed, and says how many events.

    ``BrokenChainError`` if the chain has lost the head that is remembered, even if there is nothing to be sealed: what
    was taken out is not sealed anew.
    """
    async with sessions.read() as session:
        archived, memory.head = await audit.find_ends(session, key, memory.head)
        memory.archived = archived.position
        # On SQLite a writer stands in everybody's way, so first without.
        if not await list_unsealed(session, limit=1):
            return 0
    async with sessions.write() as session:
        sealed = await audit.seal(session, key, remembered=memory.head)
    memory.head = sealed.head
    # After the commit: a head that is written down is one that the chain has had.
    if sealed.count:
        log.info("audit trail sealed: %d events, head %s", sealed.count, sealed.head)
    return sealed.count
