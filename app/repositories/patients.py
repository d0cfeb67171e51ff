"""Records of patients. A patient's name is also that of their account, if they have one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, insert, select, update

from app.core.errors import DomainError
from app.core.text import search_key
from app.db.database import Transaction
from app.db.records import read_record
from app.models import Patient, User
from app.repositories.patient_words import index_patient


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


PATIENT_COLUMNS = (
    Patient.id,
    Patient.user_id,
    Patient.name,
    Patient.created_at,
    Patient.birth_date,
    Patient.phone,
    func.coalesce(Patient.email, select(User.email).where(User.id == Patient.user_id).scalar_subquery()).label("email"),
    Patient.locale,
    Patient.time_zone,
)
"""The columns of a ``PatientRecord``."""
_RECORD = select(*PATIENT_COLUMNS)


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


async def find_patient(transaction: Transaction, patient_id: UUID) -> PatientRecord | None:
    """Return the record of a patient; ``None`` if this is not the id of one."""
    row = (await transaction.execute(_RECORD.where(Patient.id == patient_id))).one_or_none()
    return read_record(PatientRecord, row) if row else None


async def update_patient(transaction: Transaction, patient_id: UUID, changes: Mapping[str, Any]) -> None:
    """Change fields of a record. The name of a patient with an account must be changed by ``users.update_name``.

    Raises ``not_authenticated`` if the record was erased while this waited.
    """
    if not changes:
        return
    values = dict(changes)
    if "name" in values:
        values["name_key"] = search_key(values["name"])
    changed = update(Patient).where(Patient.id == patient_id, Patient.erased_at.is_(None)).values(values)
    if (await transaction.execute(changed.returning(Patient.id))).one_or_none() is None:
        raise DomainError("not_authenticated")
    await index_patient(transaction, patient_id)


async def lock_patient(transaction: Transaction, patient_id: UUID) -> None:
    """Lock a record against changes until the transaction ends. Bookings do not wait for it."""
    locked = select(Patient.id).where(Patient.id == patient_id)
    await transaction.execute(locked.with_for_update(key_share=True))


async def is_erased(transaction: Transaction, patient_id: UUID) -> bool:
    """Return whether a record has been erased."""
    return bool(
        await transaction.scalar(select(exists().where(Patient.id == patient_id, Patient.erased_at.is_not(None))))
    )
