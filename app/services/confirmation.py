"""Confirm email addresses, and limit how many messages an address receives (ADR 0035)."""

from datetime import datetime
from math import ceil
from uuid import UUID

from app.core.errors import DomainError
from app.core.mail_kinds import MailKind
from app.core.permissions import Actor, Role
from app.core.security import derive_key, hash_token, keyed_hash, new_token
from app.core.settings import Settings
from app.core.text import canonical_email
from app.db.database import Transaction
from app.repositories import accounts, confirmations, mail_counts, users
from app.repositories.confirmations import CONFIRMATION_TOKEN_LIFETIME


async def issue_token(transaction: Transaction, user_id: UUID, now: datetime) -> str:
    """Return a new confirmation token, to be mailed. Earlier tokens of the account become invalid."""
    token = new_token()
    expires_at = now + CONFIRMATION_TOKEN_LIFETIME
    await confirmations.replace_token(transaction, user_id, token_hash=hash_token(token), expires_at=expires_at)
    return token


async def request_confirmation(
    transaction: Transaction, settings: Settings, actor: Actor, now: datetime
) -> tuple[str, str] | None:
    """Return the actor's address and a new token to be mailed; ``None`` if the address is confirmed already.

    Raises ``too_many_messages`` if the address has received too many within the hour.
    """
    if actor.email_confirmed:
        return None
    user = await users.get_user(transaction, actor.id)
    await require_message(transaction, settings, MailKind.EMAIL_CONFIRMATION, user.email, now)
    return user.email, await issue_token(transaction, actor.id, now)


async def confirm_email(transaction: Transaction, settings: Settings, actor: Actor, token: str, now: datetime) -> None:
    """Confirm the actor's address. Raises ``invalid_confirmation_token`` if this is not its newest token.

    Needs a session and a token: with the token alone, the owner of a mailbox could confirm, by mistake, an account
    that a stranger has registered. A doctor is listed from now on if only the confirmation was missing.
    """
    if actor.role is Role.DOCTOR:
        await list_if_confirmed(transaction, settings, actor.id, now)
    if not await confirmations.redeem_token(transaction, actor.id, token_hash=hash_token(token), now=now):
        raise DomainError("invalid_confirmation_token")


async def list_if_confirmed(transaction: Transaction, settings: Settings, doctor_id: UUID, now: datetime) -> None:
    """List a doctor whose address is being confirmed, unless an administrator must approve doctors."""
    if not settings.requires_doctor_approval:
        # This comes before the change of the account: every change of a doctor locks the doctor before the account.
        await accounts.approve_doctor(transaction, doctor_id, now)


async def require_message(
    transaction: Transaction, settings: Settings, kind: MailKind, address: str, now: datetime
) -> None:
    """Count a message of one kind to an address. Raises ``too_many_messages`` after too many within the hour."""
    if not await count_message(transaction, settings, kind, address, now):
        end = await mail_counts.get_hour_end(transaction, _count_key(settings, kind, address)) or now
        raise DomainError("too_many_messages", retry_after=max(1, ceil((end - now).total_seconds())))


async def count_message(
    transaction: Transaction, settings: Settings, kind: MailKind, address: str, now: datetime
) -> bool:
    """Count a message of one kind to an address; return ``False`` if it has had too many within the hour."""
    limit = settings.max_mails_per_hour
    if kind is MailKind.PASSWORD_RESET:
        # A reset token is valid for half an hour. With a lower limit, a stranger who requests all of them at once
        # would leave the owner without one for the rest of the hour.
        limit *= 2
    return await mail_counts.count_mail(transaction, _count_key(settings, kind, address), limit=limit, now=now)


def _count_key(settings: Settings, kind: MailKind, address: str) -> str:
    # By address instead of account: erasing an account and registering again must not begin a new count (ADR 0035).
    key = derive_key(settings.secret_key.get_secret_value(), "mail counts")
    return keyed_hash(key, f"{kind}\n{canonical_email(address)}")
