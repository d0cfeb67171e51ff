"""Confirmed email addresses, and the tokens that confirm them."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, update

from app.db.database import Transaction
from app.db.guards import upsert
from app.db.lifetimes import is_unexpired
from app.models import EmailConfirmation, User

CONFIRMATION_TOKEN_LIFETIME = timedelta(hours=24)


async def replace_token(transaction: Transaction, user_id: UUID, *, token_hash: str, expires_at: datetime) -> None:
    """Store a confirmation token of an account, which replaces an earlier one."""
    values = {"user_id": user_id, "token_hash": token_hash, "expires_at": expires_at}
    await upsert(transaction, EmailConfirmation, values, changes=values, returning=EmailConfirmation.user_id)


async def redeem_token(transaction: Transaction, user_id: UUID, *, token_hash: str, now: datetime) -> bool:
    """Confirm the address of an account; return whether the token was right and not expired. A token works once."""
    valid = exists().where(
        EmailConfirmation.user_id == user_id,
        EmailConfirmation.token_hash == token_hash,
        is_unexpired(EmailConfirmation.expires_at, now, CONFIRMATION_TOKEN_LIFETIME),
    )
    return await _confirm(transaction, user_id, now, only_if=valid)


async def confirm_email(transaction: Transaction, user_id: UUID, now: datetime) -> None:
    """Mark the address of an account as confirmed. If it was confirmed earlier, that time is kept."""
    await _confirm(transaction, user_id, now)


async def _confirm(
    transaction: Transaction, user_id: UUID, now: datetime, *, only_if: ColumnElement[bool] | None = None
) -> bool:
    # The account is locked before its token, in the same order as in an erasure.
    confirmed = update(User).where(User.id == user_id, User.erased_at.is_(None))
    if only_if is not None:
        confirmed = confirmed.where(only_if)
    values = {"email_confirmed_at": func.coalesce(User.email_confirmed_at, now)}
    if await transaction.scalar(confirmed.values(values).returning(User.id)) is None:
        return False
    await delete_token(transaction, user_id)
    return True


async def delete_token(transaction: Transaction, user_id: UUID) -> None:
    """Delete the confirmation token of an account. The transaction must have locked the account."""
    await transaction.execute(delete(EmailConfirmation).where(EmailConfirmation.user_id == user_id))
