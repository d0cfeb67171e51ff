"""Representations of records, shared by several routes of the API."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.permissions import Actor
from app.repositories.appointments import AppointmentRecord
from app.repositories.availabilities import AvailabilityRecord
from app.repositories.doctors import DoctorRecord
from app.repositories.profile_changes import ProfileReview
from app.repositories.time_off import TimeOffRecord
from app.repositories.visit_types import VisitTypeRecord
from app.scheduling.availability import Availability, TimeOff, window
from app.scheduling.intervals import Interval, from_instant
from app.schemas import privacy, schedule, slots
from app.schemas.accounts import SecondFactor, Session, User
from app.schemas.appointments import Appointment, Version
from app.schemas.doctors import Doctor, PendingChange
from app.schemas.patients import Dependant, Patient
from app.services.conflicts import Affected
from app.services.privacy import Export, Practice

EXPORT_HEADERS = {"Content-Disposition": 'attachment; filename="export.json"'}


def represent_availability(doctor: DoctorRecord, record: AvailabilityRecord) -> schedule.Availability:
    """Return an availability as its doctor sees it, with the start and end of its first window in UTC."""
    return schedule.Availability(
        id=record.id,
        doctor_id=doctor.id,
        time_zone=doctor.time_zone,
        recurrence=record.rule.recurrence,
        weekly_hours=record.weekly_hours,
        **_window(doctor, record.rule),
    )


def represent_time_off(doctor: DoctorRecord, record: TimeOffRecord) -> schedule.TimeOff:
    """Return time off as its doctor sees it, with its start and end in UTC."""
    return schedule.TimeOff(
        id=record.id,
        doctor_id=doctor.id,
        time_zone=doctor.time_zone,
        reason=record.reason,
        **_window(doctor, record.rule),
    )


def represent_visit_type(doctor_id: UUID, record: VisitTypeRecord) -> slots.VisitType:
    """Return a visit type with the id of the doctor who offers it."""
    return slots.VisitType(doctor_id=doctor_id, **asdict(record))


def slot_times(doctor: DoctorRecord, visit: Interval) -> dict[str, datetime]:
    """Return the members of a slot: its start and end in UTC, and its start in the doctor's time zone."""
    start, end = map(from_instant, visit)
    return {"start_time": start, "end_time": end, "local_start": start.astimezone(doctor.zone)}


def affected_members(affected: Affected) -> dict[str, Any]:
    """Return the members about appointments that lie outside of a doctor's changed rules."""
    return {
        "affected_count": affected.count,
        "affected": [Appointment.model_validate(each) for each in affected.appointments],
    }


def review_members(review: ProfileReview) -> dict[str, Any]:
    """Return the members about the review of a doctor's profile by administrators."""
    return {"approved_at": review.approved_at, "pending_change": review.change and asdict(review.change)}


def represent_export(found: Export, actor: Actor, now: datetime) -> privacy.Export:
    """Return everything that is stored about the actor. ``current`` marks the session of the request."""
    current = actor.get_login().session_id
    return privacy.Export(
        exported_at=now,
        account=User.model_validate(found.account),
        email_change=found.email_change and privacy.EmailChange.model_validate(found.email_change),
        sessions=[Session(**asdict(each), current=each.id == current) for each in found.sessions],
        known_devices=[privacy.KnownDevice.model_validate(each) for each in found.known_devices],
        second_factor=SecondFactor.model_validate(found.second_factor),
        appointments=_visits(found, found.appointments),
        record=found.record and Patient.model_validate(found.record),
        dependants=[
            privacy.ExportedDependant(
                **Dependant.model_validate(each.dependant).model_dump(),
                appointments=_visits(found, each.appointments),
            )
            for each in found.dependants
        ],
        memberships=[privacy.Membership.model_validate(each) for each in found.memberships],
        practice=_practice(actor.id, found.practice) if found.practice else None,
        access=[privacy.Access.model_validate(each) for each in found.access],
    )


def _visits(found: Export, visits: Sequence[AppointmentRecord]) -> list[privacy.ExportedAppointment]:
    return [
        privacy.ExportedAppointment(
            **Appointment.model_validate(each).model_dump(),
            history=[Version.model_validate(version) for version in found.versions[each.id]],
        )
        for each in visits
    ]


def _practice(doctor_id: UUID, practice: Practice) -> privacy.Practice:
    return privacy.Practice(
        doctor=Doctor.model_validate(practice.doctor),
        pending_change=practice.pending_change and PendingChange.model_validate(practice.pending_change),
        availabilities=[represent_availability(practice.doctor, each) for each in practice.availabilities],
        time_off=[represent_time_off(practice.doctor, each) for each in practice.time_off],
        visit_types=[represent_visit_type(doctor_id, each) for each in practice.visit_types],
    )


def _window(doctor: DoctorRecord, rule: Availability | TimeOff) -> Mapping[str, datetime]:
    start, end = window(rule, doctor.zone)
    return {"start_time": from_instant(start), "end_time": from_instant(end)}
