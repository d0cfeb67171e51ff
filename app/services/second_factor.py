"""Set up, check and remove a second factor."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from uuid import UUID

from app.core.errors import DomainError, invalid_field
from app.core.one_time_codes import (
    decrypt,
    encrypt,
    find_step,
    new_recovery_codes,
    new_totp_secret,
    normalize_recovery_code,
    provisioning_uri,
)
from app.core.permissions import Actor
from app.core.security import hash_token
from app.core.settings import Settings
from app.db.database import Transaction
from app.repositories import second_factors, sessions, users


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The secret for an authenticator app, also as a provisioning URI."""

    secret: str
    provisioning_uri: str


@dataclass(frozen=True, slots=True)
class Status:
    """Whether an account has a second factor, and how many recovery codes are left."""

    enabled: bool
    recovery_codes_left: int


@dataclass(frozen=True, slots=True)
class NewRecoveryCodes:
    """Recovery codes, and the address of their owner, who is notified."""

    codes: list[str]
    address: str


class FactorUsed(Enum):
    """The factor that a log-in has used in addition to the password."""

    NOTHING = auto()
    """The account has no second factor."""
    AUTHENTICATOR = auto()
    RECOVERY_CODE = auto()
    BEFORE = auto()
    """A code that was accepted when the same form was sent before (see ``Submission``)."""


async def check(
    transaction: Transaction, settings: Settings, user_id: UUID, otp: str | None, now: datetime
) -> FactorUsed:
    """Check a code of the account's second factor and mark it as used. Returns the kind of factor.

    Raises ``second_factor_required`` if the account has a second factor and ``otp`` is ``None``, and
    ``invalid_second_factor`` for a wrong code.
    """
    # The caller has locked the account, so no factor can be confirmed or removed meanwhile.
    factor = await second_factors.find_second_factor(transaction, user_id)
    if factor is None or factor.confirmed_at is None:
        return FactorUsed.NOTHING
    if otp is None:
        raise DomainError("second_factor_required")
    if code := normalize_recovery_code(otp):
        used = FactorUsed.RECOVERY_CODE
        is_valid = await second_factors.use_recovery_code(transaction, user_id, hash_token(code))
    else:
        used = FactorUsed.AUTHENTICATOR
        is_valid = await _use_code(transaction, settings, user_id, factor.secret, otp, now)
    if not is_valid:
        raise DomainError("invalid_second_factor")
    return used


async def _use_code(
    transaction: Transaction, settings: Settings, user_id: UUID, encrypted: str, code: str, now: datetime
) -> bool:
    secret = decrypt(encrypted, settings.secret_key.get_secret_value())
    # Without a secret, it was encrypted under another SECRET_KEY. Then only recovery codes work.
    step = find_step(secret, code, now) if secret else None
    return step is not None and await second_factors.use_time_step(transaction, user_id, step)


async def get_status(transaction: Transaction, actor: Actor) -> Status:
    """Return whether the actor has a confirmed second factor, and how many recovery codes are left."""
    factor = await second_factors.find_second_factor(transaction, actor.id)
    enabled = factor is not None and factor.confirmed_at is not None
    return Status(enabled, await second_factors.count_recovery_codes(transaction, actor.id))


async def set_up(transaction: Transaction, settings: Settings, actor: Actor) -> Enrolment:
    """Create a secret for an authenticator app. It is not required at log-in until ``confirm``.

    Raises ``second_factor_exists``, and ``email_not_confirmed`` without a confirmed address, regardless of the
    settings: if a stranger has registered the address, its owner could not get past the stranger's second factor.
    """
    if not actor.email_confirmed:
        raise DomainError("email_not_confirmed")
    await users.lock_user(transaction, actor.id)
    secret = new_totp_secret()
    encrypted = encrypt(secret, settings.secret_key.get_secret_value())
    if not await second_factors.begin_second_factor(transaction, actor.id, encrypted):
        raise DomainError("second_factor_exists")
    user = await users.get_user(transaction, actor.id)
    return Enrolment(secret, provisioning_uri(secret, user.email))


async def confirm(
    transaction: Transaction, settings: Settings, actor: Actor, code: str, now: datetime
) -> NewRecoveryCodes:
    """Require the second factor from now on, and end all other sessions of the actor. Returns recovery codes.

    Raises ``not_found`` without ``set_up``, ``second_factor_exists``, and ``invalid_request`` for a wrong code.
    """
    # Locked, so that a concurrent log-in with the password alone cannot start a session after the others have ended.
    await users.lock_user(transaction, actor.id)
    factor = await second_factors.find_second_factor(transaction, actor.id)
    if factor is None:
        raise DomainError("not_found")
    if factor.confirmed_at:
        raise DomainError("second_factor_exists")
    if not await _use_code(transaction, settings, actor.id, factor.secret, code, now):
        raise invalid_field("otp", "wrong_code")
    await second_factors.confirm_second_factor(transaction, actor.id, now)
    await users.delete_password_resets(transaction, actor.id)
    session_id = actor.get_login().session_id
    await sessions.mark_second_factor(transaction, session_id)
    await sessions.delete_sessions(transaction, actor.id, keep=session_id)
    return await renew_recovery_codes(transaction, actor)


async def renew_recovery_codes(transaction: Transaction, actor: Actor) -> NewRecoveryCodes:
    """Replace the recovery codes, and return the new ones. Raises ``not_found`` without a second factor."""
    # Locked, so that of two concurrent calls the second one replaces the codes of the first.
    factor = await second_factors.find_second_factor(transaction, actor.id, for_update=True)
    if factor is None or factor.confirmed_at is None:
        raise DomainError("not_found")
    codes = new_recovery_codes()
    hashes = [hash_token(code.replace("-", "")) for code in codes]
    await second_factors.replace_recovery_codes(transaction, actor.id, hashes)
    user = await users.get_user(transaction, actor.id)
    return NewRecoveryCodes(codes, user.email)


async def remove(transaction: Transaction, actor: Actor) -> str | None:
    """Remove the second factor. Returns the address to notify; ``None`` if there was no confirmed one.

    The actor's sessions count as sessions without a second factor from now on, which matters for roles that need one.
    """
    await users.lock_user(transaction, actor.id)
    await users.delete_password_resets(transaction, actor.id)
    await sessions.forget_second_factor(transaction, actor.id)
    if not await second_factors.delete_second_factor(transaction, actor.id):
        return None
    user = await users.get_user(transaction, actor.id)
    return user.email
