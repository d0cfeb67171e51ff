"""What a doctor says of herself, and the visit types she offers."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from app.core.errors import DomainError
from app.core.permissions import Actor
from app.core.versions import check_version
from app.db.database import Transaction
from app.repositories import doctors, visit_types
from app.repositories.doctors import DoctorRecord
from app.repositories.profile_changes import ProfileReview, get_profile_review
from app.repositories.visit_types import VisitTypeRecord
from app.services.conflicts import Affected, find_affected
from app.services.profile_review import hold_back, rename_doctor

MAX_VISIT_TYPES = 100


async def get_profile(transaction: Transaction, doctor_id: UUID) -> tuple[DoctorRecord, ProfileReview]:
    """A doctor's practice as patients see it, and what is approved or waiting for review."""
    return await doctors.get_own_profile(transaction, doctor_id), await get_profile_review(transaction, doctor_id)


def apply_pending_change(doctor: DoctorRecord, standing: ProfileReview) -> DoctorRecord:
    """The practice with the name and the specialty that the doctor asked for last, reviewed or not.

    Its content is what ``change_profile`` checks ``versions`` against.
    """
    name, specialty = standing.wanted
    return replace(doctor, name=name, specialty=specialty)


async def change_profile(
    transaction: Transaction,
    actor: Actor,
    changes: Mapping[str, Any],
    now: datetime,
    *,
    reviewed: bool = False,
    versions: frozenset[str] | None = None,
) -> tuple[DoctorRecord, ProfileReview, Affected]:
    """Changes what the doctor says of herself; ``changes`` are fields of a ``DoctorRecord``.

    In another time zone her rules keep their wall times, and what is booked keeps its instants. Where they are
    ``reviewed``, a name and a specialty take effect when an administrator accepts them. ``version_mismatch`` if
    ``versions`` (see ``core.versions``) does not name that of ``apply_pending_change``.
    """
    await doctors.begin_rule_change(transaction, actor.id)
    if versions is not None:
        check_version(asdict(apply_pending_change(*await get_profile(transaction, actor.id))), versions)
    others = await hold_back(transaction, actor.id, changes, now, reviewed=reviewed)
    if "name" in others:
        await rename_doctor(transaction, actor.id, others.pop("name"))
    await doctors.update_doctor(transaction, actor.id, others)
    affected = await find_affected(transaction, actor, since=now) if "time_zone" in changes else Affected(0, ())
    return *await get_profile(transaction, actor.id), affected


async def offer_visit_type(
    transaction: Transaction, actor: Actor, fields: Mapping[str, Any], now: datetime
) -> VisitTypeRecord:
    """Adds a visit type; from the first one on, the doctor is booked by visit type. ``name_taken``, ``too_many``."""
    await doctors.begin_rule_change(transaction, actor.id)
    if await visit_types.count_visit_types(transaction, actor.id) >= MAX_VISIT_TYPES:
        raise DomainError("too_many")
    if await visit_types.is_name_taken(transaction, actor.id, fields["name"]):
        raise DomainError("name_taken")
    return await visit_types.insert_visit_type(transaction, actor.id, uuid7(), fields, now)


async def change_visit_type(
    transaction: Transaction,
    actor: Actor,
    visit_type_id: UUID,
    changes: Mapping[str, Any],
    *,
    versions: frozenset[str] | None = None,
) -> VisitTypeRecord:
    """Changes a visit type; what is booked stays as long as it is. ``not_found`` if it is not the actor's.

    ``name_taken``; ``version_mismatch`` if ``versions`` (see ``core.versions``) has not the one of the record.
    """
    await doctors.begin_rule_change(transaction, actor.id)
    if versions is not None:
        check_version(asdict(await visit_types.get_visit_type(transaction, actor.id, visit_type_id)), versions)
    if "name" in changes and await visit_types.is_name_taken(transaction, actor.id, changes["name"], but=visit_type_id):
        raise DomainError("name_taken")
    return await visit_types.update_visit_type(transaction, actor.id, visit_type_id, changes)


async def withdraw_visit_type(transaction: Transaction, actor: Actor, visit_type_id: UUID, now: datetime) -> None:
    """Offers a visit type no longer; what is booked stays. ``not_found`` if it is not the actor's."""
    await doctors.begin_rule_change(transaction, actor.id)
    await visit_types.update_visit_type(transaction, actor.id, visit_type_id, {"withdrawn_at": now})
