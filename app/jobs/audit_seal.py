"""Seals new events of the audit trail, in the background, so that requests need not wait for it (docs/audit.md)."""

import logging
from dataclasses import dataclass

from app.core.hash_chain import Head
from app.db.database import Database
from app.repositories.audit import list_unsealed
from app.services import audit

INTERVAL_SECONDS = 1.0
"""The interval of the job. For about this long, new events are unsealed, and can be changed in the database."""

MAX_BATCHES = 10

log = logging.getLogger(__name__)


@dataclass(slots=True)
class SealState:
    """The state of the hash chain as this process has seen it. The metrics show it."""

    head: Head | None = None
    """The last head. If the chain has lost it, the chain was tampered with."""
    archived: int = 0
    """The position of the last archived event."""
    failing: bool = False
    """Whether the last attempt to seal has failed."""


async def seal_all(database: Database, key: bytes, state: SealState) -> None:
    """Seal all unsealed events, in at most ``MAX_BATCHES`` batches. The next run seals the rest."""
    try:
        for _ in range(MAX_BATCHES):
            if await seal_once(database, key, state) < audit.BATCH:
                break
    except Exception:
        state.failing = True
        raise
    state.failing = False


async def seal_once(database: Database, key: bytes, state: SealState) -> int:
    """Seal one batch of events. Return their number, which may be 0.

    Raises ``BrokenChainError`` if the chain has lost the remembered head, even if there is nothing to seal: a chain
    from which events were removed must not be continued.
    """
    async with database.read() as transaction:
        archived, state.head = await audit.find_ends(transaction, key, state.head)
        state.archived = archived.position
        # On SQLite a writer blocks all other writers, so check in a reader first.
        if not await list_unsealed(transaction, limit=1):
            return 0
    async with database.write() as transaction:
        sealed = await audit.seal(transaction, key, remembered=state.head)
    state.head = sealed.head
    # Log after the commit, so that every logged head was really in the chain.
    if sealed.count:
        log.info("audit trail sealed: %d events, head %s", sealed.count, sealed.head)
    return sealed.count
