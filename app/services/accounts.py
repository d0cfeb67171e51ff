"""Registering, logging in, and getting back in."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from app.core.errors import DomainError, invalid_field
from app.core.permissions import Role
from app.core.security import (
    RESET_TOKEN_LIFETIME,
    AccessClaims,
    Passwords,
    find_weakness,
    hash_token,
    new_reset_token,
)
from app.db.session import Sessions
from app.repositories import doctors, users
from app.repositories.doctors import DoctorRecord
from app.repositories.users import UserRecord


@dataclass(frozen=True, slots=True)
class PasswordResetMail:
    """What is to be told to somebody who forgot the password."""

    address: str
    token: str


async def register(
    session: AsyncSession,
    passwords: Passwords,
    *,
    email: str,
    password: str,
    name: str,
    role: Role,
    now: datetime,
    refuse_weak: bool,
    specialty: str | None = None,
    time_zone: str = "UTC",
) -> UserRecord:
    """Creates an account, and for a doctor her public entry. ``email_taken`` if the address has an account."""
    _check_password(password, email=email, name=name, refuse_weak=refuse_weak, field="password")
    # Before the first statement: no connection waits for the hashing.
    password_hash = await passwords.hash(password)
    user = UserRecord(uuid7(), email, name, role, now)
    await users.insert_user(session, user, password_hash)
    if role is Role.DOCTOR:
        await doctors.insert_doctor(session, DoctorRecord(user.id, name, specialty, time_zone))
    return user


async def log_in(sessions: Sessions, passwords: Passwords, *, email: str, password: str) -> AccessClaims:
    """What an access token may claim; ``invalid_credentials`` for a wrong address and a wrong password alike."""
    # A transaction of its own, so that no connection is held while the hash is computed.
    async with sessions.read() as session:
        credentials = await users.find_credentials(session, email)
    matches = await passwords.matches(password, credentials.password_hash if credentials else None)
    if credentials is None or not matches:
        raise DomainError("invalid_credentials")
    return credentials.claims


async def request_password_reset(session: AsyncSession, *, email: str, now: datetime) -> PasswordResetMail | None:
    """Makes a reset token, to be sent after the commit; ``None``, at the same price, for an unknown address."""
    await users.delete_expired_password_resets(session, now)
    token = new_reset_token()
    address = await users.insert_password_reset(
        session, email=email, token_hash=hash_token(token), expires_at=now + RESET_TOKEN_LIFETIME
    )
    return PasswordResetMail(address, token) if address else None


async def reset_password(
    session: AsyncSession,
    passwords: Passwords,
    *,
    token: str,
    new_password: str,
    now: datetime,
    refuse_weak: bool,
) -> None:
    """Sets a new password and ends every access token. ``invalid_reset_token`` if the token cannot be used."""
    password_hash = await passwords.hash(new_password)
    user = await users.redeem_password_reset(session, token_hash=hash_token(token), now=now)
    if user is None:
        raise DomainError("invalid_reset_token")
    _check_password(new_password, email=user.email, name=user.name, refuse_weak=refuse_weak, field="new_password")
    await users.update_password(session, user.id, password_hash)


def _check_password(password: str, *, email: str, name: str, refuse_weak: bool, field: str) -> None:
    if refuse_weak and (weakness := find_weakness(password, email=email, name=name)):
        raise invalid_field(field, weakness)
