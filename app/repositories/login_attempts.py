"""How often somebody has tried to log in, and from which devices somebody has logged in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, delete, or_, select, tuple_, update

from app.core.security import hash_token
from app.db.database import Transaction
from app.db.guards import upsert
from app.db.lifetimes import is_over, is_recent
from app.models import KnownDevice, LoginAttempt

FORGET_AFTER = timedelta(days=1)
MAX_WAIT = timedelta(minutes=15)
"""No attempt has to wait longer. A block beyond it was set by a clock that was ahead, and counts as none."""
DEVICE_LIFETIME = timedelta(days=90)
MAX_KNOWN_DEVICES = 50
"""How many devices of each kind are remembered for one account."""
MAX_DELETED_DEVICES = 10_000
"""Devices that one sweep deletes; the next one goes on."""


async def count_attempt(transaction: Transaction, key_hash: str, group_hash: str, now: datetime) -> int | None:
    """How many attempts there were with this one; ``None``, and it does not count, while they are blocked.

    After a day without any, counting begins anew.
    """
    return await upsert(
        transaction,
        LoginAttempt,
        # Clocks differ: another server must not take the beginning for a block.
        {
            "key_hash": key_hash,
            "group_hash": group_hash,
            "attempts": 1,
            "last_at": now,
            "blocked_until": now - FORGET_AFTER,
        },
        changes={
            "attempts": case((is_recent(LoginAttempt.last_at, now, FORGET_AFTER), LoginAttempt.attempts + 1), else_=1),
            "last_at": now,
        },
        only_if=_is_free(now),
        returning=LoginAttempt.attempts,
    )


def _is_free(now: datetime) -> ColumnElement[bool]:
    """Whether attempts are not blocked."""
    return or_(LoginAttempt.blocked_until <= now, LoginAttempt.blocked_until > now + MAX_WAIT)


async def block(transaction: Transaction, key_hash: str, until: datetime) -> None:
    """Allows no attempt before ``until``."""
    await transaction.execute(update(LoginAttempt).where(LoginAttempt.key_hash == key_hash).values(blocked_until=until))


async def get_block(transaction: Transaction, key_hash: str) -> datetime | None:
    """Until when attempts are blocked."""
    blocked_until: datetime | None = await transaction.scalar(
        select(LoginAttempt.blocked_until).where(LoginAttempt.key_hash == key_hash)
    )
    return blocked_until


async def forget_attempts(transaction: Transaction, key_hashes: Sequence[str]) -> None:
    """Begins to count anew."""
    # One by one and in the order in which they are counted: in another one two requests could wait for each other.
    for key_hash in key_hashes:
        await transaction.execute(delete(LoginAttempt).where(LoginAttempt.key_hash == key_hash))


async def forget_group(transaction: Transaction, group_hash: str) -> None:
    """Begins all counts of a group anew."""
    # The networks before the whole group, as they are counted.
    keys = select(LoginAttempt.key_hash).where(LoginAttempt.group_hash == group_hash)
    in_order = keys.order_by(LoginAttempt.key_hash == group_hash, LoginAttempt.key_hash).with_for_update()
    found = (await transaction.scalars(in_order)).all()
    await transaction.execute(delete(LoginAttempt).where(LoginAttempt.key_hash.in_(found)))


async def remember_device(
    transaction: Transaction, user_id: UUID, device: str, now: datetime, *, keeps_cookie: bool, second_factor: bool
) -> None:
    """Notes a log-in with this device, whether it sent its cookie, and whether a second factor was shown.

    Of more than ``MAX_KNOWN_DEVICES`` of its kind, those not used for longest are forgotten. A program that drops its
    cookies is a new device at each log-in, and so takes the place of no browser that keeps them.
    """
    values = {
        "user_id": user_id,
        "device_hash": hash_token(device),
        "last_at": now,
        "second_factor": second_factor,
        "keeps_cookie": keeps_cookie,
    }
    changes: dict[str, Any] = {"last_at": now}
    if second_factor:
        changes["second_factor"] = True
    if keeps_cookie:
        changes["keeps_cookie"] = True
    await upsert(transaction, KnownDevice, values, changes=changes, returning=KnownDevice.last_at)
    surplus = (
        select(KnownDevice.device_hash)
        .where(KnownDevice.user_id == user_id, KnownDevice.keeps_cookie == keeps_cookie)
        # What was written while the clock was ahead comes last.
        .order_by(is_over(KnownDevice.last_at, now, DEVICE_LIFETIME), KnownDevice.last_at.desc())
        .offset(MAX_KNOWN_DEVICES)
    )
    # Two log-ins at once must not wait for each other's devices.
    free = (
        select(KnownDevice.device_hash)
        .where(KnownDevice.user_id == user_id, KnownDevice.device_hash.in_(surplus))
        .with_for_update(skip_locked=True)
    )
    await transaction.execute(
        delete(KnownDevice).where(KnownDevice.user_id == user_id, KnownDevice.device_hash.in_(free))
    )


async def forget_devices(transaction: Transaction, user_id: UUID, *, keep: str | None) -> None:
    """Forgets the devices that have shown nothing but the password from before, except one."""
    others = KnownDevice.device_hash != hash_token(keep or "")
    unproven = ~KnownDevice.second_factor
    await transaction.execute(delete(KnownDevice).where(KnownDevice.user_id == user_id, unproven, others))


@dataclass(frozen=True, slots=True)
class KnownDeviceRecord:
    """A device with which somebody has logged in."""

    last_at: datetime


async def list_known_devices(transaction: Transaction, user_id: UUID) -> Sequence[KnownDeviceRecord]:
    """The devices with which somebody has logged in, the last one first."""
    found = select(KnownDevice.last_at).where(KnownDevice.user_id == user_id)
    return [
        KnownDeviceRecord(last_at) for last_at in await transaction.scalars(found.order_by(KnownDevice.last_at.desc()))
    ]


async def delete_old_attempts(transaction: Transaction, now: datetime) -> None:
    """Deletes what is forgotten anyway."""
    # What somebody is just counting is left; waiting for it could be a deadlock.
    forgotten = (
        select(LoginAttempt.key_hash)
        .where(is_over(LoginAttempt.last_at, now, FORGET_AFTER), _is_free(now))
        .with_for_update(skip_locked=True)
    )
    await transaction.execute(delete(LoginAttempt).where(LoginAttempt.key_hash.in_(forgotten)))


async def delete_old_devices(transaction: Transaction, now: datetime) -> None:
    """Deletes devices that are not known any more, the oldest first, at most ``MAX_DELETED_DEVICES``."""
    forgotten = (
        select(KnownDevice.user_id, KnownDevice.device_hash)
        .where(KnownDevice.last_at <= now - DEVICE_LIFETIME)
        .order_by(KnownDevice.last_at)
        .limit(MAX_DELETED_DEVICES)
        .with_for_update(skip_locked=True)
        # Selected once: PostgreSQL may run a subquery for each row, and would find the next ones each time.
        .cte("forgotten")
    )
    device = tuple_(KnownDevice.user_id, KnownDevice.device_hash)
    chosen = select(forgotten.c.user_id, forgotten.c.device_hash)
    await transaction.execute(delete(KnownDevice).where(device.in_(chosen)))
