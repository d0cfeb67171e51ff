"""Requests to change the email address of an account."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from app.core.text import canonical_email
from app.db.database import Transaction
from app.db.guards import upsert
from app.db.lifetimes import is_unexpired
from app.db.records import read_record
from app.models import EmailChange, User

EMAIL_CHANGE_LIFETIME = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class EmailChangeRecord:
    """An open request, as shown to the owner of the account."""

    email: str
    expires_at: datetime


async def replace_email_change(
    transaction: Transaction, user_id: UUID, email: str, *, token_hash: str, expires_at: datetime
) -> None:
    """Store the request of an account, which replaces an earlier one."""
    values = {"user_id": user_id, "email": email, "token_hash": token_hash, "expires_at": expires_at}
    await upsert(transaction, EmailChange, values, changes=values, returning=EmailChange.user_id)


async def find_email_change(transaction: Transaction, user_id: UUID, now: datetime) -> EmailChangeRecord | None:
    """Return the open request of an account; ``None`` without one."""
    found = select(EmailChange.email, EmailChange.expires_at).where(
        EmailChange.user_id == user_id, is_unexpired(EmailChange.expires_at, now, EMAIL_CHANGE_LIFETIME)
    )
    row = (await transaction.execute(found)).one_or_none()
    return row and read_record(EmailChangeRecord, row)


async def redeem_email_change(transaction: Transaction, user_id: UUID, *, token_hash: str, now: datetime) -> str | None:
    """Delete the request of an account and return its address; ``None`` if the token is wrong or has expired.

    The transaction must have locked the account.
    """
    redeemed = delete(EmailChange).where(
        EmailChange.user_id == user_id,
        EmailChange.token_hash == token_hash,
        is_unexpired(EmailChange.expires_at, now, EMAIL_CHANGE_LIFETIME),
    )
    email: str | None = await transaction.scalar(redeemed.returning(EmailChange.email))
    return email


async def delete_email_change(transaction: Transaction, user_id: UUID) -> None:
    """Delete the request of an account. The transaction must have locked the account."""
    await transaction.execute(delete(EmailChange).where(EmailChange.user_id == user_id))


async def delete_expired_email_changes(transaction: Transaction, now: datetime) -> None:
    """Delete expired requests. Skips those that are locked."""
    expired = select(EmailChange.user_id).where(EmailChange.expires_at <= now).with_for_update(skip_locked=True)
    await transaction.execute(delete(EmailChange).where(EmailChange.user_id.in_(expired)))


async def update_email(transaction: Transaction, user_id: UUID, email: str, now: datetime) -> bool:
    """Change the address of an account and mark it as confirmed; return ``False`` if another account has the address.

    The transaction can then only be rolled back.
    """
    changed = update(User).where(User.id == user_id)
    values = {"email": email, "email_canonical": canonical_email(email), "email_confirmed_at": now}
    try:
        # There is no look-up first: of two simultaneous changes, only the constraint can tell which is the second.
        await transaction.execute(changed.values(values))
    except IntegrityError:
        return False
    return True
