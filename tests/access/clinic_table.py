"""The expected response to each operation of a clinic from each role of a member, written by hand from the contract."""

from dataclasses import dataclass

from app.core.clinic_permissions import MemberRole

EVERYBODY = frozenset(MemberRole)
FINDING_PATIENTS = frozenset(MemberRole) - {MemberRole.AUDITOR}
MANAGERS = frozenset({MemberRole.MANAGER})


@dataclass(frozen=True, slots=True)
class ClinicRow:
    """Who may do it, the status of the success, and whether it needs a log-in within the last ten minutes."""

    allowed: frozenset[MemberRole]
    success: int = 200
    fresh: bool = False


CLINIC_TABLE = {
    "GET /clinics/{clinic_id}": ClinicRow(EVERYBODY),
    "PATCH /clinics/{clinic_id}": ClinicRow(MANAGERS),
    "POST /clinics/{clinic_id}/invitations": ClinicRow(MANAGERS, 201, fresh=True),
    "GET /clinics/{clinic_id}/invitations": ClinicRow(MANAGERS),
    "DELETE /clinics/{clinic_id}/invitations/{invitation_id}": ClinicRow(MANAGERS, 204),
    "GET /clinics/{clinic_id}/patients": ClinicRow(FINDING_PATIENTS),
    "POST /clinics/{clinic_id}/patients": ClinicRow(FINDING_PATIENTS, 201),
    "GET /clinics/{clinic_id}/patients/{patient_id}": ClinicRow(FINDING_PATIENTS),
    "PATCH /clinics/{clinic_id}/patients/{patient_id}": ClinicRow(FINDING_PATIENTS),
    "GET /clinics/{clinic_id}/members": ClinicRow(MANAGERS),
    "GET /clinics/{clinic_id}/members/{user_id}": ClinicRow(MANAGERS),
    "PATCH /clinics/{clinic_id}/members/{user_id}": ClinicRow(MANAGERS, fresh=True),
    # Of another member. Everybody may leave: tests/api/test_members.py
    "DELETE /clinics/{clinic_id}/members/{user_id}": ClinicRow(MANAGERS, 204),
}
