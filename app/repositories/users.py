"""Accounts and password resets."""

from collections.abc import Sequence
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
from app.db.records import read_record
from app.models import KnownDevice, PasswordReset, Patient, SecondFactor, User
from app.repositories.login_attempts import DEVICE_LIFETIME
from app.repositories.patient_words import index_patient

RESET_TOKEN_LIFETIME = timedelta(minutes=30)
MAX_RESETS = 5
"""How many reset tokens of an account can be valid at a time, so that strangers cannot flood its owner with mails."""


@dataclass(frozen=True, slots=True)
class UserRecord:
    """An account, as shown to its owner."""

    id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime
    email_confirmed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """The data with which a log-in is checked."""

    user_id: UUID
    role: Role
    name: str
    password_hash: str
    second_factor: bool
    """Whether the account has a confirmed second factor."""
    proven_device: bool | None
    """Whether a second factor was used on this device; ``None`` if this device has never logged in to the account."""

    @property
    def known_device(self) -> bool:
        """Whether this device has logged in to the account before."""
        return self.proven_device is not None


async def insert_user(transaction: Transaction, user: UserRecord, password_hash: str) -> None:
    """Insert an account. Raises ``email_taken`` if the address, in canonical form, has one."""
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
    # There is no look-up first: of two simultaneous registrations, only the constraint can tell which is the second.
    if not await insert_or_ignore(transaction, User, values):
        raise DomainError("email_taken")


_RECORD = select(User.id, User.email, User.name, User.role, User.created_at, User.email_confirmed_at)
_MAY_LOG_IN = (User.suspended_at.is_(None), User.erased_at.is_(None))


async def find_credentials(
    transaction: Transaction, email: str, *, device: str | None, now: datetime
) -> Credentials | None:
    """Return the credentials of an address for a log-in on a device; ``None`` without an account that may log in."""
    proven = select(KnownDevice.second_factor).where(
        KnownDevice.user_id == User.id,
        # No device has an empty cookie, so a client without one is not known.
        KnownDevice.device_hash == hash_token(device or ""),
        is_recent(KnownDevice.last_at, now, DEVICE_LIFETIME),
    )
    confirmed = exists().where(SecondFactor.user_id == User.id, SecondFactor.confirmed_at.is_not(None))
    row = (
        await transaction.execute(
            select(
                User.id.label("user_id"),
                User.role,
                User.name,
                User.password_hash,
                confirmed.label("second_factor"),
                proven.label("proven_device"),
            ).where(User.email_canonical == canonical_email(email), *_MAY_LOG_IN)
        )
    ).one_or_none()
    return read_record(Credentials, row) if row else None


async def lock_user(transaction: Transaction, *user_ids: UUID) -> None:
    """Lock accounts against changes and log-ins until the transaction ends."""
    # In one order, to avoid deadlocks. With `key_share` (FOR NO KEY UPDATE), inserts that refer to the account, such as
    # bookings, do not wait.
    ordered = select(User.id).where(User.id.in_(user_ids)).order_by(User.id)
    await transaction.execute(ordered.with_for_update(key_share=True))


async def lock_user_to_change_address(transaction: Transaction, user_id: UUID) -> UserRecord | None:
    """Return an account that may log in, and lock it until the transaction ends; ``None`` if it may not.

    Requests for a password reset and log-ins that have found the account by its address are finished before, or wait
    and then do not find it.
    """
    # FOR UPDATE, which the change of a unique column takes anyway. Taken later, in addition to a weaker lock, it could
    # deadlock.
    found = _RECORD.where(User.id == user_id, *_MAY_LOG_IN).with_for_update()
    row = (await transaction.execute(found)).one_or_none()
    return row and read_record(UserRecord, row)


async def is_erased(transaction: Transaction, user_id: UUID) -> bool:
    """Return whether an account has been erased."""
    return bool(await transaction.scalar(select(exists().where(User.id == user_id, User.erased_at.is_not(None)))))


async def holds_credentials(
    transaction: Transaction, user_id: UUID, email: str, password_hash: str, *, to_change_it: bool = False
) -> bool:
    """Return whether the account still has this address and password, and lock it until the transaction ends.

    Returns ``False`` for an account that may not log in.

    The lock is shared, unless ``to_change_it``: two transactions with a shared lock that both want to change the
    password would deadlock.
    """
    return (
        await transaction.scalar(
            select(User.id)
            .where(
                User.id == user_id,
                User.email_canonical == canonical_email(email),
                User.password_hash == password_hash,
                *_MAY_LOG_IN,
            )
            .with_for_update(read=not to_change_it, key_share=to_change_it)
        )
        is not None
    )


async def get_user(transaction: Transaction, user_id: UUID) -> UserRecord:
    """Return an account, which must exist."""
    row = (await transaction.execute(_RECORD.where(User.id == user_id))).one()
    return read_record(UserRecord, row)


async def find_user(transaction: Transaction, email: str) -> UserRecord | None:
    """Return the account of an address; ``None`` if there is none."""
    row = (await transaction.execute(_RECORD.where(User.email_canonical == canonical_email(email)))).one_or_none()
    return row and read_record(UserRecord, row)


