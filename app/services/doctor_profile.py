"""The profile and the visit types of a doctor."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from app.core.errors import DomainError
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
    """Return a doctor's profile as patients see it, and what is approved or waiting for review."""
    return await doctors.get_own_profile(transaction, doctor_id), await get_profile_review(transaction, doctor_id)


def apply_pending_change(doctor: DoctorRecord, review: ProfileReview) -> DoctorRecord:
    """Return the profile with the name and the specialty that the doctor requested last, reviewed or not.

    ``change_profile`` checks ``versions`` against this content.
    """
    name, specialty = review.wanted
    return replace(doctor, name=name, specialty=specialty)


async def change_profile(
    transaction: Transaction,
    doctor_id: UUID,
    changes: Mapping[str, Any],
    now: datetime,
    *,
    reviewed: bool = False,
    versions: frozenset[str] | None = None,
) -> tuple[DoctorRecord, ProfileReview, Affected]:
    """Change the doctor's profile; ``changes`` are fields of a ``DoctorRecord``.

    If the time zone changes, rules keep their wall times and appointments keep their instants. If profiles are
    ``reviewed``, a name and a specialty take effect when an administrator accepts them. Raises ``version_mismatch`` if
    ``versions`` (see ``core.versions``) does not contain that of ``apply_pending_change``.
    """
    # Also if no rule changes: it locks the doctor, so that the profile cannot change between the comparison and the
    # update (ADR 0039).
    await doctors.begin_rule_change(transaction, doctor_id)
    if versions is not None:
        check_version(asdict(apply_pending_change(*await get_profile(transaction, doctor_id))), versions)
    others = await hold_back(transaction, doctor_id, changes, now, reviewed=reviewed)
    if "name" in others:
        await rename_doctor(transaction, doctor_id, others.pop("name"))
    await doctors.update_doctor(transaction, doctor_id, others)
    affected = await find_affected(transaction, doctor_id, since=now) if "time_zone" in changes else Affected(0, ())
    return *await get_profile(transaction, doctor_id), affected


async def offer_visit_type(
    transaction: Transaction, doctor_id: UUID, fields: Mapping[str, Any], now: datetime
) -> VisitTypeRecord:
    """Add a visit type. From the first one on, the doctor can only be booked by visit type.

    Raises ``name_taken`` and ``too_many``.
    """
    await doctors.begin_rule_change(transaction, doctor_id)
    # Counted while the doctor is locked, so that concurrent requests cannot exceed the limit.
    if await visit_types.count_visit_types(transaction, doctor_id) >= MAX_VISIT_TYPES:
        raise DomainError("too_many")
    if await visit_types.is_name_taken(transaction, doctor_id, fields["name"]):
        raise DomainError("name_taken")
    return await visit_types.insert_visit_type(transaction, doctor_id, uuid7(), fields, now)


async def change_visit_type(
    transaction: Transaction,
    doctor_id: UUID,
    visit_type_id: UUID,
    changes: Mapping[str, Any],
    *,
    versions: frozenset[str] | None = None,
) -> VisitTypeRecord:
    """Change a visit type. Existing appointments keep their length.

    Raises ``not_found`` if it is not the doctor's, ``name_taken``, and ``version_mismatch`` if ``versions`` (see
    ``core.versions``) does not contain that of the record.
    """
    await doctors.begin_rule_change(transaction, doctor_id)
    if versions is not None:
        check_version(asdict(await visit_types.get_visit_type(transaction, doctor_id, visit_type_id)), versions)
    if "name" in changes and await visit_types.is_name_taken(
        transaction, doctor_id, changes["name"], changing=visit_type_id
    ):
        raise DomainError("name_taken")
    return await visit_types.update_visit_type(transaction, doctor_id, visit_type_id, changes)


async def withdraw_visit_type(transaction: Transaction, doctor_id: UUID, visit_type_id: UUID, now: datetime) -> None:
    """Withdraw a visit type, so that it cannot be booked any more. Existing appointments are not changed.

    Raises ``not_found`` if it is not the doctor's.
    """
    await doctors.begin_rule_change(transaction, doctor_id)
    # Not deleted: appointments refer to it, and it belongs to the record of these visits.
    await visit_types.update_visit_type(transaction, doctor_id, visit_type_id, {"withdrawn_at": now})
