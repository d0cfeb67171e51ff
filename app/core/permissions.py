"""Roles, account states and the caller of a use case."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.core.errors import DomainError


class Role(StrEnum):
    """The role of an account. Administrators can only be created on the command line."""

    PATIENT = "patient"
    DOCTOR = "doctor"
    ADMIN = "admin"


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


@dataclass(frozen=True, slots=True)
class Scope:
    """The visits that a query may return: those in the calendar of a doctor, and those of a patient."""

    doctor_id: UUID | None = None
    patient_id: UUID | None = None


def scope_of(actor: Actor) -> Scope:
    """Return the visits that the actor may see as their own."""
    match actor.role:
        case Role.DOCTOR:
            return Scope(doctor_id=actor.id)
        case Role.PATIENT:
            return Scope(patient_id=actor.id)
        case Role.ADMIN:
            # Administrators see visits only by emergency access, or those of a suspended doctor (ADR 0045).
            return Scope()
