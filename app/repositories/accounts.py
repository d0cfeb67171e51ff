"""Queries of administrators about accounts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select, update

from app.core.errors import DomainError
from app.core.permissions import AccountStatus, Role
from app.core.text import canonical_email, search_words
from app.db.database import Transaction
from app.db.records import read_record
from app.models import Doctor, SecondFactor, User


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account with the decisions of administrators about it."""

    id: UUID
    email: str
    name: str
    role: Role
    specialty: str | None
    created_at: datetime
    suspended_at: datetime | None
    erased_at: datetime | None
    approved_at: datetime | None
    email_confirmed_at: datetime | None
    second_factor: bool

    @property
    def reviewed_content(self) -> dict[str, str | None]:
        """The content that an administrator approves of a doctor, for ``core.versions``."""
        return {"name": self.name, "specialty": self.specialty}

    @property
    def status(self) -> AccountStatus:
        """The status, in which erasure takes precedence over suspension, and suspension over a missing approval."""
        if self.erased_at:
            return AccountStatus.ERASED
        if self.suspended_at:
            return AccountStatus.SUSPENDED
        if self.role is Role.DOCTOR and self.approved_at is None:
            return AccountStatus.UNAPPROVED
        return AccountStatus.ACTIVE


_UNAPPROVED = and_(User.role == Role.DOCTOR, Doctor.approved_at.is_(None))
_IS: dict[AccountStatus, ColumnElement[bool]] = {
    AccountStatus.ERASED: User.erased_at.is_not(None),
    AccountStatus.SUSPENDED: and_(User.erased_at.is_(None), User.suspended_at.is_not(None)),
    AccountStatus.UNAPPROVED: and_(User.erased_at.is_(None), User.suspended_at.is_(None), _UNAPPROVED),
    AccountStatus.ACTIVE: and_(User.erased_at.is_(None), User.suspended_at.is_(None), ~_UNAPPROVED),
}
_RECORD: Select[*tuple[Any, ...]] = (
    select(
        User.id,
        User.email,
        User.name,
        User.role,
        Doctor.specialty,
        User.created_at,
        User.suspended_at,
        User.erased_at,
        Doctor.approved_at,
        User.email_confirmed_at,
        SecondFactor.confirmed_at.is_not(None).label("second_factor"),
    )
    .outerjoin(Doctor, Doctor.id == User.id)
    .outerjoin(SecondFactor, SecondFactor.user_id == User.id)
)


async def page_accounts(
    transaction: Transaction,
    *,
    q: str | None,
    email: str | None,
    role: Role | None,
    status: AccountStatus | None,
    after: UUID | None,
    limit: int,
) -> Sequence[AccountRecord]:
    """Return a page of accounts, the newest first.

    ``email`` must match the whole canonical address. ``q`` matches if each of its words is part of the name, in any
    order, or if all of it is part of the address.
    """
    found = _RECORD
    if q is not None:
        found = found.where(_matches(q))
    if email is not None:
        found = found.where(User.email_canonical == canonical_email(email))
    if role is not None:
        found = found.where(User.role == role)
    if status is not None:
        found = found.where(_IS[status])
    if after is not None:
        found = found.where(User.id < after)
    rows = await transaction.execute(found.order_by(User.id.desc()).limit(limit))
    return [read_record(AccountRecord, row) for row in rows]


def _matches(q: str) -> ColumnElement[bool]:
    words, address = search_words(q), canonical_email(q)
    conditions: list[ColumnElement[bool]] = []
    if words:
        conditions.append(and_(*(User.name_key.contains(word, autoescape=True) for word in words)))
    if address:
        conditions.append(User.email_canonical.contains(address, autoescape=True))
    # Without words and without an address, such as with punctuation only, nothing matches.
    return or_(false(), *conditions)


async def get_account(transaction: Transaction, user_id: UUID) -> AccountRecord:
    """Return an account. Raises ``not_found``."""
    row = (await transaction.execute(_RECORD.where(User.id == user_id))).one_or_none()
    if row is None:
        raise DomainError("not_found")
    return read_record(AccountRecord, row)


async def list_people(transaction: Transaction, user_ids: Collection[UUID]) -> dict[UUID, tuple[str, Role]]:
    """Return name and role by id. Ids without an account are left out."""
    rows = await transaction.execute(select(User.id, User.name, User.role).where(User.id.in_(user_ids)))
    return {row.id: (row.name, row.role) for row in rows}


async def approve_doctor(transaction: Transaction, user_id: UUID, now: datetime) -> None:
    """Approve a doctor, so that patients can book. If the doctor was approved earlier, that time is kept."""
    await transaction.execute(
        update(Doctor).where(Doctor.id == user_id).values(approved_at=func.coalesce(Doctor.approved_at, now))
    )


async def suspend_user(transaction: Transaction, user_id: UUID, now: datetime) -> None:
    """Suspend an account. If it was suspended earlier, that time is kept."""
    await transaction.execute(
        update(User).where(User.id == user_id).values(suspended_at=func.coalesce(User.suspended_at, now))
    )


async def reinstate_user(transaction: Transaction, user_id: UUID) -> None:
    """End the suspension of an account."""
    await transaction.execute(update(User).where(User.id == user_id).values(suspended_at=None))
