"""Accounts and password resets."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, insert, select, update

from app.core.errors import DomainError
from app.core.permissions import Role
from app.core.security import hash_token
from app.core.text import canonical_email, search_key
from app.db.database import Transaction
from app.db.guards import insert_or_ignore
from app.db.lifetimes import is_recent, is_unexpired
from app.models import KnownDevice, PasswordReset, SecondFactor, User
from app.repositories.login_attempts import DEVICE_LIFETIME

RESET_TOKEN_LIFETIME = timedelta(minutes=30)
MAX_RESETS = 5
"""As many reset tokens of one account can be used at a time; more messages would be a nuisance."""


@dataclass(frozen=True, slots=True)
class UserRecord:
    """An account as its owner sees it."""

    id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime
    email_confirmed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a log-in is checked against."""

    user_id: UUID
    role: Role
    name: str
    password_hash: str
    second_factor: bool
    """Whether one is asked for."""
    proven_device: bool | None
    """Whether a second factor was shown on this device; ``None`` if the account was never logged in to with it."""

    @property
    def known_device(self) -> bool:
        """Whether somebody has logged in to the account with this device."""
        return self.proven_device is not None


async def insert_user(transaction: Transaction, user: UserRecord, password_hash: str) -> None:
    """Adds an account; ``email_taken`` if the address has one, in whatever spelling."""
    values = {
        "id": user.id,
        "email": user.email,
        "email_canonical": canonical_email(user.email),
        "name": user.name,
        "name_key": search_key(user.name),
        "role": user.role,
        "password_hash": password_hash,
        "created_at": user.created_at,
        "email_confirmed_at": user.email_confirmed_at,
    }
    if not await insert_or_ignore(transaction, User, values):
        raise DomainError("email_taken")


_RECORD = select(User.id, User.email, User.name, User.role, User.created_at, User.email_confirmed_at)
_MAY_LOG_IN = (User.suspended_at.is_(None), User.erased_at.is_(None))


async def find_credentials(
    transaction: Transaction, email: str, *, device: str | None, now: datetime
) -> Credentials | None:
    """What a log-in with this address, on this device, is checked against; who may not log in has none."""
    proven = select(KnownDevice.second_factor).where(
        KnownDevice.user_id == User.id,
        KnownDevice.device_hash == hash_token(device or ""),
        is_recent(KnownDevice.last_at, now, DEVICE_LIFETIME),
    )
    confirmed = exists().where(SecondFactor.user_id == User.id, SecondFactor.confirmed_at.is_not(None))
    row = (
        await transaction.execute(
            select(User.id, User.role, User.name, User.password_hash, confirmed, proven.scalar_subquery()).where(
                User.email_canonical == canonical_email(email), *_MAY_LOG_IN
            )
        )
    ).one_or_none()
    return Credentials(*row) if row else None


async def lock_user(transaction: Transaction, *user_ids: UUID) -> None:
    """Nobody else changes these accounts, or logs in to them, until the transaction ends."""
    ordered = select(User.id).where(User.id.in_(user_ids)).order_by(User.id)
    await transaction.execute(ordered.with_for_update(key_share=True))


async def is_erased(transaction: Transaction, user_id: UUID) -> bool:
    """Whether an account has been erased."""
    return bool(await transaction.scalar(select(exists().where(User.id == user_id, User.erased_at.is_not(None)))))


async def holds_password(
    transaction: Transaction, user_id: UUID, password_hash: str, *, to_change_it: bool = False
) -> bool:
    """Whether this is still the account's password, and she may log in; it stays so until the transaction ends.

    Many may ask at once, but one only ``to_change_it``: two who both were told so would wait for each other.
    """
    return (
        await transaction.scalar(
            select(User.id)
            .where(User.id == user_id, User.password_hash == password_hash, *_MAY_LOG_IN)
            .with_for_update(read=not to_change_it, key_share=to_change_it)
        )
        is not None
    )


async def get_user(transaction: Transaction, user_id: UUID) -> UserRecord:
    """An account as its owner sees it."""
    row = (await transaction.execute(_RECORD.where(User.id == user_id))).one()
    return UserRecord(*row)