def _is_usable(now: datetime) -> ColumnElement[bool]:
    """Match reset tokens that have not expired."""
    return is_unexpired(PasswordReset.expires_at, now, RESET_TOKEN_LIFETIME)


async def find_reset_recipient(transaction: Transaction, email: str, now: datetime) -> UserRecord | None:
    """Return the account of an address if it may log in and has fewer than ``MAX_RESETS`` valid reset tokens.

    Its address cannot change until the transaction ends.
    """
    tokens = select(func.count()).where(PasswordReset.user_id == User.id, _is_usable(now))
    found = _RECORD.where(
        User.email_canonical == canonical_email(email), *_MAY_LOG_IN, tokens.scalar_subquery() < MAX_RESETS
    )
    # The same lock as that of the token that will be inserted. Without it, a change of the address could be committed
    # between the two statements, and the old mailbox would receive a token that works.
    found = found.with_for_update(read=True, key_share=True, of=User)
    row = (await transaction.execute(found)).one_or_none()
    return row and read_record(UserRecord, row)


async def insert_password_reset(
    transaction: Transaction, user_id: UUID | None, *, token_hash: str, expires_at: datetime
) -> None:
    """Store a reset token. Without an account it cannot be used, and is stored only to take the same time."""
    await transaction.execute(
        insert(PasswordReset).values(token_hash=token_hash, user_id=user_id, expires_at=expires_at)
    )


async def delete_expired_password_resets(transaction: Transaction, now: datetime) -> None:
    """Delete expired reset tokens."""
    # Locked rows are skipped, so that concurrent calls cannot deadlock.
    expired = select(PasswordReset.token_hash).where(PasswordReset.expires_at <= now).with_for_update(skip_locked=True)
    await transaction.execute(delete(PasswordReset).where(PasswordReset.token_hash.in_(expired)))


async def find_password_reset(transaction: Transaction, *, token_hash: str, now: datetime) -> UserRecord | None:
    """Return the account whose password can be reset with this token; ``None`` if the token cannot be used."""
    found = _RECORD.join(PasswordReset, PasswordReset.user_id == User.id).where(
        PasswordReset.token_hash == token_hash, _is_usable(now), *_MAY_LOG_IN
    )
    row = (await transaction.execute(found)).one_or_none()
    return row and read_record(UserRecord, row)


async def redeem_password_reset(transaction: Transaction, user_id: UUID, *, token_hash: str, now: datetime) -> bool:
    """Delete all valid reset tokens of an account; return whether this one was among them.

    Of two concurrent attempts, only one succeeds.
    """
    # The account is locked first: two transactions that delete each other's tokens would deadlock. Requests for new
    # tokens do not wait, because inserting one needs only a key-share lock of the account.
    may_log_in = select(User.id).where(User.id == user_id, *_MAY_LOG_IN).with_for_update(key_share=True)
    if await transaction.scalar(may_log_in) is None:
        return False
    return token_hash in await delete_valid_password_resets(transaction, user_id, now)


async def delete_valid_password_resets(transaction: Transaction, user_id: UUID, now: datetime) -> Sequence[str]:
    """Delete the reset tokens of an account that have not expired, and return their hashes.

    The transaction must have locked the account.
    """
    # Not the expired ones: a request for a token may have locked them, and may be waiting for the account.
    deleted = delete(PasswordReset).where(PasswordReset.user_id == user_id, _is_usable(now))
    return (await transaction.scalars(deleted.returning(PasswordReset.token_hash))).all()


async def delete_password_resets(transaction: Transaction, user_id: UUID) -> None:
    """Delete all reset tokens of an account. The transaction must have locked the account."""
    await transaction.execute(delete(PasswordReset).where(PasswordReset.user_id == user_id))


async def update_name(transaction: Transaction, user_id: UUID, name: str) -> UserRecord:
    """Change the name of an account, and of its record if it is a patient's.

    Raises ``not_authenticated`` if the account was erased while this waited.
    """
    values = {"name": name, "name_key": search_key(name)}
    renamed = update(User).where(User.id == user_id, User.erased_at.is_(None)).values(values)
    row = (await transaction.execute(renamed.returning(*_RECORD.selected_columns))).one_or_none()
    if row is None:
        raise DomainError("not_authenticated")
    records = update(Patient).where(Patient.user_id == user_id).values(values).returning(Patient.id)
    for patient_id in (await transaction.scalars(records)).all():
        await index_patient(transaction, patient_id)
    return read_record(UserRecord, row)


async def update_password(transaction: Transaction, user_id: UUID, password_hash: str) -> None:
    """Store the hash of a new password."""
    await transaction.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))


async def renew_password_hash(transaction: Transaction, user_id: UUID, password_hash: str, *, instead_of: str) -> None:
    """Store a new hash of the same password, unless the password has been changed meanwhile."""
    await transaction.execute(
        update(User).where(User.id == user_id, User.password_hash == instead_of).values(password_hash=password_hash)
    )
