"""Seals the audit trail, shortly after it has grown and beside the requests that make it grow."""

import logging

from app.db.session import Sessions
from app.repositories.audit import list_unsealed
from app.services import audit

SECONDS = 1.0
"""How long the end of the trail is open to whoever can write to the database."""

log = logging.getLogger(__name__)


async def seal_all(sessions: Sessions, key: bytes) -> None:
    """Seals what there is, batch by batch."""
    while await seal_once(sessions, key) == audit.BATCH:
        pass


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
