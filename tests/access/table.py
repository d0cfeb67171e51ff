"""The expected response to each operation from each caller, written by hand from the contract.

Nothing here is computed by the application. A row is an operation of the OpenAPI document, a column is a caller, and a
cell is the response. In a pattern, `ok` stands for the success of the row, and every other word for an error in
`ERRORS`. A row lists where it differs from its pattern.
"""

from dataclasses import dataclass, field
from typing import Literal

type Column = Literal[
    "anonymous",
    "patient",
    "other patient",
    "doctor",
    "other doctor",
    "administrator",
    "suspended patient",
    "suspended doctor",
    "expired token",
    "refresh token",
    "ended session",
    "bare doctor",
    "bare administrator",
    "long ago",
]
"""The patient and the doctor own the object; the other patient and the other doctor have no part in it. Tokens that do
not work, and the log-in that is too old, belong to the owner of the row, who would succeed with a good token. A bare
doctor or administrator has no second factor although staff must have one."""

COLUMNS: tuple[Column, ...] = Column.__value__.__args__

ERRORS = {
    "token": (401, "not_authenticated"),
    "role": (403, "wrong_role"),
    "factor": (403, "set_up_second_factor"),
    "again": (403, "log_in_again"),
    "absent": (404, "not_found"),
    "password": (401, "invalid_credentials"),
    "renewal": (401, "invalid_refresh_token"),
    "expected": (409, "has_appointments"),
    "reset": (422, "invalid_reset_token"),
}

# fmt: off
# In the order of the columns:
#                        anon  pat    other  doc    other  admin  susp  susp  exp   refr  ended bare   bare   long
_PATTERNS = {
    "public":           "ok    ok     ok     ok     ok     ok     ok    ok    ok    ok    ok    ok     ok     ok",
    "viewer":           "ok    ok     ok     ok     ok     ok     token token token token token ok     ok     ok",
    "account":          "token ok     ok     ok     ok     ok     token token token token token ok     ok     ok",
    "fresh account":    "token ok     ok     ok     ok     ok     token token token token token ok     ok     again",
    "fresh":            "token ok     ok     ok     ok     ok     token token token token token factor factor again",
    "any":              "token ok     ok     ok     ok     ok     token token token token token factor factor ok",
    "patients":         "token ok     ok     role   role   role   token token token token token role   role   ok",
    "doctors":          "token role   role   ok     ok     role   token token token token token factor role   ok",
    "admins":           "token role   role   role   role   ok     token token token token token role   factor ok",
    "fresh admins":     "token role   role   role   role   ok     token token token token token role   factor again",
    # One object, which has an owner:
    "parties":          "token ok     absent ok     absent absent token token token token token factor factor ok",
    "its patient":      "token ok     absent role   role   role   token token token token token role   role   ok",
    "its doctor":       "token role   role   ok     absent role   token token token token token factor role   ok",
    # A clinic of which none of them is a member:
    "members":          "token absent absent absent absent absent token token token token token factor factor absent",
    "makers of clinics": "token role  role   ok     ok     ok     token token token token token factor factor ok",
    "its session":      "token ok     absent absent absent absent token token token token token absent absent ok",
}
# fmt: on
_OWNERS = {
    "doctors": "doctor",
    "its doctor": "doctor",
    "makers of clinics": "doctor",
    "admins": "administrator",
    "fresh admins": "administrator",
}


@dataclass(frozen=True, slots=True)
class Row:
    """The responses of one operation."""

    pattern: str
    success: int = 200
    but: dict[Column, str] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """The caller whose token no longer works in the columns about tokens."""
        return _OWNERS.get(self.pattern, "patient")

    def cell(self, column: Column) -> tuple[int, str | None]:
        """Return the status, and the code if it is an error."""
        word = self.but.get(column) or _PATTERNS[self.pattern].split()[COLUMNS.index(column)]
        return (self.success, None) if word == "ok" else ERRORS[word]


