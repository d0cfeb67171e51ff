"""Clinics and the doctors who work for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update

from app.core.clinic_permissions import OnlineBooking
from app.core.errors import DomainError
from app.db.database import Transaction
from app.db.records import read_record
from app.models import Clinic, ClinicDoctor, Member, User


@dataclass(frozen=True, slots=True)
class ClinicRecord:
    """A clinic."""

    id: UUID
    name: str
    public_name: str
    time_zone: str
    country: str
    locale: str
    booking: OnlineBooking
    desk_may_overbook: bool
    created_at: datetime

    @property
    def content(self) -> dict[str, Any]:
        """The fields that can be changed, of which the version is made."""
        return {
            "name": self.name,
            "public_name": self.public_name,
            "time_zone": self.time_zone,
            "country": self.country,
            "locale": self.locale,
            "booking": self.booking,
            "desk_may_overbook": self.desk_may_overbook,
        }


_RECORD = select(
    Clinic.id,
    Clinic.name,
    Clinic.public_name,
    Clinic.time_zone,
    Clinic.country,
    Clinic.locale,
    Clinic.booking,
    Clinic.desk_may_overbook,
    Clinic.created_at,
).where(Clinic.closed_at.is_(None))


async def insert_clinic(transaction: Transaction, clinic: ClinicRecord) -> None:
    """Insert a clinic."""
    await transaction.execute(insert(Clinic).values(id=clinic.id, created_at=clinic.created_at, **clinic.content))


async def get_clinic(transaction: Transaction, clinic_id: UUID) -> ClinicRecord:
    """Return a clinic. Raises ``not_found`` if there is none or it is closed."""
    row = (await transaction.execute(_RECORD.where(Clinic.id == clinic_id))).one_or_none()
    if row is None:
        raise DomainError("not_found")
    return read_record(ClinicRecord, row)


async def lock_clinic(transaction: Transaction, clinic_id: UUID) -> ClinicRecord:
    """Lock a clinic, so that no other transaction changes it or its members, and return it. Raises ``not_found``."""
    row = (await transaction.execute(_RECORD.where(Clinic.id == clinic_id).with_for_update())).one_or_none()
    if row is None:
        raise DomainError("not_found")
    return read_record(ClinicRecord, row)


async def page_clinics(
    transaction: Transaction, *, member_id: UUID | None, after: UUID | None, limit: int
) -> Sequence[ClinicRecord]:
    """Return a page of clinics, oldest first: those of a member whose role has not been ended, or all (``None``)."""
    found = _RECORD
    if member_id is not None:
        found = found.where(
            Clinic.id.in_(select(Member.clinic_id).where(Member.user_id == member_id, Member.ended_at.is_(None)))
        )
    if after is not None:
        found = found.where(Clinic.id > after)
    rows = await transaction.execute(found.order_by(Clinic.id).limit(limit))
    return [read_record(ClinicRecord, row) for row in rows]


async def update_clinic(transaction: Transaction, clinic_id: UUID, changes: Mapping[str, Any]) -> None:
    """Change some fields of a clinic."""
    await transaction.execute(update(Clinic).where(Clinic.id == clinic_id).values(changes))


async def close_clinic(transaction: Transaction, clinic_id: UUID, now: datetime) -> None:
    """Close a clinic, so that it is no longer found."""
    await transaction.execute(update(Clinic).where(Clinic.id == clinic_id).values(closed_at=now))


async def save_clinic_doctor(
    transaction: Transaction,
    clinic_id: UUID,
    doctor_id: UUID,
    *,
    valid_from: date | None,
    valid_until: date | None,
    now: datetime,
) -> None:
    """Add a doctor to a clinic, or set the first and the last day of one who works there already."""
    this = ClinicDoctor.clinic_id == clinic_id, ClinicDoctor.doctor_id == doctor_id
    days = {"valid_from": valid_from, "valid_until": valid_until}
    changed = update(ClinicDoctor).where(*this).values(days).returning(ClinicDoctor.doctor_id)
    if await transaction.scalar(changed) is None:
        await transaction.execute(
            insert(ClinicDoctor).values(clinic_id=clinic_id, doctor_id=doctor_id, created_at=now, **days)
        )


async def delete_clinic_doctor(transaction: Transaction, clinic_id: UUID, doctor_id: UUID) -> None:
    """Remove a doctor from a clinic."""
    await transaction.execute(
        delete(ClinicDoctor).where(ClinicDoctor.clinic_id == clinic_id, ClinicDoctor.doctor_id == doctor_id)
    )


async def works_for_a_clinic(transaction: Transaction, doctor_id: UUID) -> bool:
    """Return whether the doctor works for a clinic that is not closed."""
    found = (
        select(ClinicDoctor.doctor_id)
        .join(Clinic)
        .where(ClinicDoctor.doctor_id == doctor_id, Clinic.closed_at.is_(None))
    )
    return await transaction.scalar(found.limit(1)) is not None


async def list_doctors(transaction: Transaction, clinic_id: UUID) -> Sequence[tuple[UUID, str]]:
    """Return the ids and the names of the doctors of a clinic, by their names."""
    found = (
        select(User.id, User.name)
        .join(ClinicDoctor, ClinicDoctor.doctor_id == User.id)
        .where(ClinicDoctor.clinic_id == clinic_id)
    )
    return [(row.id, row.name) for row in await transaction.execute(found.order_by(User.name_key, User.id))]


async def list_allowing_doctors(transaction: Transaction, clinic_id: UUID) -> frozenset[UUID]:
    """Return the doctors of a clinic who let receptionists set their hours."""
    found = select(ClinicDoctor.doctor_id).where(ClinicDoctor.clinic_id == clinic_id, ClinicDoctor.desk_sets_hours)
    return frozenset(await transaction.scalars(found))


async def find_foreign_doctors(transaction: Transaction, clinic_id: UUID, doctor_ids: frozenset[UUID]) -> set[UUID]:
    """Return those of the doctors who do not work for the clinic."""
    found = select(ClinicDoctor.doctor_id).where(
        ClinicDoctor.clinic_id == clinic_id, ClinicDoctor.doctor_id.in_(doctor_ids)
    )
    return set(doctor_ids) - set(await transaction.scalars(found))
