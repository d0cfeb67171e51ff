"""Second factors and recovery codes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, insert, or_, select, update

from app.core.one_time_codes import MAX_STEPS_APART
from app.db.database import Transaction
from app.db.guards import upsert
from app.db.records import read_record
from app.models import KnownDevice, RecoveryCode, SecondFactor


@dataclass(frozen=True, slots=True)
class SecondFactorRecord:
    """An authenticator with its encrypted secret."""

    secret: str
    confirmed_at: datetime | None


async def find_second_factor(
    transaction: Transaction, user_id: UUID, *, for_update: bool = False
) -> SecondFactorRecord | None:
    """Return the authenticator of an account, confirmed or not; ``None`` if there is none."""
    found = select(SecondFactor.secret, SecondFactor.confirmed_at).where(SecondFactor.user_id == user_id)
    if for_update:
        found = found.with_for_update()
    row = (await transaction.execute(found)).one_or_none()
    return row and read_record(SecondFactorRecord, row)


async def begin_second_factor(transaction: Transaction, user_id: UUID, secret: str) -> bool:
    """Store the secret of a new authenticator. It is not required at log-in until it is confirmed.

    It replaces an authenticator that is not confirmed. Returns ``False`` if there is a confirmed one.
    """
    values = {"user_id": user_id, "secret": secret}
    unconfirmed = SecondFactor.confirmed_at.is_(None)
    stored = await upsert(
        transaction,
        SecondFactor,
        values,
        # The used steps belong to the old secret.
        changes={"secret": secret, "last_step": 0},
        only_if=unconfirmed,
        returning=SecondFactor.user_id,
    )
    return stored is not None


async def confirm_second_factor(transaction: Transaction, user_id: UUID, now: datetime) -> None:
    """Mark the authenticator as confirmed, so that it is required from now on."""
    await transaction.execute(update(SecondFactor).where(SecondFactor.user_id == user_id).values(confirmed_at=now))


async def use_time_step(transaction: Transaction, user_id: UUID, step: int) -> bool:
    """Mark the codes up to a time step as used; return ``False`` if this one was used already."""
    # A code works once (RFC 6238 section 5.2). The condition decides, so only one of two concurrent attempts succeeds.
    newer = update(SecondFactor).where(
        SecondFactor.user_id == user_id,
        # A step that is further ahead than clocks may differ was used while the server's clock was ahead.
        or_(SecondFactor.last_step < step, SecondFactor.last_step > step + 2 * MAX_STEPS_APART),
    )
    return await transaction.scalar(newer.values(last_step=step).returning(SecondFactor.user_id)) is not None


async def delete_second_factor(transaction: Transaction, user_id: UUID) -> bool:
    """Delete the second factor of an account; return whether it was confirmed."""
    await transaction.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    # No device has shown a code of the next factor yet.
    await transaction.execute(update(KnownDevice).where(KnownDevice.user_id == user_id).values(second_factor=False))
    deleted = delete(SecondFactor).where(SecondFactor.user_id == user_id)
    return await transaction.scalar(deleted.returning(SecondFactor.confirmed_at)) is not None


async def replace_recovery_codes(transaction: Transaction, user_id: UUID, code_hashes: Sequence[str]) -> None:
    """Replace all recovery codes of an account."""
    await transaction.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    await transaction.execute(
        insert(RecoveryCode), [{"user_id": user_id, "code_hash": code_hash} for code_hash in code_hashes]
    )


async def use_recovery_code(transaction: Transaction, user_id: UUID, code_hash: str) -> bool:
    """Delete a recovery code that is used; return ``False`` if the account does not have it (any more)."""
    used = delete(RecoveryCode).where(RecoveryCode.code_hash == code_hash, RecoveryCode.user_id == user_id)
    return await transaction.scalar(used.returning(RecoveryCode.code_hash)) is not None


async def count_recovery_codes(transaction: Transaction, user_id: UUID) -> int:
    """Return how many recovery codes are left."""
    counted = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == user_id)
    return await transaction.scalar(counted) or 0
