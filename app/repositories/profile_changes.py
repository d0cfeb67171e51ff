"""Names and specialties that doctors have requested and administrators have not reviewed yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from app.core.errors import DomainError
from app.db.database import Transaction
from app.db.guards import upsert
from app.db.records import prefixed, read_record
from app.models import Doctor, ProfileChange, User


@dataclass(frozen=True, slots=True)
class ProfileChangeRecord:
    """A name and a specialty that a doctor has requested."""

    id: UUID
    doctor_id: UUID
    name: str
    specialty: str | None
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class ProfileReview:
    """The name and the specialty that patients see, when the doctor was approved, and the change that is pending."""

    name: str
    specialty: str | None
    approved_at: datetime | None
    change: ProfileChangeRecord | None

    @property
    def wanted(self) -> tuple[str, str | None]:
        """The name and the specialty that the doctor has requested last, reviewed or not."""
        return (self.change.name, self.change.specialty) if self.change else (self.name, self.specialty)


_CHANGE = (
    ProfileChange.id,
    ProfileChange.doctor_id,
    ProfileChange.name,
    ProfileChange.specialty,
    ProfileChange.requested_at,
)
_STANDING = (
    select(User.name, Doctor.specialty, Doctor.approved_at, *prefixed("change_", _CHANGE))
    .join(Doctor, Doctor.id == User.id)
    .outerjoin(ProfileChange, ProfileChange.doctor_id == Doctor.id)
)


async def get_profile_review(transaction: Transaction, doctor_id: UUID) -> ProfileReview:
    """Return the reviewed data of a doctor and the pending change. Raises ``not_found`` for other accounts."""
    row = (await transaction.execute(_STANDING.where(Doctor.id == doctor_id))).one_or_none()
    if row is None:
        raise DomainError("not_found")
    return _standing(row)


async def page_waiting(transaction: Transaction, *, after: UUID | None, limit: int) -> Sequence[ProfileReview]:
    """Return a page of doctors with pending changes, the oldest change first."""
    found = _STANDING.where(ProfileChange.id.is_not(None))
    if after is not None:
        found = found.where(ProfileChange.id > after)
    return [_standing(row) for row in await transaction.execute(found.order_by(ProfileChange.id).limit(limit))]


def _standing(row: Any) -> ProfileReview:
    change = read_record(ProfileChangeRecord, row, "change_") if row.change_id else None
    return ProfileReview(row.name, row.specialty, row.approved_at, change)


async def replace_change(
    transaction: Transaction, doctor_id: UUID, change_id: UUID, *, name: str, specialty: str | None, now: datetime
) -> None:
    """Store a pending change, which replaces an earlier one of the doctor."""
    values = {"doctor_id": doctor_id, "id": change_id, "name": name, "specialty": specialty, "requested_at": now}
    await upsert(transaction, ProfileChange, values, changes=values, returning=ProfileChange.id)


async def delete_change(
    transaction: Transaction, doctor_id: UUID, change_id: UUID | None = None
) -> ProfileChangeRecord | None:
    """Delete a doctor's pending change (with ``change_id``, only that one); return it, or ``None``."""
    deleted = delete(ProfileChange).where(ProfileChange.doctor_id == doctor_id)
    if change_id is not None:
        deleted = deleted.where(ProfileChange.id == change_id)
    row = (await transaction.execute(deleted.returning(*_CHANGE))).one_or_none()
    return read_record(ProfileChangeRecord, row) if row else None
