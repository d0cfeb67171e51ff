"""Export and erase the personal data of an account."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.errors import DomainError
from app.core.permissions import Actor, GuardianRight, Role, Scope
from app.db.database import Transaction
from app.repositories import (
    appointment_versions,
    appointments,
    audit,
    availabilities,
    doctors,
    erasure,
    guardians,
    login_attempts,
    members,
    patients,
    sessions,
    time_off,
    users,
    visit_types,
)
from app.repositories.appointment_versions import VersionRecord
from app.repositories.appointments import AppointmentRecord, ChangedAppointment
from app.repositories.audit import AuditRecord
from app.repositories.availabilities import AvailabilityRecord
from app.repositories.doctors import DoctorRecord
from app.repositories.email_changes import EmailChangeRecord, find_email_change
from app.repositories.guardians import DependantRecord
from app.repositories.login_attempts import KnownDeviceRecord
from app.repositories.members import HeldRoleRecord
from app.repositories.patients import PatientRecord
from app.repositories.profile_changes import ProfileChangeRecord, get_profile_review
from app.repositories.sessions import SessionRecord
from app.repositories.time_off import TimeOffRecord
from app.repositories.users import UserRecord
from app.repositories.visit_types import VisitTypeRecord
from app.services import second_factor
from app.services.appointment_status import cancel_all
from app.services.dependants import dependants_of
from app.services.members import leave_clinics
from app.services.second_factor import Status

_BATCH = 200
_EVENTS = 1000
_ALL = 10_000  # more rules than a doctor may have


@dataclass(frozen=True, slots=True)
class Practice:
    """The profile and the rules of a doctor."""

    doctor: DoctorRecord
    pending_change: ProfileChangeRecord | None
    availabilities: Sequence[AvailabilityRecord]
    time_off: Sequence[TimeOffRecord]
    visit_types: Sequence[VisitTypeRecord]


@dataclass(frozen=True, slots=True)
class ExportedDependant:
    """A patient for whom the owner of the account acts, with all appointments, the upcoming ones first."""

    dependant: DependantRecord
    appointments: Sequence[AppointmentRecord]


@dataclass(frozen=True, slots=True)
class Export:
    """All data that is stored about the owner of an account."""

    account: UserRecord
    email_change: EmailChangeRecord | None
    sessions: Sequence[SessionRecord]
    known_devices: Sequence[KnownDeviceRecord]
    second_factor: Status
    appointments: Sequence[AppointmentRecord]
    versions: dict[UUID, list[VersionRecord]]
    """The history of each appointment by its id, oldest first."""
    record: PatientRecord | None
    """The record of a patient."""
    dependants: Sequence[ExportedDependant]
    memberships: Sequence[HeldRoleRecord]
    practice: Practice | None
    access: Sequence[AuditRecord]
    """Who did what with the data of a patient, oldest first."""


async def export(transaction: Transaction, actor: Actor, now: datetime) -> Export:
    """Return all data that is stored about the actor (GDPR articles 15 and 20).

    Appointments are part of a patient's export only: the patient's own, and those of dependants. Those of a doctor are
    the data of the patients.
    """
    user_id = actor.id
    account = await users.get_user(transaction, user_id)
    booked = await list_visits(transaction, user_id, now) if account.role is Role.PATIENT else []
    dependants = [
        ExportedDependant(each, await list_visits(transaction, each.patient.id, now))
        for each in await guardians.list_dependants(transaction, dependants_of(actor, GuardianRight.SEE, now))
    ]
    visits = [*booked, *(visit for each in dependants for visit in each.appointments)]
    versions = await appointment_versions.list_versions(transaction, visits)
    practice = None
    if account.role is Role.DOCTOR:
        practice = Practice(
            await doctors.get_own_profile(transaction, user_id),
            (await get_profile_review(transaction, user_id)).change,
            await availabilities.page_availabilities(transaction, user_id, after=None, limit=_ALL),
            await time_off.page_time_off(transaction, user_id, after=None, limit=_ALL),
            await visit_types.page_visit_types(transaction, user_id, after=None, limit=_ALL),
        )
    return Export(
        account,
        await find_email_change(transaction, user_id, now),
        await sessions.page_sessions(transaction, user_id, now, after=None, limit=_ALL),
        await login_attempts.list_known_devices(transaction, user_id),
        await second_factor.get_status(transaction, actor),
        booked,
        versions,
        await patients.get_patient(transaction, user_id) if account.role is Role.PATIENT else None,
        dependants,
        await members.list_memberships(transaction, user_id),
        practice,
        await _list_access(transaction, user_id),
    )


async def _list_access(transaction: Transaction, patient_id: UUID) -> list[AuditRecord]:
    found: list[AuditRecord] = []
    after = None
    while True:
        page = await audit.page_events(
            transaction,
            patient_id=patient_id,
            actor_id=None,
            action=None,
            since=None,
            until=None,
            after=after,
            limit=_EVENTS,
        )
        found += page
        if len(page) < _EVENTS:
            return found[::-1]
        after = audit.page_key(page[-1])


async def list_visits(transaction: Transaction, patient_id: UUID, now: datetime) -> list[AppointmentRecord]:
    """Return all appointments of a patient, the upcoming ones first."""
    scope = Scope(patient_id=patient_id)
    found: list[AppointmentRecord] = []
    after = None
    while True:
        page = await appointments.page_appointments(
            transaction, scope, as_of=now, since=None, until=None, statuses=(), after=after, limit=_BATCH
        )
        found += page
        if len(page) < _BATCH:
            return found
        after = appointments.page_key(page[-1], now)


async def erase(
    transaction: Transaction, user_id: UUID, role: Role, now: datetime, *, by: UUID, cancel_visits: bool = False
) -> Sequence[ChangedAppointment]:
    """Erase the personal data of an account (GDPR article 17). Its id and the record of its visits remain.

    Upcoming appointments of a patient are cancelled, regardless of the deadline. Those of a doctor are cancelled only
    with ``cancel_visits``. Returns the appointments that were cancelled. Raises ``has_appointments`` for a doctor with
    upcoming appointments without ``cancel_visits``, and ``wrong_role`` for an administrator.
    """
    if role is Role.ADMIN:
        raise DomainError("wrong_role")
    if role is Role.DOCTOR:
        if not await doctors.lock_doctor(transaction, user_id):
            return ()  # The account was erased while this waited for the lock.
        # From here on, no booking succeeds. Lock the doctor before the account, like every change of a doctor's rules.
        await doctors.begin_rule_change(transaction, user_id)
        await users.lock_user(transaction, user_id)
        if not cancel_visits and await appointments.list_upcoming(transaction, user_id, since=now):
            raise DomainError("has_appointments")
        cancelled = await cancel_all(transaction, Scope(doctor_id=user_id), now, by=by)
        await erasure.erase_doctor(transaction, user_id, now)
    else:
        # Lock the account before the appointments, as in `undo_status_change`. Bookings do not wait for this lock: one
        # that is committed later stays, without a name (ADR 0015).
        await users.lock_user(transaction, user_id)
        await patients.lock_patient(transaction, user_id)
        cancelled = await cancel_all(transaction, Scope(patient_id=user_id), now, by=by)
        await erasure.erase_patient(transaction, user_id, now)
    await leave_clinics(transaction, user_id, now, by_themselves=by == user_id)
    await erasure.erase_user(transaction, user_id, now)
    return cancelled
