"""Locks that last until the transaction ends."""

from hashlib import blake2b
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_LOCK = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")


async def lock_calendars(session: AsyncSession, *owners: UUID) -> None:
    """Waits until nobody else holds any of these calendars, and holds them until the transaction ends.

    Always taken in one order, so that those who want several cannot wait for each other in a circle. Only those who
    must keep others out while they look and write need them: moving appointments, and limits for a day. A writer on
    SQLite holds the whole database anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(_LOCK, {"keys": sorted({_key(owner) for owner in owners})})


def _key(owner: UUID) -> int:
    # The first bits of a UUIDv7 are the time: two owners may share them.
    return int.from_bytes(blake2b(owner.bytes, digest_size=8).digest(), signed=True)
