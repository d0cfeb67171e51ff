"""Appointments on the wire."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from app.scheduling.status import AppointmentStatus
from app.schemas.fields import AMARA, ANN, CHECK_UP, Answer, Body, Instant, Note, PageQuery, example

VISIT = "019abcde-f012-7678-89ab-cdef01234567"

Status = Literal[
    AppointmentStatus.BOOKED,
    AppointmentStatus.ARRIVED,
    AppointmentStatus.FULFILLED,
    AppointmentStatus.CANCELLED,
    AppointmentStatus.NOSHOW,
]
"""The states of an appointment that are seen; a hold is not an appointment yet."""


class NewAppointment(Body):
    """A visit to book; the patient is whoever asks."""

    doctor_id: UUID
    start_time: Instant
    end_time: Instant | None = Field(
        None,
        description="5 minutes to 12 hours after the start; the doctor's usual length unless given. With a visit type, "
        "which has its own length, best left out.",
    )
    visit_type_id: UUID | None = Field(None, description="Needed for a doctor who has visit types.")
    hold_id: UUID | None = Field(None, description="Your hold of this time. The appointment keeps its id.")
    reason: Note | None = Field(None, description="What the visit is about, for the doctor.", examples=["A mole"])

    model_config = example(doctor_id=AMARA, start_time="2026-12-08T10:30:00-05:00", reason="A mole")


class Hold(Answer):
    """Time that is kept for you: nobody else can have it until `expires_at`."""

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
    """A time to keep while you make up your mind."""

    doctor_id: UUID
    start_time: Instant
    visit_type_id: UUID | None = Field(None, description="Needed for a doctor who has visit types.")

    model_config = example(doctor_id=AMARA, start_time="2026-12-08T10:30:00-05:00", visit_type_id=CHECK_UP)


class Move(Body):
    """Where an appointment is to be moved."""

    start_time: Instant
    visit_type_id: UUID | None = Field(None, description="It stays what it is, unless given.")

    model_config = example(start_time="2026-12-09T14:00:00-05:00")


class Cancellation(Body):
    """Why an appointment is cancelled."""

    reason: Note | None = Field(None, description="For the other side.", examples=["I am down with a cold"])

    model_config = example(reason="I am down with a cold")


class Reference(Answer):
    """Something else, by its id and the name that people know it by."""

    id: UUID
    name: str


class Appointment(Answer):
    """An appointment, as both sides see it."""

    id: UUID
    doctor_id: UUID
    patient_id: UUID
    visit_type_id: UUID | None
    start_time: datetime
    end_time: datetime
    time_zone: str = Field(description="The doctor's, an IANA name.", examples=["America/New_York"])
    status: Status
    reason: str | None
    doctor: Reference
    patient: Reference
    visit_type: Reference | None
    created_at: datetime
    cancelled_at: datetime | None
    cancelled_by: UUID | None = Field(
        description="Who cancelled it: the id of the doctor, of the patient or of an administrator."
    )
    cancel_reason: str | None
    version: int = Field(description="Raised by every change; also in the `ETag`.")

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
        cancelled_at=None,
        cancelled_by=None,
        cancel_reason=None,
        version=1,
    )


class AppointmentsQuery(PageQuery):
    """Which of the caller's appointments to list."""

    from_: Instant | None = Field(None, alias="from", description="Those that end after this.")
    to: Instant | None = Field(None, description="Those that start before this.")
    status: Annotated[list[Status], Field(max_length=10)] = Field(
        [], description="May be repeated; every status unless given."
    )


class DoctorsAppointmentsQuery(AppointmentsQuery):
    """Which of the doctor's appointments to list."""

    conflicting: bool = Field(
        False, description="Only what is booked or arrived, not over yet, and outside of your hours as they are now."
    )


class Affected(Answer):
    """Appointments that are booked or arrived, and lie outside of the doctor's hours as they are now."""

    affected_count: int = Field(description="How many there are.")
    affected: list[Appointment] = Field(
        description="The first hundred; all are at `GET /doctors/me/appointments?conflicting=true`. They stay booked."
    )


class Version(Answer):
    """What an appointment was from one change to the next."""

    version: int
    status: Status
    start_time: datetime
    end_time: datetime
    visit_type_id: UUID | None
    changed_at: datetime
    changed_by: UUID = Field(description="Who made it so: the id of the doctor, of the patient or of an administrator.")

    model_config = example(
        version=1,
        status="booked",
        start_time="2026-12-08T15:30:00Z",
        end_time="2026-12-08T15:50:00Z",
        visit_type_id=CHECK_UP,
        changed_at="2026-12-01T08:00:00Z",
        changed_by=ANN,
    )
