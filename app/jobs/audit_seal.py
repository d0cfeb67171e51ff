"""Seals the audit trail, shortly after it has grown and beside the requests that make it grow."""

import logging
from dataclasses import dataclass

from app.core.hash_chain import Head
from app.db.database import Database
from app.repositories.audit import list_unsealed
from app.services import audit

INTERVAL_SECONDS = 1.0
"""How long the end of the trail is open to whoever can write to the database."""

MAX_BATCHES = 10

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


async def seal_all(database: Database, key: bytes, memory: Memory) -> None:
    """Seals what there is, batch by batch; of very much the rest is left to the next time."""
    try:
        for _ in range(MAX_BATCHES):
            if await seal_once(database, key, memory) < audit.BATCH:
                break
    except Exception:
        memory.failing = True
        raise
    memory.failing = False


async def seal_once(database: Database, key: bytes, memory: Memory) -> int:
    """Seals one batch, if there is anything to be sealed, and says how many events.

    ``BrokenChainError`` if the chain has lost the head that is remembered, even if there is nothing to be sealed: what
    was taken out is not sealed anew.
    """
    async with database.read() as transaction:
        archived, memory.head = await audit.find_ends(transaction, key, memory.head)
        memory.archived = archived.position
        # On SQLite a writer stands in everybody's way, so first without.
        if not await list_unsealed(transaction, limit=1):
            return 0
    async with database.write() as transaction:
        sealed = await audit.seal(transaction, key, remembered=memory.head)
    memory.head = sealed.head
    # After the commit: a head that is written down is one that the chain has had.
    if sealed.count:
        log.info("audit trail sealed: %d events, head %s", sealed.count, sealed.head)
    return sealed.count