async def find_user(transaction: Transaction, email: str) -> UserRecord | None:
    """The account of this address."""
    row = (await transaction.execute(_RECORD.where(User.email_canonical == canonical_email(email)))).one_or_none()
    return row and UserRecord(*row)


def _is_usable(now: datetime) -> ColumnElement[bool]:
    """Whether a reset token is young enough."""
    return is_unexpired(PasswordReset.expires_at, now, RESET_TOKEN_LIFETIME)


async def find_reset_recipient(transaction: Transaction, email: str, now: datetime) -> UserRecord | None:
    """The account of this address, unless ``MAX_RESETS`` valid reset tokens were sent to it already."""
    tokens = select(func.count()).where(PasswordReset.user_id == User.id, _is_usable(now))
    found = _RECORD.where(
        User.email_canonical == canonical_email(email), *_MAY_LOG_IN, tokens.scalar_subquery() < MAX_RESETS
    )
    row = (await transaction.execute(found)).one_or_none()
    return row and UserRecord(*row)


async def insert_password_reset(
    transaction: Transaction, user_id: UUID | None, *, token_hash: str, expires_at: datetime
) -> None:
    """Stores a reset token. Without an account the row cannot be used; it is stored to take as long."""
    await transaction.execute(
        insert(PasswordReset).values(token_hash=token_hash, user_id=user_id, expires_at=expires_at)
    )


async def delete_expired_password_resets(transaction: Transaction, now: datetime) -> None:
    """Forgets the reset tokens that can no longer be used."""
    # Two who sweep at once take different rows; waiting for each other's could be a deadlock.
    expired = select(PasswordReset.token_hash).where(PasswordReset.expires_at <= now).with_for_update(skip_locked=True)
    await transaction.execute(delete(PasswordReset).where(PasswordReset.token_hash.in_(expired)))


async def find_password_reset(transaction: Transaction, *, token_hash: str, now: datetime) -> UserRecord | None:
    """The account whose password may be set with this token."""
    found = _RECORD.join(PasswordReset, PasswordReset.user_id == User.id).where(
        PasswordReset.token_hash == token_hash, _is_usable(now), *_MAY_LOG_IN
    )
    row = (await transaction.execute(found)).one_or_none()
    return row and UserRecord(*row)


async def redeem_password_reset(transaction: Transaction, user_id: UUID, *, token_hash: str, now: datetime) -> bool:
    """Uses up a reset token, and all others of the account; of two attempts at once one succeeds.

    Tokens that have expired are left to be swept away.
    """
    # Another token of this account that is redeemed waits here: deleting each other's tokens would be a deadlock.
    # A request for a new one does not wait, for its row only needs the key of the account.
    may_log_in = select(User.id).where(User.id == user_id, *_MAY_LOG_IN).with_for_update(key_share=True)
    if await transaction.scalar(may_log_in) is None:
        return False
    redeemed = await transaction.scalars(
        delete(PasswordReset)
        .where(PasswordReset.user_id == user_id, _is_usable(now))
        .returning(PasswordReset.token_hash)
    )
    return token_hash in redeemed.all()


async def delete_password_resets(transaction: Transaction, user_id: UUID) -> None:
    """Ends every reset token of an account, which the transaction has locked."""
    await transaction.execute(delete(PasswordReset).where(PasswordReset.user_id == user_id))


async def update_name(transaction: Transaction, user_id: UUID, name: str) -> UserRecord:
    """Gives an account another name; ``not_authenticated`` if it was erased while this waited."""
    renamed = (
        update(User).where(User.id == user_id, User.erased_at.is_(None)).values(name=name, name_key=search_key(name))
    )
    row = (await transaction.execute(renamed.returning(*_RECORD.selected_columns))).one_or_none()
    if row is None:
        raise DomainError("not_authenticated")
    return UserRecord(*row)


async def update_password(transaction: Transaction, user_id: UUID, password_hash: str) -> None:
    """Sets a new password."""
    await transaction.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))


async def renew_password_hash(transaction: Transaction, user_id: UUID, password_hash: str, *, instead_of: str) -> None:
    """Stores another hash of the same password, unless the password has changed meanwhile."""
    await transaction.execute(
        update(User).where(User.id == user_id, User.password_hash == instead_of).values(password_hash=password_hash)
    )
