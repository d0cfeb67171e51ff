"""Advisory locks that are held until the transaction ends."""

from hashlib import blake2b
from uuid import UUID

from sqlalchemy import text

from app.db.database import Transaction

# One statement for all keys: unnest returns them in their order, so the locks are taken in that order.
_LOCK = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")


async def lock_ids(transaction: Transaction, *ids: UUID) -> None:
    """Lock these ids until the transaction ends. Wait for other transactions that have locked one of them.

    The locks are taken in a fixed order, so callers that lock several ids cannot deadlock. That only holds if each
    transaction calls this once, or again with ids that it has locked already. On SQLite nothing is locked, because a
    writer holds the whole database anyway.

    Inside ``Database.write_in_turn``, ``LockQueueFull`` is raised if the queue of this process for one of the locks is
    full.
    """
    if transaction.dialect.name == "postgresql":
        keys = frozenset(map(_key, ids))
        if transaction.permits:
            await transaction.permits.acquire(keys)
        await transaction.execute(_LOCK, {"keys": sorted(keys)})


def _key(id_: UUID) -> int:
    # Hash the id: the first bits of a UUIDv7 are a timestamp, which several ids may share.
    return int.from_bytes(blake2b(id_.bytes, digest_size=8).digest(), signed=True)
