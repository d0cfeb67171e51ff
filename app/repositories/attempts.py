"""How often somebody has tried to log in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import case, delete, select, update

from app.db.guards import upsert
from app.db.session import Session
from app.models import KnownClient, LoginAttempt

FORGOTTEN = timedelta(days=1)
STRANGE = timedelta(days=90)


async def count_attempt(session: Session, key_hash: str, now: datetime) -> int | None:
    """How many attempts there were with this one; ``None``, and it does not count, while they are blocked.

    After a day without any, counting begins anew.
    """
    return await upsert(
        session,
        LoginAttempt,
        # Clocks differ: another server must not take the beginning for a block.
        {"key_hash": key_hash, "attempts": 1, "last_at": now, "blocked_until": now - FORGOTTEN},
        changes={
            "attempts": case((LoginAttempt.last_at <= now - FORGOTTEN, 1), else_=LoginAttempt.attempts + 1),
            "last_at": now,
        },
        only_if=LoginAttempt.blocked_until <= now,
        returning=LoginAttempt.attempts,
    )


async def block(session: Session, key_hash: str, until: datetime) -> None:
    """Allows no attempt before ``until``."""
    await session.execute(update(LoginAttempt).where(LoginAttempt.key_hash == key_hash).values(blocked_until=until))


async def get_block(session: Session, key_hash: str) -> datetime | None:
    """Until when attempts are blocked."""
    blocked_until: datetime | None = await session.scalar(
        select(LoginAttempt.blocked_until).where(LoginAttempt.key_hash == key_hash)
    )
    return blocked_until


async def forget_attempts(session: Session, key_hashes: Sequence[str]) -> None:
    """Begins to count anew."""
    # One by one and in the order in which they are counted, so that nobody waits in a circle.
    for key_hash in key_hashes:
        await session.execute(delete(LoginAttempt).where(LoginAttempt.key_hash == key_hash))


async def remember_client(session: Session, user_id: UUID, network: str, now: datetime) -> None:
    """Notes that somebody has logged in from there."""
    values = {"user_id": user_id, "network": network, "last_at": now}
    await upsert(session, KnownClient, values, changes={"last_at": now}, returning=KnownClient.last_at)


@dataclass(frozen=True, slots=True)
class KnownClientRecord:
    """A network from which somebody has logged in."""

    network: str
    last_at: datetime


async def list_known_clients(session: Session, user_id: UUID) -> Sequence[KnownClientRecord]:
    """The networks from which somebody has logged in, the last one first."""
    found = select(KnownClient.network, KnownClient.last_at).where(KnownClient.user_id == user_id)
    rows = await session.execute(found.order_by(KnownClient.last_at.desc(), KnownClient.network))
    return [KnownClientRecord(*row) for row in rows]


async def sweep_attempts(session: Session, now: datetime) -> None:
    """Deletes what is forgotten anyway."""
    # What somebody is just counting is left; waiting for it could be a deadlock.
    forgotten = (
        select(LoginAttempt.key_hash)
        .where(LoginAttempt.last_at <= now - FORGOTTEN, LoginAttempt.blocked_until <= now)
        .with_for_update(skip_locked=True)
    )
    await session.execute(delete(LoginAttempt).where(LoginAttempt.key_hash.in_(forgotten)))
    await session.execute(delete(KnownClient).where(KnownClient.last_at <= now - STRANGE))
