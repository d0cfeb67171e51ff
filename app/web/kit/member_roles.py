"""The names of the roles in a clinic."""

from collections.abc import Mapping

from app.core.clinic_permissions import MemberRole
from app.web.kit.languages import N_

MEMBER_ROLES: Mapping[MemberRole, str] = {
    MemberRole.MANAGER: N_("Manager"),
    MemberRole.RECEPTIONIST: N_("Receptionist"),
    MemberRole.NURSE: N_("Nurse"),
    MemberRole.DOCTOR: N_("Doctor"),
    MemberRole.AUDITOR: N_("Auditor"),
}
