"""How often somebody has tried to log in."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.guards import insert_unless_taken
from app.models import KnownClient, LoginAttempt

FORGOTTEN = timedelta(days=1)
STRANGE = timedelta(days=90)
_SWEPT = 100


async def count_attempt(session: AsyncSession, key_hash: str, now: datetime) -> int | None:
    """How many attempts there were with this one; ``None``, and it does not count, while they are blocked.

    After a day without any, counting begins anew.
    """
    counted = case((LoginAttempt.last_at <= now - FORGOTTEN, 1), else_=LoginAttempt.attempts + 1)
    attempts: int | None = await session.scalar(
        update(LoginAttempt)
        .where(LoginAttempt.key_hash == key_hash, LoginAttempt.blocked_until <= now)
        .values(attempts=counted, last_at=now)
        .returning(LoginAttempt.attempts)
    )
    if attempts is not None:
        return attempts
    first = {"key_hash": key_hash, "attempts": 1, "last_at": now, "blocked_until": now}
    return 1 if await insert_unless_taken(session, LoginAttempt, first) else None


async def block(session: AsyncSession, key_hash: str, until: datetime) -> None:
    """Allows no attempt before ``until``."""
    await session.execute(update(LoginAttempt).where(LoginAttempt.key_hash == key_hash).values(blocked_until=until))


async def get_block(session: AsyncSession, key_hash: str) -> datetime | None:
    """Until when attempts are blocked."""
    blocked_until: datetime | None = await session.scalar(
        select(LoginAttempt.blocked_until).where(LoginAttempt.key_hash == key_hash)
    )
    return blocked_until


async def forget_attempts(session: AsyncSession, key_hashes: Sequence[str], now: datetime) -> None:
    """Begins to count anew; and sweeps away what is forgotten anyway, some at a time."""
    # One by one and in the order in which they are counted, so that nobody waits in a circle.
    for key_hash in key_hashes:
        await session.execute(delete(LoginAttempt).where(LoginAttempt.key_hash == key_hash))
    forgotten = (
        select(LoginAttempt.key_hash)
        .where(LoginAttempt.last_at <= now - FORGOTTEN, LoginAttempt.blocked_until <= now)
        .order_by(LoginAttempt.last_at)
        .limit(_SWEPT)
        .with_for_update(skip_locked=True)
    )
    await session.execute(delete(LoginAttempt).where(LoginAttempt.key_hash.in_(forgotten)))


async def remember_client(session: AsyncSession, user_id: UUID, network: str, now: datetime) -> None:
    """Notes that somebody has logged in from there; places not used for 90 days are forgotten."""
    await session.execute(
        delete(KnownClient).where(KnownClient.user_id == user_id, KnownClient.last_at <= now - STRANGE)
    )
    known = update(KnownClient).where(KnownClient.user_id == user_id, KnownClient.network == network)
    if await session.scalar(known.values(last_at=now).returning(KnownClient.network)) is None:
        await insert_unless_taken(session, KnownClient, {"user_id": user_id, "network": network, "last_at": now})
