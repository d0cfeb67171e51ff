"""Guardians, and the patients for whom they act: their dependants."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, delete, exists, insert, or_, select, update

from app.core.errors import DomainError
from app.core.permissions import Dependants, GuardianRight, Relation
from app.db.database import Transaction
from app.db.records import prefixed, read_record
from app.models import Guardian, Patient
from app.repositories.patients import PATIENT_COLUMNS, PatientRecord


@dataclass(frozen=True, slots=True)
class DependantRecord:
    """A patient with the rights that a guardian has."""

    patient: PatientRecord
    relation: Relation
    may_book: bool
    may_see: bool
    valid_until: date | None
    """The last day of the rights, in UTC."""


_RECORD = (
    select(
        Guardian.relation,
        Guardian.may_book,
        Guardian.may_see,
        Guardian.valid_until,
        *prefixed("patient_", PATIENT_COLUMNS),
    )
    .join(Patient, Patient.id == Guardian.patient_id)
    .order_by(Patient.id)
)


def _record(row: object) -> DependantRecord:
    return read_record(DependantRecord, row, patient=read_record(PatientRecord, row, "patient_"))


def _is_valid(day: date) -> ColumnElement[bool]:
    return and_(Guardian.ended_at.is_(None), or_(Guardian.valid_until.is_(None), Guardian.valid_until >= day))


def _of(dependants: Dependants) -> ColumnElement[bool]:
    right = {GuardianRight.SEE: Guardian.may_see, GuardianRight.BOOK: Guardian.may_book}[dependants.right]
    return and_(Guardian.guardian_id == dependants.guardian_id, right, _is_valid(dependants.day))


def list_dependant_ids(dependants: Dependants) -> Select[UUID]:
    """Return the query for the ids of a guardian's dependants."""
    return select(Guardian.patient_id).where(_of(dependants))


async def list_dependants(transaction: Transaction, dependants: Dependants) -> Sequence[DependantRecord]:
    """Return a guardian's dependants in the order in which their records were created."""
    return [_record(row) for row in await transaction.execute(_RECORD.where(_of(dependants)))]


async def get_dependant(transaction: Transaction, dependants: Dependants, patient_id: UUID) -> DependantRecord:
    """Return one of a guardian's dependants. Raises ``not_found`` if the guardian does not have the right."""
    row = (await transaction.execute(_RECORD.where(_of(dependants), Guardian.patient_id == patient_id))).one_or_none()
    if row is None:
        raise DomainError("not_found")
    return _record(row)


async def insert_guardian(
    transaction: Transaction, guardian_id: UUID, dependant: DependantRecord, *, by: UUID, now: datetime
) -> None:
    """Give a guardian the rights of ``dependant``, whose record must exist."""
    await transaction.execute(
        insert(Guardian).values(
            patient_id=dependant.patient.id,
            guardian_id=guardian_id,
            relation=dependant.relation,
            may_book=dependant.may_book,
            may_see=dependant.may_see,
            valid_until=dependant.valid_until,
            created_at=now,
            created_by=by,
        )
    )


async def set_last_day(transaction: Transaction, patient_id: UUID, day: date) -> None:
    """Set the last day of the rights of all guardians of a patient."""
    await transaction.execute(update(Guardian).where(Guardian.patient_id == patient_id).values(valid_until=day))


async def end_guardian(transaction: Transaction, guardian_id: UUID, patient_id: UUID, now: datetime) -> None:
    """End the rights of a guardian."""
    ended = update(Guardian).where(Guardian.guardian_id == guardian_id, Guardian.patient_id == patient_id)
    await transaction.execute(ended.values(ended_at=now))


async def has_guardian(transaction: Transaction, patient_id: UUID, day: date, *, other_than: UUID) -> bool:
    """Return whether a patient has another guardian than ``other_than`` with rights on this day."""
    found = exists().where(Guardian.patient_id == patient_id, Guardian.guardian_id != other_than, _is_valid(day))
    return bool(await transaction.scalar(select(found)))


async def is_guardian(transaction: Transaction, guardian_id: UUID, patient_id: UUID, day: date) -> bool:
    """Return whether a patient has rights for another one on this day."""
    pair = and_(Guardian.guardian_id == guardian_id, Guardian.patient_id == patient_id)
    return bool(await transaction.scalar(select(exists().where(pair, _is_valid(day)))))


async def delete_guardians(transaction: Transaction, patient_id: UUID) -> None:
    """Delete the rights of a patient as a guardian, and those of others for the patient."""
    own = or_(Guardian.patient_id == patient_id, Guardian.guardian_id == patient_id)
    await transaction.execute(delete(Guardian).where(own))