CHANGES_NOTHING = {"POST /admin/break-glass", "POST /doctors/me/clock-changes"}
"""Operations other than GET that change no row."""

TABLE = {
    "GET /livez": Row("public"),
    "GET /readyz": Row("public"),
    # The body names the account; the token is ignored.
    "POST /auth/register": Row("public", 201),
    "POST /auth/login": Row("public", but={"suspended patient": "password", "suspended doctor": "password"}),
    "POST /auth/refresh": Row(
        "public", but={"suspended patient": "renewal", "suspended doctor": "renewal", "ended session": "renewal"}
    ),
    "POST /auth/forgot-password": Row("public"),
    "POST /auth/reset-password": Row("public", 204, but={"suspended patient": "reset", "suspended doctor": "reset"}),
    "POST /auth/accept-invitation": Row("viewer", 201),
    "POST /auth/confirm-email": Row("account", 204),
    "POST /auth/resend-confirmation": Row("account", 204),
    "POST /auth/logout": Row("account", 204),
    "POST /auth/change-password": Row("account", 204),
    "POST /auth/email": Row("account", 202),
    "POST /auth/email/confirm": Row("account", 204),
    "GET /auth/me": Row("account"),
    "PATCH /auth/me": Row("any"),
    "GET /auth/me/export": Row("fresh"),
    "DELETE /auth/me": Row("fresh", 204, but={"doctor": "expected", "administrator": "role"}),
    "GET /auth/sessions": Row("account"),
    "DELETE /auth/sessions": Row("account", 204),
    "DELETE /auth/sessions/{session_id}": Row("its session", 204),
    "GET /auth/second-factor": Row("account"),
    "POST /auth/second-factor": Row("fresh account", 201),
    "POST /auth/second-factor/confirm": Row("fresh account"),
    "POST /auth/second-factor/recovery-codes": Row("fresh account"),
    "DELETE /auth/second-factor": Row("fresh account", 204),
    "GET /patients/me": Row("patients"),
    "PATCH /patients/me": Row("patients"),
    "GET /patients/me/dependants": Row("patients"),
    "POST /patients/me/dependants": Row("patients", 201),
    "GET /patients/me/dependants/{dependant_id}": Row("its patient"),
    "PATCH /patients/me/dependants/{dependant_id}": Row("its patient"),
    "DELETE /patients/me/dependants/{dependant_id}": Row("its patient", 204),
    "GET /patients/me/dependants/{dependant_id}/appointments": Row("its patient"),
    "GET /doctors": Row("public"),
    "GET /doctors/{doctor_id}": Row("public"),
    "GET /doctors/{doctor_id}/visit-types": Row("public"),
    "GET /doctors/{doctor_id}/availability": Row("viewer"),
    "GET /doctors/{doctor_id}/slots": Row("viewer"),
    "GET /doctors/{doctor_id}/next-slot": Row("viewer"),
    "GET /doctors/{doctor_id}/explain": Row("viewer"),
    "GET /search/slots": Row("viewer"),
    "GET /doctors/me": Row("doctors"),
    "PATCH /doctors/me": Row("doctors"),
    "GET /doctors/me/hours": Row("doctors"),
    "PUT /doctors/me/hours": Row("doctors"),
    "DELETE /doctors/me/hours/{valid_from}": Row("its doctor", 204),
    "POST /doctors/availability": Row("doctors", 201),
    "GET /doctors/me/availability": Row("doctors"),
    "DELETE /doctors/availability/{availability_id}": Row("its doctor", 204),
    "POST /doctors/me/time-off": Row("doctors", 201),
    "GET /doctors/me/time-off": Row("doctors"),
    "DELETE /doctors/me/time-off/{time_off_id}": Row("its doctor", 204),
    "POST /doctors/me/visit-types": Row("doctors", 201),
    "GET /doctors/me/visit-types": Row("doctors"),
    "GET /doctors/me/visit-types/{visit_type_id}": Row("its doctor"),
    "PATCH /doctors/me/visit-types/{visit_type_id}": Row("its doctor"),
    "DELETE /doctors/me/visit-types/{visit_type_id}": Row("its doctor", 204),
    "GET /doctors/me/appointments": Row("doctors"),
    "GET /doctors/me/clock-changes": Row("doctors"),
    "POST /doctors/me/clock-changes": Row("doctors"),
    "POST /appointments": Row("patients", 201),
    "GET /appointments": Row("any"),
    "GET /appointments/{appointment_id}": Row("parties"),
    "DELETE /appointments/{appointment_id}": Row("parties"),
    "GET /appointments/{appointment_id}/history": Row("parties"),
    "POST /appointments/{appointment_id}/cancel": Row("parties"),
    "POST /appointments/{appointment_id}/reschedule": Row("parties"),
    "POST /appointments/{appointment_id}/arrive": Row("its doctor"),
    "POST /appointments/{appointment_id}/complete": Row("its doctor"),
    "POST /appointments/{appointment_id}/no-show": Row("its doctor"),
    "POST /appointments/{appointment_id}/undo": Row("its doctor"),
    "POST /holds": Row("patients", 201),
    "DELETE /holds/{hold_id}": Row("its patient", 204),
    "POST /clinics": Row("makers of clinics", 201),
    "GET /clinics": Row("any"),
    # What members get is in the table of clinic_table.py.
    "GET /clinics/{clinic_id}": Row("members"),
    "PATCH /clinics/{clinic_id}": Row("members"),
    "POST /clinics/{clinic_id}/invitations": Row("members", 201),
    "GET /clinics/{clinic_id}/invitations": Row("members"),
    "DELETE /clinics/{clinic_id}/invitations/{invitation_id}": Row("members", 204),
    "GET /clinics/{clinic_id}/patients": Row("members"),
    "POST /clinics/{clinic_id}/patients": Row("members", 201),
    "GET /clinics/{clinic_id}/patients/{patient_id}": Row("members"),
    "PATCH /clinics/{clinic_id}/patients/{patient_id}": Row("members"),
    "GET /clinics/{clinic_id}/members": Row("members"),
    "GET /clinics/{clinic_id}/members/{user_id}": Row("members"),
    "PATCH /clinics/{clinic_id}/members/{user_id}": Row("members"),
    "DELETE /clinics/{clinic_id}/members/{user_id}": Row("members", 204),
    "POST /admin/clinics/{clinic_id}/manager": Row("fresh admins", 201),
    "GET /admin/users": Row("admins"),
    "GET /admin/users/{user_id}": Row("admins"),
    "POST /admin/users/{user_id}/approve": Row("fresh admins"),
    "POST /admin/invitations": Row("fresh admins", 201),
    "GET /admin/invitations": Row("admins"),
    "DELETE /admin/invitations/{invitation_id}": Row("admins", 204),
    "GET /admin/profile-changes": Row("admins"),
    "POST /admin/users/{user_id}/profile-changes/{change_id}/accept": Row("fresh admins"),
    "POST /admin/users/{user_id}/profile-changes/{change_id}/decline": Row("fresh admins"),
    "POST /admin/users/{user_id}/suspend": Row("fresh admins"),
    "POST /admin/users/{user_id}/reinstate": Row("fresh admins"),
    "POST /admin/users/{user_id}/erase": Row("fresh admins"),
    "GET /admin/users/{user_id}/appointments": Row("fresh admins"),
    "POST /admin/users/{user_id}/appointments/{appointment_id}/cancel": Row("fresh admins"),
    "DELETE /admin/users/{user_id}/sessions": Row("fresh admins", 204),
    "DELETE /admin/users/{user_id}/second-factor": Row("fresh admins", 204),
    "POST /admin/break-glass": Row("fresh admins"),
    "GET /admin/audit": Row("admins"),
}
