"""Requests and responses for administrators."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from app.core.permissions import AccountStatus, Role
from app.schemas.accounts import User
from app.schemas.appointments import VISIT, Appointment, Reference, Status
from app.schemas.fields import (
    AMARA,
    ANN,
    EXAMPLE_TOKEN,
    Body,
    Email,
    LoginName,
    Name,
    Note,
    PageQuery,
    ResponseBody,
    SearchText,
    TimeZone,
    example,
)

Reason = Annotated[Note, StringConstraints(min_length=10, max_length=500)]
"""The reason for a decision, in at least 10 characters."""

INVITATION = {
    "id": ANN,
    "email": "amara.okafor@example.com",
    "name": "Dr Amara Okafor",
    "specialty": "Dermatology",
    "time_zone": "America/New_York",
    "created_at": "2026-11-30T08:00:00Z",
    "expires_at": "2026-12-07T08:00:00Z",
}


class AccountsQuery(PageQuery):
    """Which accounts to list."""

    q: Annotated[SearchText, StringConstraints(strip_whitespace=True, min_length=3)] | None = Field(
        None,
        description="Parts of the name, in any order and letter case, or part of the email address. "
        "At least three characters.",
    )
    email: LoginName | None = Field(None, description="The whole email address, in any spelling.")
    role: Role | None = None
    status: AccountStatus | None = None


class Account(ResponseBody):
    """An account and its status."""

    id: UUID
    email: str
    name: str
    role: Role
    specialty: str | None = Field(description="For doctors only.")
    status: AccountStatus
    created_at: datetime
    approved_at: datetime | None = Field(description="For doctors only: when the doctor was approved.")
    email_confirmed_at: datetime | None
    suspended_at: datetime | None
    erased_at: datetime | None
    second_factor: bool

    model_config = example(
        id=AMARA,
        email="amara.okafor@example.com",
        name="Dr Amara Okafor",
        role="doctor",
        specialty="Dermatology",
        status="active",
        created_at="2026-11-30T08:00:00Z",
        approved_at="2026-12-01T08:00:00Z",
        email_confirmed_at="2026-11-30T08:05:00Z",
        suspended_at=None,
        erased_at=None,
        second_factor=True,
    )


class Decision(Body):
    """The reason for a decision. The audit trail keeps it."""

    reason: Reason = Field(examples=["Left the practice on 30 November"])


class ProfileChange(ResponseBody):
    """A change of a doctor's name or specialty that awaits a decision."""

    id: UUID
    doctor_id: UUID
    name: str
    specialty: str | None
    requested_at: datetime
    current_name: str = Field(description="The name that patients see now.")
    current_specialty: str | None

    model_config = example(
        id=ANN,
        doctor_id=AMARA,
        name="Dr Amara Okafor-Lee",
        specialty="Dermatology",
        requested_at="2026-12-01T08:00:00Z",
        current_name="Dr Amara Okafor",
        current_specialty="Dermatology",
    )


class ProfileChangesQuery(PageQuery):
    """Which page of the pending changes to list."""


class NewInvitation(Body):
    """A doctor to invite. All fields except the address are suggestions, which the doctor can change."""

    email: Email
    name: Name | None = Field(None, examples=["Dr Amara Okafor"])
    specialty: Name | None = Field(None, examples=["Dermatology"])
    time_zone: TimeZone | None = None

    model_config = example(
        email="amara.okafor@example.com",
        name="Dr Amara Okafor",
        specialty="Dermatology",
        time_zone="America/New_York",
    )


class Invitation(ResponseBody):
    """An invitation that can be accepted until it expires."""

    id: UUID
    email: str
    name: str | None
    specialty: str | None
    time_zone: str | None
    created_at: datetime
    expires_at: datetime

    model_config = example(**INVITATION)


class SentInvitation(Invitation):
    """A new invitation. Its token is shown only in this response."""

    token: str = Field(description="For `POST /auth/accept-invitation`. It works once.")
    path: str = Field(description="The path of the page on which the doctor can accept the invitation.")

    model_config = example(**INVITATION, token=EXAMPLE_TOKEN, path=f"/invitation?token={EXAMPLE_TOKEN}")


class InvitationsQuery(PageQuery):
    """Which page of the open invitations to list."""


class ExpectedVisit(ResponseBody):
    """A visit with a suspended doctor: what is needed to cancel it, without the reason or the visit type."""

    id: UUID
    patient_id: UUID
    patient: Reference
    start_time: datetime
    end_time: datetime
    time_zone: str = Field(description="The doctor's IANA time zone.")
    # Without the patient's reason and the visit type: both can reveal an illness (ADR 0045).
    status: Status
    version: int = Field(description="Increases with every change. Send it in `If-Match`.")

    model_config = example(
        id=VISIT,
        patient_id=ANN,
        patient={"id": ANN, "name": "Ann Lee"},
        start_time="2026-12-08T15:30:00Z",
        end_time="2026-12-08T15:50:00Z",
        time_zone="America/New_York",
        status="booked",
        version=1,
    )


class BreakGlass(Body):
    """The patient whose data you need, and the reason."""

    patient_id: UUID
    reason: Reason = Field(examples=["The practice burned down; patients must be informed"])

    model_config = example(patient_id=ANN, reason="The practice burned down; patients must be informed")


class PatientFile(ResponseBody):
    """A patient and all their visits."""

    patient: User
    appointments: list[Appointment]
