"""Open invitations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, func, insert, select

from app.core.clinic_permissions import MemberRole
from app.core.permissions import Role
from app.core.text import canonical_email
from app.db.database import Transaction
from app.db.lifetimes import is_unexpired
from app.db.records import read_record
from app.models import Invitation

INVITATION_LIFETIME = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class InvitationRecord:
    """An invitation, with the profile that an administrator suggests or the role that a clinic offers."""

    id: UUID
    role: Role
    email: str
    name: str | None
    specialty: str | None
    time_zone: str | None
    created_at: datetime
    expires_at: datetime
    created_by: UUID | None = None
    clinic_id: UUID | None = None
    member_role: MemberRole | None = None
    """The role in the clinic; set exactly if ``clinic_id`` is."""
    valid_until: date | None = None


_RECORD: Select[*tuple[Any, ...]] = select(
    Invitation.id,
    Invitation.role,
    Invitation.email,
    Invitation.name,
    Invitation.specialty,
    Invitation.time_zone,
    Invitation.created_at,
    Invitation.expires_at,
    Invitation.created_by,
    Invitation.clinic_id,
    Invitation.member_role,
    Invitation.valid_until,
)


def _can_be_accepted(now: datetime) -> ColumnElement[bool]:
    return is_unexpired(Invitation.expires_at, now, INVITATION_LIFETIME)


async def insert_invitation(transaction: Transaction, invitation: InvitationRecord, *, token_hash: str) -> None:
    """Insert an invitation. There must be no other one for the address and the clinic."""
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
            created_by=invitation.created_by,
            expires_at=invitation.expires_at,
            clinic_id=invitation.clinic_id,
            member_role=invitation.member_role,
            valid_until=invitation.valid_until,
        )
    )


async def find_invitation(transaction: Transaction, token_hash: str, now: datetime) -> InvitationRecord | None:
    """Return the invitation with this token; ``None`` if it cannot be accepted now."""
    found = _RECORD.where(Invitation.token_hash == token_hash, _can_be_accepted(now))
    row = (await transaction.execute(found)).one_or_none()
    return read_record(InvitationRecord, row) if row else None


def _leads_to(clinic_id: UUID | None) -> ColumnElement[bool]:
    return Invitation.clinic_id.is_(None) if clinic_id is None else Invitation.clinic_id == clinic_id


async def count_invitations(transaction: Transaction, now: datetime, *, clinic_id: UUID | None = None) -> int:
    """Return how many invitations to a clinic (``None``: to no clinic) can be accepted now."""
    return await transaction.scalar(select(func.count()).where(_can_be_accepted(now), _leads_to(clinic_id))) or 0


async def page_invitations(
    transaction: Transaction, now: datetime, *, after: UUID | None, limit: int, clinic_id: UUID | None = None
) -> Sequence[InvitationRecord]:
    """Return a page of invitations to a clinic (``None``: to no clinic) that have not expired, the newest first.

    They include invitations that were dated by a clock that was ahead: those can be accepted later, so administrators
    must be able to see and cancel them.
    """
    found = _RECORD.where(Invitation.expires_at > now, _leads_to(clinic_id))
    if after is not None:
        found = found.where(Invitation.id < after)
    rows = await transaction.execute(found.order_by(Invitation.id.desc()).limit(limit))
    return [read_record(InvitationRecord, row) for row in rows]


async def delete_invitations_of(transaction: Transaction, email: str, *, clinic_id: UUID | None = None) -> None:
    """Delete the invitation of an address, compared in canonical form, to a clinic (``None``: to no clinic)."""
    this = Invitation.email_canonical == canonical_email(email), _leads_to(clinic_id)
    await transaction.execute(delete(Invitation).where(*this))


async def delete_invitations_by(transaction: Transaction, user_id: UUID, *, clinic_id: UUID | None = None) -> None:
    """Delete the open invitations that somebody has sent: all of them, or those to one clinic."""
    sent = delete(Invitation).where(Invitation.created_by == user_id)
    await transaction.execute(sent if clinic_id is None else sent.where(Invitation.clinic_id == clinic_id))


async def delete_invitation(
    transaction: Transaction, invitation_id: UUID, now: datetime, *, clinic_id: UUID | None = None
) -> bool:
    """Delete an invitation to a clinic (``None``: to no clinic) that has not expired; return whether it existed."""
    cancelled = delete(Invitation).where(
        Invitation.id == invitation_id, Invitation.expires_at > now, _leads_to(clinic_id)
    )
    return await transaction.scalar(cancelled.returning(Invitation.id)) is not None


async def redeem_invitation(transaction: Transaction, token_hash: str, now: datetime) -> bool:
    """Delete the invitation with this token; return whether it was valid. Of concurrent calls, only one succeeds."""
    redeemed = delete(Invitation).where(Invitation.token_hash == token_hash, _can_be_accepted(now))
    return await transaction.scalar(redeemed.returning(Invitation.id)) is not None


async def delete_expired_invitations(transaction: Transaction, now: datetime) -> None:
    """Delete expired invitations. Skips those that are locked."""
    expired = select(Invitation.id).where(Invitation.expires_at <= now).with_for_update(skip_locked=True)
    await transaction.execute(delete(Invitation).where(Invitation.id.in_(expired)))
