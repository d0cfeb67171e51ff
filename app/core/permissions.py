"""Roles, what they may do, account states and the caller of a use case."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from app.core.errors import DomainError


class Role(StrEnum):
    """The role of an account. Administrators can only be created on the command line."""

    PATIENT = "patient"
    DOCTOR = "doctor"
    STAFF = "staff"
    """Somebody who works for clinics and is not a doctor. What they may do depends on the clinic."""
    ADMIN = "admin"


class Relation(StrEnum):
    """What a guardian is to a dependant."""

    PARENT = "parent"
    GUARDIAN = "guardian"
    CARER = "carer"
    PARTNER = "partner"
    OTHER = "other"


class GuardianRight(StrEnum):
    """What a guardian may do for a dependant."""

    SEE = "see"
    BOOK = "book"


class Permission(StrEnum):
    """What a caller may be allowed to do. The values are the rows of the table in ``docs/security.md``."""

    BOOK_ONLINE = "hold and book a time online"
    SEE_OWN_VISITS = "see their own visits as a patient"
    CHANGE_ONLINE = "move and cancel their own visits online"
    EDIT_OWN_RECORD = "see and edit their own record as a patient, and those of their dependants"
    SEE_OWN_CALENDAR = "see the day, the week and the visits of their own calendar"
    CHANGE_FOR_PATIENTS = "move and cancel for patients in their own calendar"
    CHANGE_AFTER_DEADLINE = "move and cancel after the doctor's deadline"
    RECORD_ATTENDANCE = "record arrivals and outcomes, and undo changes of status"
    SET_OWN_HOURS = "set their own hours and time off"
    SET_OWN_VISIT_TYPES = "set their own visit types"
    EDIT_OWN_PROFILE = "edit their own public profile"
    SEE_ACCOUNTS = "see accounts and changes of profiles"
    ADMINISTER_ACCOUNTS = (
        "approve, suspend, reinstate and erase accounts, end their sessions, remove second factors, and review profiles"
    )
    INVITE_DOCTORS = "invite doctors"
    MAKE_CLINICS = "make clinics"
    APPOINT_MANAGERS = "invite a manager for a clinic that has none"
    CANCEL_FOR_SUSPENDED_DOCTORS = "see and cancel upcoming visits of suspended doctors"
    BREAK_GLASS = "see the visits of a patient by emergency access"
    READ_AUDIT_TRAIL = "read the audit trail"


PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.PATIENT: frozenset(
            {
                Permission.BOOK_ONLINE,
                Permission.SEE_OWN_VISITS,
                Permission.CHANGE_ONLINE,
                Permission.EDIT_OWN_RECORD,
            }
        ),
        Role.DOCTOR: frozenset(
            {
                Permission.SEE_OWN_CALENDAR,
                Permission.CHANGE_FOR_PATIENTS,
                Permission.CHANGE_AFTER_DEADLINE,
                Permission.RECORD_ATTENDANCE,
                Permission.SET_OWN_HOURS,
                Permission.SET_OWN_VISIT_TYPES,
                Permission.EDIT_OWN_PROFILE,
                Permission.MAKE_CLINICS,
            }
        ),
        Role.STAFF: frozenset(),
        Role.ADMIN: frozenset(
            {
                Permission.CHANGE_AFTER_DEADLINE,
                Permission.SEE_ACCOUNTS,
                Permission.ADMINISTER_ACCOUNTS,
                Permission.INVITE_DOCTORS,
                Permission.MAKE_CLINICS,
                Permission.APPOINT_MANAGERS,
                Permission.CANCEL_FOR_SUSPENDED_DOCTORS,
                Permission.BREAK_GLASS,
                Permission.READ_AUDIT_TRAIL,
            }
        ),
    }
)


def may(roles: Iterable[Role], permission: Permission) -> bool:
    """Return whether one of the roles has the permission."""
    return any(permission in PERMISSIONS[role] for role in roles)


class AccountStatus(StrEnum):
    """The state of an account."""

    ACTIVE = "active"
    UNAPPROVED = "unapproved"
    """A doctor who waits for approval and is not listed for patients."""
    SUSPENDED = "suspended"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Login:
    """The session of a request: its id, the time of its log-in, and whether that used a second factor."""

    session_id: UUID
    at: datetime
    second_factor: bool


@dataclass(frozen=True, slots=True)
class Actor:
    """The authenticated caller of a use case."""

    id: UUID
    role: Role
    name: str
    login: Login | None = None
    """``None`` if the caller is not an HTTP request."""
    email_confirmed: bool = False
    waits_for_approval: bool = False
    """Whether this is a doctor who is not listed for patients yet. Only pages set it."""

    def get_login(self) -> Login:
        """Return the session. Raises ``not_authenticated`` if there is none."""
        if self.login is None:
            raise DomainError("not_authenticated")
        return self.login

    def may(self, permission: Permission) -> bool:
        """Return whether the caller has the permission."""
        return may((self.role,), permission)


@dataclass(frozen=True, slots=True)
class Dependants:
    """The patients for whom a guardian has a right on a day."""

    guardian_id: UUID
    right: GuardianRight
    day: date


@dataclass(frozen=True, slots=True)
class Scope:
    """The visits that a query may return: in the calendar of a doctor, of a patient, and of a patient's dependants.

    Without any of them, there are none.
    """

    doctor_id: UUID | None = None
    patient_id: UUID | None = None
    dependants: Dependants | None = None


def scope_of(actor: Actor, day: date | None = None) -> Scope:
    """Return the visits that the actor may see. With a day, those of their dependants on this day are included."""
    # Administrators see visits only by emergency access, or those of a suspended doctor (ADR 0045).
    is_patient = actor.may(Permission.SEE_OWN_VISITS)
    return Scope(
        doctor_id=actor.id if actor.may(Permission.SEE_OWN_CALENDAR) else None,
        patient_id=actor.id if is_patient else None,
        dependants=Dependants(actor.id, GuardianRight.SEE, day) if is_patient and day else None,
    )


def scope_to_change(actor: Actor, day: date) -> Scope:
    """Return the visits that the actor may move and cancel, including those of their dependants on this day."""
    is_patient = actor.may(Permission.CHANGE_ONLINE)
    return Scope(
        doctor_id=actor.id if actor.may(Permission.CHANGE_FOR_PATIENTS) else None,
        patient_id=actor.id if is_patient else None,
        dependants=Dependants(actor.id, GuardianRight.BOOK, day) if is_patient else None,
    )
