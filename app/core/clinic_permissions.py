"""The members of a clinic: their roles, what they may do there, and to which calendars that extends."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from app.core.permissions import Actor


class MemberRole(StrEnum):
    """What a person is in a clinic. The role of the account (``Role``) is the same everywhere."""

    MANAGER = "manager"
    RECEPTIONIST = "receptionist"
    NURSE = "nurse"
    DOCTOR = "doctor"
    AUDITOR = "auditor"


class OnlineBooking(StrEnum):
    """Who may book online at a clinic."""

    EVERYBODY = "everybody"
    KNOWN = "known"
    """Patients whom the clinic knows already."""
    STAFF = "staff"
    """Nobody: only members of the clinic book."""


class ClinicPermission(StrEnum):
    """What a member may be allowed to do in a clinic. The values are rows of a table in ``docs/security.md``."""

    BOOK_FOR_PATIENTS = "book, move and cancel for patients"
    OVERRIDE_LIMITS = "book in spite of the notice, the horizon or the grid"
    OVERRIDE_HOURS = "book outside of hours, in time off or on a full day"
    SEE_CALENDARS = "see the day and the week"
    RECORD_ARRIVALS = "record arrivals and no-shows"
    COMPLETE_VISITS = "complete visits"
    FIND_PATIENTS = "find and add patients, and edit their contact details"
    MAKE_RECORD_CODES = "make codes that link a record to an account"
    SET_HOURS = "set the hours, time off and visit types of doctors"
    ENTER_ABSENCES = "enter absences, and move the visits concerned"
    MANAGE_PLACES = "manage locations and closures"
    MANAGE_CLINIC = "change the clinic, and manage its members, invitations and scopes"
    READ_DELIVERY_LOG = "see which messages were delivered"
    READ_CLINIC_TRAIL = "read the audit trail of the clinic"


class Reach(StrEnum):
    """The calendars to which a permission extends. The values are the cells of the table in ``docs/security.md``."""

    CLINIC = "clinic"
    """All calendars of the clinic."""
    SCOPE = "scope"
    """Those of the member's scope: of certain doctors, or of all."""
    OWN = "own"
    """The member's own."""
    OWN_AND_SCOPE = "own, scope"
    SCOPE_IF_ALLOWED = "scope, if the doctor allows it"


CLINIC_PERMISSIONS: Mapping[MemberRole, Mapping[ClinicPermission, Reach]] = MappingProxyType(
    {
        MemberRole.MANAGER: MappingProxyType(dict.fromkeys(ClinicPermission, Reach.CLINIC)),
        MemberRole.RECEPTIONIST: MappingProxyType(
            {
                ClinicPermission.BOOK_FOR_PATIENTS: Reach.SCOPE,
                ClinicPermission.OVERRIDE_LIMITS: Reach.SCOPE,
                ClinicPermission.SEE_CALENDARS: Reach.SCOPE,
                ClinicPermission.RECORD_ARRIVALS: Reach.SCOPE,
                ClinicPermission.FIND_PATIENTS: Reach.SCOPE,
                ClinicPermission.MAKE_RECORD_CODES: Reach.SCOPE,
                ClinicPermission.SET_HOURS: Reach.SCOPE_IF_ALLOWED,
                ClinicPermission.ENTER_ABSENCES: Reach.SCOPE,
                ClinicPermission.READ_DELIVERY_LOG: Reach.SCOPE,
            }
        ),
        MemberRole.NURSE: MappingProxyType(
            {
                ClinicPermission.BOOK_FOR_PATIENTS: Reach.SCOPE,
                ClinicPermission.OVERRIDE_LIMITS: Reach.SCOPE,
                ClinicPermission.SEE_CALENDARS: Reach.SCOPE,
                ClinicPermission.RECORD_ARRIVALS: Reach.SCOPE,
                ClinicPermission.COMPLETE_VISITS: Reach.SCOPE,
                ClinicPermission.FIND_PATIENTS: Reach.SCOPE,
            }
        ),
        MemberRole.DOCTOR: MappingProxyType(
            {
                ClinicPermission.BOOK_FOR_PATIENTS: Reach.OWN,
                ClinicPermission.OVERRIDE_LIMITS: Reach.OWN,
                ClinicPermission.OVERRIDE_HOURS: Reach.OWN,
                ClinicPermission.SEE_CALENDARS: Reach.OWN_AND_SCOPE,
                ClinicPermission.RECORD_ARRIVALS: Reach.OWN,
                ClinicPermission.COMPLETE_VISITS: Reach.OWN,
                ClinicPermission.FIND_PATIENTS: Reach.SCOPE,
                ClinicPermission.MAKE_RECORD_CODES: Reach.SCOPE,
                ClinicPermission.SET_HOURS: Reach.OWN,
                ClinicPermission.ENTER_ABSENCES: Reach.OWN,
            }
        ),
        MemberRole.AUDITOR: MappingProxyType({ClinicPermission.READ_CLINIC_TRAIL: Reach.CLINIC}),
    }
)


def reaches_of(roles: Iterable[MemberRole], permission: ClinicPermission) -> frozenset[Reach]:
    """Return how far the permission extends with these roles; an empty set if none of them has it."""
    return frozenset(CLINIC_PERMISSIONS[role][permission] for role in roles if permission in CLINIC_PERMISSIONS[role])


@dataclass(frozen=True, slots=True)
class ClinicActor:
    """A caller who is a member of a clinic, with the roles that are valid today."""

    actor: Actor
    clinic_id: UUID
    today: date
    """In the time zone of the clinic."""
    roles: frozenset[MemberRole]
    scope: frozenset[UUID] | None = None
    """The doctors to whom the member is restricted; ``None``: the whole clinic."""
    allowing: frozenset[UUID] = frozenset()
    """The doctors who let receptionists set their hours. Only known to callers who need ``SET_HOURS``."""

    @property
    def id(self) -> UUID:
        """The id of the account."""
        return self.actor.id

    def may(self, permission: ClinicPermission) -> bool:
        """Return whether the member has the permission, for at least one calendar."""
        return bool(reaches_of(self.roles, permission))

    def clinic_scope(self, permission: ClinicPermission) -> frozenset[UUID] | None:
        """Return the doctors to whose calendars the permission extends; ``None``: all doctors of the clinic.

        An empty set: none. Queries must also require that the doctor, or the visit, belongs to the clinic.
        """
        found: set[UUID] = set()
        for reach in reaches_of(self.roles, permission):
            match reach:
                case Reach.CLINIC:
                    return None
                case Reach.OWN:
                    found.add(self.id)
                case Reach.SCOPE | Reach.OWN_AND_SCOPE:
                    if self.scope is None:
                        return None
                    found |= self.scope | ({self.id} if reach is Reach.OWN_AND_SCOPE else set())
                case Reach.SCOPE_IF_ALLOWED:
                    found |= self.allowing if self.scope is None else self.scope & self.allowing
        return frozenset(found)
