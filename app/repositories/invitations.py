"""Open invitations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, func, insert, select

from app.core.permissions import Role
from app.core.text import canonical_email
from app.db.database import Transaction
from app.db.lifetimes import is_unexpired
from app.db.records import read_record
from app.models import Invitation

INVITATION_LIFETIME = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class InvitationRecord:
    """An invitation, with the profile that the administrator suggests."""

    id: UUID
    role: Role
    email: str
    name: str | None
    specialty: str | None
    time_zone: str | None
    created_at: datetime
    expires_at: datetime


_RECORD: Select[*tuple[Any, ...]] = select(
    Invitation.id,
    Invitation.role,
    Invitation.email,
    Invitation.name,
    Invitation.specialty,
    Invitation.time_zone,
    Invitation.created_at,
    Invitation.expires_at,
)


def _can_be_accepted(now: datetime) -> ColumnElement[bool]:
    return is_unexpired(Invitation.expires_at, now, INVITATION_LIFETIME)


async def insert_invitation(
    transaction: Transaction, invitation: InvitationRecord, *, token_hash: str, created_by: UUID
) -> None:
    """Insert an invitation. There must be no other one for the address."""
    await transaction.execute(
        insert(Invitation).values(
            id=invitation.id,
            role=invitation.role,
            email=invitation.email,
            email_canonical=canonical_email(invitation.email),
            name=invitation.name,
            specialty=invitation.specialty,
            time_zone=invitation.time_zone,
            token_hash=token_hash,
            created_at=invitation.created_at,
            created_by=created_by,
            expires_at=invitation.expires_at,
        )
    )


async def find_invitation(transaction: Transaction, token_hash: str, now: datetime) -> InvitationRecord | None:
    """Return the invitation with this token; ``None`` if it cannot be accepted now."""
    found = _RECORD.where(Invitation.token_hash == token_hash, _can_be_accepted(now))
    row = (await transaction.execute(found)).one_or_none()
    return read_record(InvitationRecord, row) if row else None


async def count_invitations(transaction: Transaction, now: datetime) -> int:
    """Return how many invitations can be accepted now."""
    return await transaction.scalar(select(func.count()).where(_can_be_accepted(now))) or 0


async def page_invitations(
    transaction: Transaction, now: datetime, *, after: UUID | None, limit: int
) -> Sequence[InvitationRecord]:
    """Return a page of invitations that have not expired, the newest first.

    They include invitations that were dated by a clock that was ahead: those can be accepted later, so administrators
    must be able to see and cancel them.
    """
    found = _RECORD.where(Invitation.expires_at > now)
    if after is not None:
        found = found.where(Invitation.id < after)
    rows = await transaction.execute(found.order_by(Invitation.id.desc()).limit(limit))
    return [read_record(InvitationRecord, row) for row in rows]


async def delete_invitations_of(transaction: Transaction, email: str) -> None:
    """Delete the invitation of an address, compared in canonical form."""
    await transaction.execute(delete(Invitation).where(Invitation.email_canonical == canonical_email(email)))


async def delete_invitations_by(transaction: Transaction, administrator_id: UUID) -> None:
    """Delete the open invitations that an administrator has sent."""
    await transaction.execute(delete(Invitation).where(Invitation.created_by == administrator_id))


async def delete_invitation(transaction: Transaction, invitation_id: UUID, now: datetime) -> bool:
    """Delete an invitation that has not expired; return whether it existed."""
    cancelled = delete(Invitation).where(Invitation.id == invitation_id, Invitation.expires_at > now)
    return await transaction.scalar(cancelled.returning(Invitation.id)) is not None


async def redeem_invitation(transaction: Transaction, token_hash: str, now: datetime) -> bool:
    """Delete the invitation with this token; return whether it was valid. Of concurrent calls, only one succeeds."""
    redeemed = delete(Invitation).where(Invitation.token_hash == token_hash, _can_be_accepted(now))
    return await transaction.scalar(redeemed.returning(Invitation.id)) is not None


async def delete_expired_invitations(transaction: Transaction, now: datetime) -> None:
    """Delete expired invitations. Skips those that are locked."""
    expired = select(Invitation.id).where(Invitation.expires_at <= now).with_for_update(skip_locked=True)
    await transaction.execute(delete(Invitation).where(Invitation.id.in_(expired)))
