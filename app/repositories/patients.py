"""Records of patients. A patient's name is also that of their account, if they have one."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select

from app.core.text import search_key
from app.db.database import Transaction
from app.models import Patient


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
    """Of a patient without an account."""
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
    Patient.email,
    Patient.locale,
    Patient.time_zone,
)


async def insert_patient(transaction: Transaction, patient: PatientRecord) -> None:
    """Insert a record."""
    await transaction.execute(
        insert(Patient).values(
            id=patient.id,
            user_id=patient.user_id,
            name=patient.name,
            name_key=search_key(patient.name),
            birth_date=patient.birth_date,
            phone=patient.phone,
            email=patient.email,
            locale=patient.locale,
            time_zone=patient.time_zone,
            created_at=patient.created_at,
        )
    )
