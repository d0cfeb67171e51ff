"""Setting up, showing and removing a second factor."""

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
    """What an authenticator app is to be told."""

    secret: str
    provisioning_uri: str


@dataclass(frozen=True, slots=True)
class Status:
    """Whether there is a second factor, and how many ways are left without it."""

    enabled: bool
    recovery_codes_left: int


@dataclass(frozen=True, slots=True)
class NewRecoveryCodes:
    """Recovery codes, and the address of their owner, who is to be told of them."""

    codes: list[str]
    address: str


class FactorUsed(Enum):
    """What a log-in has shown beside the password."""

    NOTHING = auto()
    """There is no second factor."""
    AUTHENTICATOR = auto()
    RECOVERY_CODE = auto()
    BEFORE = auto()
    """One of them, when the same form was sent before."""


async def check(
    transaction: Transaction, settings: Settings, user_id: UUID, otp: str | None, now: datetime
) -> FactorUsed:
    """What of the account's second factor this is a code of; the code is used up.

    ``second_factor_required`` if it has one and no code was sent; ``invalid_second_factor`` if it is a wrong one.
    """
    factor = await second_factors.find_second_factor(transaction, user_id)
    if factor is None or factor.confirmed_at is None:
        return FactorUsed.NOTHING
    if otp is None:
        raise DomainError("second_factor_required")
    if code := normalize_recovery_code(otp):
        shown = FactorUsed.RECOVERY_CODE
        taken = await second_factors.use_recovery_code(transaction, user_id, hash_token(code))
    else:
        shown = FactorUsed.AUTHENTICATOR
        taken = await _use_code(transaction, settings, user_id, factor.secret, otp, now)
    if not taken:
        raise DomainError("invalid_second_factor")
    return shown


async def _use_code(
    transaction: Transaction, settings: Settings, user_id: UUID, encrypted: str, code: str, now: datetime
) -> bool:
    secret = decrypt(encrypted, settings.secret_key.get_secret_value())
    step = find_step(secret, code, now) if secret else None
    return step is not None and await second_factors.use_step(transaction, user_id, step)


async def get_status(transaction: Transaction, actor: Actor) -> Status:
    """Whether the actor has a second factor."""
    factor = await second_factors.find_second_factor(transaction, actor.id)
    enabled = factor is not None and factor.confirmed_at is not None
    return Status(enabled, await second_factors.count_recovery_codes(transaction, actor.id))


async def set_up(transaction: Transaction, settings: Settings, actor: Actor) -> Enrolment:
    """Makes a secret for an authenticator app; not asked for before ``confirm``. ``second_factor_exists``.

    ``email_not_confirmed`` without a confirmed address, whatever the settings: the owner of the mailbox could not
    get past the second factor of a stranger.
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
    """From now on the second factor is asked for; returns recovery codes. All other sessions of the actor end."""
    # A log-in with the password alone must not begin a session after the others have ended.
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
    """New recovery codes; the ones from before work no longer. ``not_found`` without a second factor."""
    # Of two who renew them at once, the second replaces what the first has made.
    factor = await second_factors.find_second_factor(transaction, actor.id, for_update=True)
    if factor is None or factor.confirmed_at is None:
        raise DomainError("not_found")
    codes = new_recovery_codes()
    hashes = [hash_token(code.replace("-", "")) for code in codes]
    await second_factors.replace_recovery_codes(transaction, actor.id, hashes)
    user = await users.get_user(transaction, actor.id)
    return NewRecoveryCodes(codes, user.email)


async def remove(transaction: Transaction, actor: Actor) -> str | None:
    """Asks for no second factor any more; returns the address of whoever is to be told, if one was asked for.

    Where the actor's role asks for one, her sessions count as those that have shown none.
    """
    await users.lock_user(transaction, actor.id)
    await users.delete_password_resets(transaction, actor.id)
    await sessions.forget_second_factor(transaction, actor.id)
    if not await second_factors.delete_second_factor(transaction, actor.id):
        return None
    user = await users.get_user(transaction, actor.id)
    return user.email
