"""Locks that last until the transaction ends."""

from hashlib import blake2b
from uuid import UUID

from sqlalchemy import text

from app.db.database import Transaction

_LOCK = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")


async def lock_ids(transaction: Transaction, *ids: UUID) -> None:
    """Waits until nobody else holds any of these, and holds them until the transaction ends.

    They are taken in one order, so that those who want several cannot wait for each other in a circle, if nobody asks
    twice for different ones. A writer on SQLite holds the whole database anyway.

    Raises ``LockQueueFull``, in a transaction of ``Database.write_in_turn``, if too many of this process wait already.
    """
    if transaction.dialect.name == "postgresql":
        keys = frozenset(map(_key, ids))
        if transaction.permits:
            await transaction.permits.acquire(keys)
        await transaction.execute(_LOCK, {"keys": sorted(keys)})


def _key(id_: UUID) -> int:
    # The first bits of a UUIDv7 are the time: two may share them.
    return int.from_bytes(blake2b(id_.bytes, digest_size=8).digest(), signed=True)
