"""Dependants: patients for whom another patient acts, such as children for whom a parent books."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from app.core.errors import DomainError, invalid_field
from app.core.permissions import Actor, Dependants, GuardianRight, Relation, Scope
from app.core.versions import check_version
from app.db.database import Transaction
from app.repositories import appointments, erasure, guardians, patients
from app.repositories.appointments import Reference
from app.repositories.guardians import DependantRecord
from app.repositories.patients import PatientRecord
from app.services.patients import check_birth_date

MAX_DEPENDANTS = 10
AGE_OF_MAJORITY = 18
"""In years. From this birthday on, nobody acts for a child because of its age."""


def dependants_of(actor: Actor, right: GuardianRight, now: datetime) -> Dependants:
    """Return the dependants for whom the actor has a right today, in UTC."""
    return Dependants(actor.id, right, now.date())


async def choose_patient(transaction: Transaction, actor: Actor, on_behalf_of: UUID | None, now: datetime) -> Reference:
    """Return the patient for whom the actor books: the dependant ``on_behalf_of``, or the actor.

    Raises ``not_found`` unless the actor may book for the dependant.
    """
    if on_behalf_of is None:
        return Reference(actor.id, actor.name)
    dependant = await guardians.get_dependant(transaction, dependants_of(actor, GuardianRight.BOOK, now), on_behalf_of)
    return Reference(dependant.patient.id, dependant.patient.name)


async def list_family(transaction: Transaction, actor: Actor, now: datetime) -> list[UUID]:
    """Return the ids of the actor and of the dependants for whom they may book."""
    found = await guardians.list_dependants(transaction, dependants_of(actor, GuardianRight.BOOK, now))
    return [actor.id, *(each.patient.id for each in found)]


async def add_child(
    transaction: Transaction, actor: Actor, *, name: str, birth_date: date, relation: Relation, now: datetime
) -> DependantRecord:
    """Create the record of a child of the actor. The actor may act for the child until it comes of age.

    Raises ``invalid_request`` if the birth date is that of an adult or in the future, and ``too_many`` for more than
    ``MAX_DEPENDANTS``.
    """
    check_birth_date(birth_date, now)
    last_day = _last_day_of_childhood(birth_date, now)
    # Locked, so that concurrent requests cannot exceed the limit.
    await patients.lock_patient(transaction, actor.id)
    found = await guardians.list_dependants(transaction, dependants_of(actor, GuardianRight.SEE, now))
    if len(found) >= MAX_DEPENDANTS:
        raise DomainError("too_many")
    child = PatientRecord(uuid7(), None, name, now, birth_date=birth_date)
    dependant = DependantRecord(child, relation, may_book=True, may_see=True, valid_until=last_day)
    await patients.insert_patient(transaction, child)
    await guardians.insert_guardian(transaction, actor.id, dependant, by=actor.id, now=now)
    return dependant


async def change_dependant(
    transaction: Transaction,
    actor: Actor,
    patient_id: UUID,
    changes: Mapping[str, Any],
    now: datetime,
    *,
    versions: frozenset[str] | None = None,
) -> DependantRecord:
    """Change the record of a dependant; ``changes`` are fields of a ``PatientRecord``.

    The birth date also decides until when the actor may act for the child. Raises ``not_found`` unless the actor may
    book for the dependant or if the dependant has an account, ``invalid_request`` for the birth date of an adult or
    one in the future, and ``version_mismatch``.
    """
    own = dependants_of(actor, GuardianRight.BOOK, now)
    await patients.lock_patient(transaction, patient_id)
    dependant = await guardians.get_dependant(transaction, own, patient_id)
    check_version(dependant.patient.content, versions)
    if dependant.patient.user_id:
        # They edit their record themselves.
        raise DomainError("not_found")
    if "birth_date" in changes:
        check_birth_date(changes["birth_date"], now)
        await guardians.set_last_day(transaction, patient_id, _last_day_of_childhood(changes["birth_date"], now))
    await patients.update_patient(transaction, patient_id, changes)
    return await guardians.get_dependant(transaction, own, patient_id)


async def remove_dependant(transaction: Transaction, actor: Actor, patient_id: UUID, now: datetime) -> None:
    """End the rights of the actor for a dependant.

    A record without an account that nobody else acts for is erased. Its visits remain, without a name. Raises
    ``not_found``, and ``has_appointments`` while the dependant has upcoming visits that nobody else could change.
    """
    await patients.lock_patient(transaction, patient_id)
    dependant = await guardians.get_dependant(transaction, dependants_of(actor, GuardianRight.SEE, now), patient_id)
    if not await can_remove(transaction, actor, dependant, now):
        raise DomainError("has_appointments")
    await guardians.end_guardian(transaction, actor.id, patient_id, now)
    if await _has_nobody_else(transaction, actor, dependant, now):
        await erasure.erase_patient(transaction, patient_id, now)


async def can_remove(transaction: Transaction, actor: Actor, dependant: DependantRecord, now: datetime) -> bool:
    """Return whether the actor can stop acting for a dependant.

    They cannot while the dependant has upcoming visits that nobody else could change.
    """
    upcoming = Scope(patient_id=dependant.patient.id)
    return not (
        await _has_nobody_else(transaction, actor, dependant, now)
        and await appointments.has_upcoming(transaction, upcoming, since=now)
    )


async def _has_nobody_else(transaction: Transaction, actor: Actor, dependant: DependantRecord, now: datetime) -> bool:
    if dependant.patient.user_id:
        return False
    return not await guardians.has_guardian(transaction, dependant.patient.id, now.date(), other_than=actor.id)


def _last_day_of_childhood(birth_date: date, now: datetime) -> date:
    year = birth_date.year + AGE_OF_MAJORITY
    try:
        birthday = birth_date.replace(year=year)
    except ValueError:  # 29 February
        birthday = date(year, 3, 1)
    if birthday <= now.date():
        raise invalid_field("birth_date", "not_a_child")
    return birthday - timedelta(days=1)
