"""The patients whom a clinic knows."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.core.errors import DomainError
from app.core.text import search_key
from app.db.database import Transaction
from app.db.guards import insert_or_ignore
from app.db.records import prefixed, read_record
from app.models import Appointment, ClinicDoctor, ClinicPatient, Patient
from app.repositories.patient_words import has_word, has_words, index_patient, phone_prefix
from app.repositories.patients import PATIENT_COLUMNS, PatientRecord
from app.scheduling.status import ACTIVE, AppointmentStatus

_INITIALS = 3
"""How many first letters of the name tell members of a family apart who share a telephone."""


@dataclass(frozen=True, slots=True)
class ClinicPatientRecord:
    """A patient of a clinic, with the visits to its doctors that are nearest to the present."""

    patient: PatientRecord
    file_number: str | None
    note: str | None
    next_visit: datetime | None
    last_visit: datetime | None
    """The start of the last visit that took place."""

    @property
    def content(self) -> dict[str, Any]:
        """What members of the clinic can change, for ``core.versions``."""
        return self.patient.content | {
            "email": self.patient.email,
            "file_number": self.file_number,
            "note": self.note,
        }


def _select(clinic_id: UUID, doctor_ids: Collection[UUID] | None, now: datetime) -> Select[Any]:
    doctors = select(ClinicDoctor.doctor_id).where(ClinicDoctor.clinic_id == clinic_id)
    if doctor_ids is not None:
        doctors = doctors.where(ClinicDoctor.doctor_id.in_(doctor_ids))
    own = and_(Appointment.patient_id == ClinicPatient.patient_id, Appointment.doctor_id.in_(doctors))
    upcoming = select(func.min(Appointment.start_time)).where(
        own, Appointment.status.in_(ACTIVE), Appointment.end_time > now
    )
    past = select(func.max(Appointment.start_time)).where(own, Appointment.status == AppointmentStatus.FULFILLED)
    return (
        select(
            ClinicPatient.file_number,
            ClinicPatient.note,
            upcoming.scalar_subquery().label("next_visit"),
            past.scalar_subquery().label("last_visit"),
            *prefixed("patient_", PATIENT_COLUMNS),
        )
        .join(Patient, Patient.id == ClinicPatient.patient_id)
        .where(ClinicPatient.clinic_id == clinic_id, Patient.erased_at.is_(None))
    )


def _record(row: Any) -> ClinicPatientRecord:
    return read_record(ClinicPatientRecord, row, patient=read_record(PatientRecord, row, "patient_"))


async def search_patients(
    transaction: Transaction,
    clinic_id: UUID,
    terms: Iterable[Sequence[str]],
    *,
    doctor_ids: Collection[UUID] | None,
    now: datetime,
    limit: int,
) -> Sequence[ClinicPatientRecord]:
    """Return patients of a clinic by name who match all terms; see ``patient_words``.

    ``doctor_ids`` are the doctors whose visits count as next and last; ``None``: all of the clinic.
    """
    by_name = Patient.name_key, Patient.id
    # Chosen before their visits are read: a frequent name has thousands of patients.
    found = (
        select(Patient.id)
        .join(ClinicPatient, ClinicPatient.patient_id == Patient.id)
        .where(ClinicPatient.clinic_id == clinic_id, Patient.erased_at.is_(None), has_words(clinic_id, terms))
        .order_by(*by_name)
        .limit(limit)
    )
    rows = await transaction.execute(
        _select(clinic_id, doctor_ids, now).where(ClinicPatient.patient_id.in_(found)).order_by(*by_name)
    )
    return [_record(row) for row in rows]


async def get_clinic_patient(
    transaction: Transaction,
    clinic_id: UUID,
    patient_id: UUID,
    *,
    doctor_ids: Collection[UUID] | None,
    now: datetime,
) -> ClinicPatientRecord:
    """Return a patient of a clinic. Raises ``not_found`` if the clinic does not know the patient."""
    found = _select(clinic_id, doctor_ids, now).where(ClinicPatient.patient_id == patient_id)
    row = (await transaction.execute(found)).one_or_none()
    if row is None:
        raise DomainError("not_found")
    return _record(row)


async def find_alike(
    transaction: Transaction, clinic_id: UUID, *, name: str, birth_date: date | None, phone: str | None, limit: int
) -> Sequence[PatientRecord]:
    """Return patients of a clinic who may be the same person.

    They have the same name, and no other date of birth; or the same telephone number, and the same first letters of the
    name.
    """
    key = search_key(name)
    same_name: list[ColumnElement[bool]] = [Patient.name_key == key]
    if birth_date:
        same_name.append(or_(Patient.birth_date == birth_date, Patient.birth_date.is_(None)))
    # A name that consists only of apostrophes has no words, so it matches no patient.
    alike = and_(has_word(clinic_id, key.partition(" ")[0]), *same_name)
    if phone:
        initials = Patient.name_key.startswith(key[:_INITIALS], autoescape=True)
        alike = or_(alike, and_(has_word(clinic_id, phone_prefix(phone)), Patient.phone == phone, initials))
    rows = await transaction.execute(
        select(*PATIENT_COLUMNS)
        .join(ClinicPatient, ClinicPatient.patient_id == Patient.id)
        .where(ClinicPatient.clinic_id == clinic_id, Patient.erased_at.is_(None), alike)
        .order_by(Patient.name_key, Patient.id)
        .limit(limit)
    )
    return [read_record(PatientRecord, row) for row in rows]


async def insert_clinic_patient(
    transaction: Transaction,
    clinic_id: UUID,
    patient_id: UUID,
    *,
    file_number: str | None,
    note: str | None,
    by: UUID,
    now: datetime,
) -> None:
    """Let a clinic know a patient. Raises ``file_number_taken``."""
    if not await _insert(transaction, clinic_id, patient_id, now, file_number=file_number, note=note, created_by=by):
        raise DomainError("file_number_taken")
    await index_patient(transaction, patient_id)


async def _insert(
    transaction: Transaction,
    clinic_id: UUID,
    patient_id: UUID,
    now: datetime,
    *,
    file_number: str | None = None,
    note: str | None = None,
    created_by: UUID | None = None,
) -> bool:
    values = {
        "clinic_id": clinic_id,
        "patient_id": patient_id,
        "file_number": file_number,
        "note": note,
        "created_at": now,
        "created_by": created_by,
    }
    return await insert_or_ignore(transaction, ClinicPatient, values)


async def add_to_clinics_of(transaction: Transaction, doctor_id: UUID, patient_id: UUID, now: datetime) -> None:
    """Let the clinics for which a doctor works today, in UTC, know a patient who has booked with the doctor."""
    today = now.date()
    clinic_ids = await transaction.scalars(
        select(ClinicDoctor.clinic_id)
        .where(
            ClinicDoctor.doctor_id == doctor_id,
            or_(ClinicDoctor.valid_from.is_(None), ClinicDoctor.valid_from <= today),
            or_(ClinicDoctor.valid_until.is_(None), ClinicDoctor.valid_until >= today),
            ClinicDoctor.clinic_id.not_in(
                select(ClinicPatient.clinic_id).where(ClinicPatient.patient_id == patient_id)
            ),
        )
        .order_by(ClinicDoctor.clinic_id)
    )
    is_new = False
    for clinic_id in clinic_ids.all():
        # Another booking of the patient may do the same at the same time.
        is_new = await _insert(transaction, clinic_id, patient_id, now) or is_new
    if is_new:
        await index_patient(transaction, patient_id)


async def update_clinic_patient(
    transaction: Transaction, clinic_id: UUID, patient_id: UUID, changes: Mapping[str, Any]
) -> None:
    """Change the file number and the note of a patient. Raises ``file_number_taken``."""
    if not changes:
        return
    own = and_(ClinicPatient.clinic_id == clinic_id, ClinicPatient.patient_id == patient_id)
    try:
        await transaction.execute(update(ClinicPatient).where(own).values(changes))
    except IntegrityError as error:
        raise DomainError("file_number_taken") from error
    await index_patient(transaction, patient_id)
