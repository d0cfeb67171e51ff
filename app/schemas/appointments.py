"""Requests and responses for appointments and holds."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from app.scheduling.status import AppointmentStatus
from app.schemas.fields import AMARA, ANN, CHECK_UP, Body, Instant, Note, PageQuery, ResponseBody, example

VISIT = "019abcde-f012-7678-89ab-cdef01234567"

Status = Literal[
    AppointmentStatus.BOOKED,
    AppointmentStatus.ARRIVED,
    AppointmentStatus.FULFILLED,
    AppointmentStatus.CANCELLED,
    AppointmentStatus.NOSHOW,
]
"""The statuses that clients see. A hold is not an appointment yet, so `pending` is not one of them."""


ON_BEHALF_OF = "The id of the dependant who is the patient. Default: you are the patient yourself."


class NewAppointment(Body):
    """An appointment to book. The patient is the caller, or one of their dependants."""

    doctor_id: UUID
    start_time: Instant
    end_time: Instant | None = Field(
        None,
        description="5 minutes to 12 hours after the start. Default: the visit type's duration, or the doctor's usual "
        "length. With a visit type, leave it out.",
    )
    visit_type_id: UUID | None = Field(None, description="Required for a doctor who has visit types.")
    on_behalf_of: UUID | None = Field(
        None, description="The id of the dependant who is the patient. Default: yourself."
    )
    hold_id: UUID | None = Field(
        None, description="The id of your hold on this time. The appointment gets the same id."
    )
    reason: Note | None = Field(
        None, description="What the visit is about. The doctor can read it.", examples=["A mole"]
    )

    model_config = example(doctor_id=AMARA, start_time="2026-12-08T10:30:00-05:00", reason="A mole")


class Hold(ResponseBody):
    """A slot that you hold. No one else can book it until `expires_at`."""

    id: UUID
    doctor_id: UUID
    visit_type_id: UUID | None
    start_time: datetime
    end_time: datetime
    expires_at: datetime

    model_config = example(
        id=VISIT,
        doctor_id=AMARA,
        visit_type_id=CHECK_UP,
        start_time="2026-12-08T15:30:00Z",
        end_time="2026-12-08T15:50:00Z",
        expires_at="2026-12-01T08:05:00Z",
    )


class NewHold(Body):
    """A slot to hold."""

    doctor_id: UUID
    start_time: Instant
    visit_type_id: UUID | None = Field(None, description="Required for a doctor who has visit types.")
    on_behalf_of: UUID | None = Field(
        None, description="The id of the dependant who is the patient. Default: yourself."
    )

    model_config = example(doctor_id=AMARA, start_time="2026-12-08T10:30:00-05:00", visit_type_id=CHECK_UP)


class Move(Body):
    """The new time of an appointment."""

    start_time: Instant
    visit_type_id: UUID | None = Field(None, description="A new visit type. Default: the current one.")

    model_config = example(start_time="2026-12-09T14:00:00-05:00")


class Cancellation(Body):
    """The reason for a cancellation."""

    reason: Note | None = Field(None, description="The other party can read it.", examples=["I am down with a cold"])

    model_config = example(reason="I am down with a cold")


class Reference(ResponseBody):
    """The id and the name of a related object."""

    id: UUID
    name: str


class Appointment(ResponseBody):
    """An appointment, as both the doctor and the patient see it."""

    id: UUID
    doctor_id: UUID
    patient_id: UUID
    visit_type_id: UUID | None
    start_time: datetime
    end_time: datetime
    time_zone: str = Field(description="The doctor's IANA time zone.", examples=["America/New_York"])
    status: Status
    reason: str | None
    doctor: Reference
    patient: Reference
    visit_type: Reference | None
    created_at: datetime
    booked_by: UUID = Field(description="The id of the person who booked it.")
    cancelled_at: datetime | None
    cancelled_by: UUID | None = Field(description="The id of the doctor, patient or administrator who cancelled it.")
    cancel_reason: str | None
    version: int = Field(description="Increases with every change. The `ETag` contains it, too.")

    model_config = example(
        id=VISIT,
        doctor_id=AMARA,
        patient_id=ANN,
        visit_type_id=CHECK_UP,
        start_time="2026-12-08T15:30:00Z",
        end_time="2026-12-08T15:50:00Z",
        time_zone="America/New_York",
        status="booked",
        reason="A mole",
        doctor={"id": AMARA, "name": "Dr Amara Okafor"},
        patient={"id": ANN, "name": "Ann Lee"},
        visit_type={"id": CHECK_UP, "name": "Check-up"},
        created_at="2026-12-01T08:00:00Z",
        booked_by=ANN,
        cancelled_at=None,
        cancelled_by=None,
        cancel_reason=None,
        version=1,
    )


class AppointmentsQuery(PageQuery):
    """Which of your appointments to list."""

    from_: Instant | None = Field(None, alias="from", description="Only appointments that end after this time.")
    to: Instant | None = Field(None, description="Only appointments that start before this time.")
    status: Annotated[list[Status], Field(max_length=10)] = Field(
        [], description="Only these statuses. The parameter may be repeated."
    )


class DoctorsAppointmentsQuery(AppointmentsQuery):
    """Which of your appointments as a doctor to list."""

    conflicting: bool = Field(
        False,
        description="Only appointments that are `booked` or `arrived`, have not ended, and lie outside your current "
        "hours.",
    )


class Affected(ResponseBody):
    """Appointments that are `booked` or `arrived` and lie outside the doctor's current hours."""

    affected_count: int = Field(description="The number of these appointments.")
    affected: list[Appointment] = Field(
        description="The first hundred of them; `GET /doctors/me/appointments?conflicting=true` lists all. "
        "They stay booked."
    )


class Version(ResponseBody):
    """The state of an appointment between two changes."""

    version: int
    status: Status
    start_time: datetime
    end_time: datetime
    visit_type_id: UUID | None
    changed_at: datetime
    changed_by: UUID = Field(description="The id of the doctor, patient or administrator who made the change.")

    model_config = example(
        version=1,
        status="booked",
        start_time="2026-12-08T15:30:00Z",
        end_time="2026-12-08T15:50:00Z",
        visit_type_id=CHECK_UP,
        changed_at="2026-12-01T08:00:00Z",
        changed_by=ANN,
    )
