"""Accounts and password resets."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import DomainError
from app.core.permissions import Actor, Role
from app.core.security import AccessClaims
from app.core.text import canonical_email
from app.db.guards import insert_unless_taken
from app.models import PasswordReset, User


@dataclass(frozen=True, slots=True)
class UserRecord:
    """An account as its owner sees it."""

    id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a log-in is checked against."""

    claims: AccessClaims
    password_hash: str


async def insert_user(session: AsyncSession, user: UserRecord, password_hash: str) -> None:
    """Adds an account; ``email_taken`` if the address has one, in whatever spelling."""
    values = {
        "id": user.id,
        "email": user.email,
        "email_canonical": canonical_email(user.email),
        "name": user.name,
        "role": user.role,
        "password_hash": password_hash,
        "created_at": user.created_at,
    }
    if not await insert_unless_taken(session, User, values):
        raise DomainError("email_taken")


async def find_credentials(session: AsyncSession, email: str) -> Credentials | None:
    """What a log-in with this address is checked against; accounts that are not active have none."""
    row = (
        await session.execute(
            select(User.id, User.role, User.credentials_version, User.password_hash).where(
                User.email_canonical == canonical_email(email), User.is_active
            )
        )
    ).one_or_none()
    return row and Credentials(AccessClaims(row.id, row.role, row.credentials_version), row.password_hash)


async def find_actor(session: AsyncSession, claims: AccessClaims) -> Actor | None:
    """The caller, if what the token claims still holds: the one check per request."""
    name = await session.scalar(
        select(User.name).where(
            User.id == claims.user_id,
            User.role == claims.role,
            User.credentials_version == claims.credentials_version,
            User.is_active,
        )
    )
    return None if name is None else Actor(claims.user_id, claims.role, name)


async def get_user(session: AsyncSession, user_id: UUID) -> UserRecord:
    """An account as its owner sees it."""
    row = (
        await session.execute(
            select(User.id, User.email, User.name, User.role, User.created_at).where(User.id == user_id)
        )
    ).one()
    return UserRecord(*row)


async def insert_password_reset(
    session: AsyncSession, *, email: str, token_hash: str, expires_at: datetime
) -> str | None:
    """Keeps a reset token for the account of this address, and returns the address to send it to.

    That is the address as it was registered, never as it was asked for. For an unknown address a row that nobody can
    use is kept, so that the answer takes the same time; ``None`` is returned.
    """
    user = (
        await session.execute(
            select(User.id, User.email).where(User.email_canonical == canonical_email(email), User.is_active)
        )
    ).one_or_none()
    await session.execute(
        insert(PasswordReset).values(token_hash=token_hash, user_id=user.id if user else None, expires_at=expires_at)
    )
    return user.email if user else None


async def delete_expired_password_resets(session: AsyncSession, now: datetime) -> None:
    """Forgets the reset tokens that can no longer be used."""
    # Two who sweep at once take different rows; waiting for each other's could be a deadlock.
    expired = select(PasswordReset.token_hash).where(PasswordReset.expires_at <= now).with_for_update(skip_locked=True)
    await session.execute(delete(PasswordReset).where(PasswordReset.token_hash.in_(expired)))


async def redeem_password_reset(session: AsyncSession, *, token_hash: str, now: datetime) -> UserRecord | None:
    """Uses up a reset token: of two who try at once, one gets the account and the other nothing.

    Every other token of the account is used up with it; those that have expired are left to be swept away.
    """
    usable = PasswordReset.expires_at > now
    user_id = await session.scalar(select(PasswordReset.user_id).where(PasswordReset.token_hash == token_hash, usable))
    if user_id is None:
        return None
    # Whoever redeems another token of this account waits here: deleting each other's tokens would be a deadlock.
    # Whoever asks for a new one does not wait, for its row only needs the key of the account.
    await session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
    redeemed = await session.scalars(
        delete(PasswordReset).where(PasswordReset.user_id == user_id, usable).returning(PasswordReset.token_hash)
    )
    return await get_user(session, user_id) if token_hash in redeemed.all() else None


async def update_password(session: AsyncSession, user_id: UUID, password_hash: str) -> None:
    """Sets a new password and ends every access token of the account."""
    await session.execute(
        update(User)
        .where(User.id == user_id)
        .values(password_hash=password_hash, credentials_version=User.credentials_version + 1)
    )
