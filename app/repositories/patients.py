"""Records of patients. A patient's name is also that of their account, if they have one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, update

from app.core.errors import DomainError
from app.core.text import search_key
from app.db.database import Transaction
from app.db.records import read_record
from app.models import Patient, User


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """The record of a patient."""

    id: UUID
    user_id: UUID | None
    name: str
    created_at: datetime
    birth_date: date | None = None
    phone: str | None = None
    """In the format E.164."""
    email: str | None = None
    """That of the account, if the patient has one."""
    locale: str | None = None
    time_zone: str | None = None

    @property
    def content(self) -> dict[str, Any]:
        """What the patient or the clinic can change, for ``core.versions``."""
        return {
            "name": self.name,
            "birth_date": self.birth_date,
            "phone": self.phone,
            "locale": self.locale,
            "time_zone": self.time_zone,
        }


_RECORD = select(
    Patient.id,
    Patient.user_id,
    Patient.name,
    Patient.created_at,
    Patient.birth_date,
    Patient.phone,
    func.coalesce(Patient.email, User.email).label("email"),
    Patient.locale,
    Patient.time_zone,
).outerjoin(User, User.id == Patient.user_id)


async def insert_patient(transaction: Transaction, patient: PatientRecord) -> None:
    """Insert a record. The address of a patient with an account is not stored: it is that of the account."""
    await transaction.execute(
        insert(Patient).values(
            id=patient.id,
            user_id=patient.user_id,
            name=patient.name,
            name_key=search_key(patient.name),
            birth_date=patient.birth_date,
            phone=patient.phone,
            email=None if patient.user_id else patient.email,
            locale=patient.locale,
            time_zone=patient.time_zone,
            created_at=patient.created_at,
        )
    )


async def get_patient(transaction: Transaction, patient_id: UUID) -> PatientRecord:
    """Return the record of a patient, which must exist."""
    row = (await transaction.execute(_RECORD.where(Patient.id == patient_id))).one()
    return read_record(PatientRecord, row)


async def update_patient(transaction: Transaction, patient_id: UUID, changes: Mapping[str, Any]) -> None:
    """Change fields of a record, except the name, which ``users.update_name`` changes.

    Raises ``not_authenticated`` if the record was erased while this waited.
    """
    if not changes:
        return
    changed = update(Patient).where(Patient.id == patient_id, Patient.erased_at.is_(None)).values(changes)
    if (await transaction.execute(changed.returning(Patient.id))).one_or_none() is None:
        raise DomainError("not_authenticated")
