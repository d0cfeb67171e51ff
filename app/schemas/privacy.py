"""The export of a person's own data."""

from datetime import date, datetime
from uuid import UUID

from pydantic import Field

from app.core.clinic_permissions import MemberRole
from app.core.permissions import Role
from app.schemas.accounts import SecondFactor, Session, User
from app.schemas.appointments import VISIT, Appointment, Version
from app.schemas.doctors import Doctor, PendingChange
from app.schemas.fields import AMARA, ANN, ResponseBody, example
from app.schemas.patients import Dependant, Patient
from app.schemas.schedule import Availability, TimeOff
from app.schemas.slots import VisitType


class ExportedAppointment(Appointment):
    """An appointment with its history."""

    history: list[Version]


class ExportedDependant(Dependant):
    """A patient for whom you act, with all appointments."""

    appointments: list[ExportedAppointment]


class Practice(ResponseBody):
    """The profile, hours, time off and visit types of a doctor."""

    doctor: Doctor
    pending_change: PendingChange | None
    availabilities: list[Availability]
    time_off: list[TimeOff]
    visit_types: list[VisitType]


class KnownDevice(ResponseBody):
    """A device from which you have logged in, and when you last did. Nothing else is kept about it."""

    last_at: datetime

    model_config = example(last_at="2026-12-01T08:00:00Z")


class EmailChange(ResponseBody):
    """A new email address that you have requested and not confirmed yet."""

    email: str
    expires_at: datetime = Field(description="Until when it can be confirmed.")

    model_config = example(email="ann.lee@example.com", expires_at="2026-12-02T08:00:00Z")


class Access(ResponseBody):
    """An access to your data, from the audit trail."""

    at: datetime = Field(validation_alias="occurred_at")
    actor_id: UUID | None
    actor_role: Role | None
    action: str = Field(description="The `operationId` of the operation.")
    outcome: str = Field(description="`ok`, or the error code.")
    object_id: UUID | None = Field(description="What the action was applied to, for example an appointment or a hold.")
    reason: str | None = Field(description="The reason that the actor gave.")

    model_config = example(
        at="2026-12-01T08:00:00Z",
        actor_id=AMARA,
        actor_role="doctor",
        action="get_appointment",
        outcome="ok",
        object_id=VISIT,
        reason=None,
    )


class Membership(ResponseBody):
    """A role that you have, or had, in a clinic."""

    clinic_id: UUID
    clinic: str = Field(description="The name of the clinic.")
    role: MemberRole
    valid_from: date | None
    valid_until: date | None
    created_at: datetime
    ended_at: datetime | None


class Export(ResponseBody):
    """All data that is stored about you."""

    exported_at: datetime
    account: User
    email_change: EmailChange | None
    sessions: list[Session]
    known_devices: list[KnownDevice] = Field(description="The devices from which you have logged in, latest first.")
    second_factor: SecondFactor
    appointments: list[ExportedAppointment] = Field(description="For patients.")
    record: Patient | None = Field(description="For patients: the record with the contact data.")
    dependants: list[ExportedDependant] = Field(description="For patients: those for whom you act today.")
    memberships: list[Membership] = Field(description="Your roles in clinics.")
    practice: Practice | None = Field(description="For doctors.")
    access: list[Access] = Field(
        description="For patients: who has seen or changed your data before this export, oldest first."
    )

    model_config = example(
        exported_at="2026-12-01T08:00:00Z",
        account={
            "id": ANN,
            "email": "ann@example.com",
            "name": "Ann Lee",
            "role": "patient",
            "created_at": "2026-11-30T08:00:00Z",
            "email_confirmed_at": "2026-11-30T08:02:00Z",
        },
        email_change=None,
        sessions=[],
        known_devices=[{"last_at": "2026-12-01T08:00:00Z"}],
        second_factor={"enabled": False, "recovery_codes_left": 0},
        appointments=[],
        record=None,
        dependants=[],
        memberships=[],
        practice=None,
        access=[],
    )
