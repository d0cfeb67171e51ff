"""Counters of log-in attempts, and the devices that have logged in to an account."""

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
"""The longest time that an attempt must wait. A longer block was set by a clock that was ahead, and is ignored."""
DEVICE_LIFETIME = timedelta(days=90)
MAX_KNOWN_DEVICES = 50
"""How many devices that keep cookies are stored for one account, and how many that do not."""
MAX_DELETED_DEVICES = 10_000
"""How many devices one cleanup deletes. The next cleanup continues."""


async def count_attempt(transaction: Transaction, key_hash: str, group_hash: str, now: datetime) -> int | None:
    """Count an attempt; return the number of attempts including this one.

    While attempts are blocked, returns ``None`` and does not count. A day without attempts resets the count.
    """
    return await upsert(
        transaction,
        LoginAttempt,
        # In the past, so that a server whose clock is behind does not take the initial value for a block.
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
        # In the statement that counts, so that simultaneous attempts cannot all pass (ADR 0033).
        only_if=_is_free(now),
        returning=LoginAttempt.attempts,
    )


def _is_free(now: datetime) -> ColumnElement[bool]:
    """Match counters that are not blocked."""
    return or_(LoginAttempt.blocked_until <= now, LoginAttempt.blocked_until > now + MAX_WAIT)


async def block(transaction: Transaction, key_hash: str, until: datetime) -> None:
    """Block attempts until ``until``."""
    await transaction.execute(update(LoginAttempt).where(LoginAttempt.key_hash == key_hash).values(blocked_until=until))


async def get_block(transaction: Transaction, key_hash: str) -> datetime | None:
    """Return the time until which attempts are blocked; ``None`` if none were counted."""
    blocked_until: datetime | None = await transaction.scalar(
        select(LoginAttempt.blocked_until).where(LoginAttempt.key_hash == key_hash)
    )
    return blocked_until


async def forget_attempts(transaction: Transaction, key_hashes: Sequence[str]) -> None:
    """Delete counters, which resets them."""
    # One by one, in the order in which they are counted. In another order, two requests could deadlock.
    for key_hash in key_hashes:
        await transaction.execute(delete(LoginAttempt).where(LoginAttempt.key_hash == key_hash))


async def forget_group(transaction: Transaction, group_hash: str) -> None:
    """Delete all counters of a group, which resets them."""
    # Locked in the order in which they are counted, networks before the group, to avoid deadlocks.
    keys = select(LoginAttempt.key_hash).where(LoginAttempt.group_hash == group_hash)
    in_order = keys.order_by(LoginAttempt.key_hash == group_hash, LoginAttempt.key_hash).with_for_update()
    found = (await transaction.scalars(in_order)).all()
    await transaction.execute(delete(LoginAttempt).where(LoginAttempt.key_hash.in_(found)))


async def remember_device(
    transaction: Transaction, user_id: UUID, device: str, now: datetime, *, keeps_cookie: bool, second_factor: bool
) -> None:
    """Record a log-in with a device, whether the device has sent its cookie, and whether a second factor was used.

    If there are more than ``MAX_KNOWN_DEVICES``, the least recently used are deleted. Devices that keep their
    cookie and devices that do not are counted separately: a program that drops its cookies is a new device at each
    log-in, and must not displace browsers.
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
        # Devices that were recorded while a clock was ahead come last.
        .order_by(is_over(KnownDevice.last_at, now, DEVICE_LIFETIME), KnownDevice.last_at.desc())
        .offset(MAX_KNOWN_DEVICES)
    )
    # Locked rows are skipped, so that concurrent log-ins cannot deadlock on each other's devices.
    free = (
        select(KnownDevice.device_hash)
        .where(KnownDevice.user_id == user_id, KnownDevice.device_hash.in_(surplus))
        .with_for_update(skip_locked=True)
    )
    await transaction.execute(
        delete(KnownDevice).where(KnownDevice.user_id == user_id, KnownDevice.device_hash.in_(free))
    )


async def forget_devices(transaction: Transaction, user_id: UUID, *, keep: str | None) -> None:
    """Delete the devices that have only used the old password and no second factor, except ``keep``."""
    others = KnownDevice.device_hash != hash_token(keep or "")
    # A thief may have made them known, to get more free guesses at the new password (ADR 0033).
    unproven = ~KnownDevice.second_factor
    await transaction.execute(delete(KnownDevice).where(KnownDevice.user_id == user_id, unproven, others))


@dataclass(frozen=True, slots=True)
class KnownDeviceRecord:
    """A device that has logged in to the account."""

    last_at: datetime


async def list_known_devices(transaction: Transaction, user_id: UUID) -> Sequence[KnownDeviceRecord]:
    """Return the devices that have logged in to an account, the latest one first."""
    found = select(KnownDevice.last_at).where(KnownDevice.user_id == user_id)
    return [
        KnownDeviceRecord(last_at) for last_at in await transaction.scalars(found.order_by(KnownDevice.last_at.desc()))
    ]


async def delete_old_attempts(transaction: Transaction, now: datetime) -> None:
    """Delete counters that have no effect any more."""
    # Counters that are being updated are skipped: waiting for them could deadlock.
    forgotten = (
        select(LoginAttempt.key_hash)
        .where(is_over(LoginAttempt.last_at, now, FORGET_AFTER), _is_free(now))
        .with_for_update(skip_locked=True)
    )
    await transaction.execute(delete(LoginAttempt).where(LoginAttempt.key_hash.in_(forgotten)))


async def delete_old_devices(transaction: Transaction, now: datetime) -> None:
    """Delete expired devices, the oldest first, at most ``MAX_DELETED_DEVICES``."""
    forgotten = (
        select(KnownDevice.user_id, KnownDevice.device_hash)
        .where(KnownDevice.last_at <= now - DEVICE_LIFETIME)
        .order_by(KnownDevice.last_at)
        .limit(MAX_DELETED_DEVICES)
        .with_for_update(skip_locked=True)
        # As a CTE, which runs once. PostgreSQL may run a subquery once per row, and would find further rows each time.
        .cte("forgotten")
    )
    device = tuple_(KnownDevice.user_id, KnownDevice.device_hash)
    chosen = select(forgotten.c.user_id, forgotten.c.device_hash)
    await transaction.execute(delete(KnownDevice).where(device.in_(chosen)))
