"""How often somebody has tried to log in, and from which devices somebody has logged in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, case, delete, func, not_, or_, select, tuple_, update

from app.core.security import hash_token
from app.db.guards import upsert
from app.db.lifetimes import is_recent
from app.db.session import Session
from app.models import KnownDevice, LoginAttempt

FORGOTTEN = timedelta(days=1)
MAX_WAIT = timedelta(minutes=15)
"""No attempt has to wait longer. A block beyond it was set by a clock that was ahead, and counts as none."""
KNOWN_FOR = timedelta(days=90)
MAX_KNOWN_DEVICES = 100
"""Devices that are remembered for one account; the one not used for longest is forgotten first."""


async def count_attempt(session: Session, key_hash: str, group_hash: str, now: datetime) -> int | None:
    """How many attempts there were with this one; ``None``, and it does not count, while they are blocked.

    After a day without any, counting begins anew.
    """
    return await upsert(
        session,
        LoginAttempt,
        # Clocks differ: another server must not take the beginning for a block.
        {
            "key_hash": key_hash,
            "group_hash": group_hash,
            "attempts": 1,
            "last_at": now,
            "blocked_until": now - FORGOTTEN,
        },
        changes={
            "attempts": case((is_recent(LoginAttempt.last_at, now, FORGOTTEN), LoginAttempt.attempts + 1), else_=1),
            "last_at": now,
        },
        only_if=_is_free(now),
        returning=LoginAttempt.attempts,
    )


def _is_free(now: datetime) -> ColumnElement[bool]:
    """Whether attempts are not blocked."""
    return or_(LoginAttempt.blocked_until <= now, LoginAttempt.blocked_until > now + MAX_WAIT)


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
    # One by one and in the order in which they are counted: in another one two requests could wait for each other.
    for key_hash in key_hashes:
        await session.execute(delete(LoginAttempt).where(LoginAttempt.key_hash == key_hash))


async def forget_group(session: Session, group_hash: str) -> None:
    """Begins all counts of a group anew."""
    # The networks before the whole group, as they are counted.
    keys = select(LoginAttempt.key_hash).where(LoginAttempt.group_hash == group_hash)
    in_order = keys.order_by(LoginAttempt.key_hash == group_hash, LoginAttempt.key_hash).with_for_update()
    found = (await session.scalars(in_order)).all()
    await session.execute(delete(LoginAttempt).where(LoginAttempt.key_hash.in_(found)))


async def remember_device(session: Session, user_id: UUID, device: str, now: datetime, *, second_factor: bool) -> None:
    """Notes that somebody has logged in with this device, and whether a second factor was shown."""
    values = {
        "user_id": user_id,
        "device_hash": hash_token(device),
        "last_at": now,
        "second_factor": second_factor,
    }
    changes = {"last_at": now} | ({"second_factor": True} if second_factor else {})
    await upsert(session, KnownDevice, values, changes=changes, returning=KnownDevice.last_at)


async def forget_devices(session: Session, user_id: UUID, *, keep: str | None) -> None:
    """Forgets the devices that have shown nothing but the password from before, except one."""
    others = KnownDevice.device_hash != hash_token(keep or "")
    unproven = ~KnownDevice.second_factor
    await session.execute(delete(KnownDevice).where(KnownDevice.user_id == user_id, unproven, others))


@dataclass(frozen=True, slots=True)
class KnownDeviceRecord:
    """A device with which somebody has logged in."""

    last_at: datetime


async def list_known_devices(session: Session, user_id: UUID) -> Sequence[KnownDeviceRecord]:
    """The devices with which somebody has logged in, the last one first."""
    found = select(KnownDevice.last_at).where(KnownDevice.user_id == user_id)
    return [KnownDeviceRecord(last_at) for last_at in await session.scalars(found.order_by(KnownDevice.last_at.desc()))]


async def sweep_attempts(session: Session, now: datetime) -> None:
    """Deletes what is forgotten anyway."""
    # What somebody is just counting is left; waiting for it could be a deadlock.
    forgotten = (
        select(LoginAttempt.key_hash)
        .where(not_(is_recent(LoginAttempt.last_at, now, FORGOTTEN)), _is_free(now))
        .with_for_update(skip_locked=True)
    )
    await session.execute(delete(LoginAttempt).where(LoginAttempt.key_hash.in_(forgotten)))
    await session.execute(delete(KnownDevice).where(KnownDevice.last_at <= now - KNOWN_FOR))
    newest_first = func.row_number().over(partition_by=KnownDevice.user_id, order_by=KnownDevice.last_at.desc())
    ranked = select(KnownDevice.user_id, KnownDevice.device_hash, newest_first.label("place")).subquery()
    surplus = select(ranked.c.user_id, ranked.c.device_hash).where(ranked.c.place > MAX_KNOWN_DEVICES)
    await session.execute(delete(KnownDevice).where(tuple_(KnownDevice.user_id, KnownDevice.device_hash).in_(surplus)))
