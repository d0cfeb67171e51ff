"""Appointments on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.scheduling.status import AppointmentStatus
from app.schemas.fields import AMARA, ANN, Answer, Body, Cursor, Instant, Limit, Note, Query, example


class NewAppointment(Body):
    """A visit to book; the patient is whoever asks."""

    doctor_id: UUID
    start_time: Instant
    end_time: Instant | None = Field(
        None, description="5 minutes to 12 hours after the start; the doctor's usual length unless given."
    )
    reason: Note | None = Field(None, description="What the visit is about, for the doctor.", examples=["A mole"])

    model_config = example(doctor_id=AMARA, start_time="2026-12-08T10:30:00-05:00", reason="A mole")


class Party(Answer):
    """One side of an appointment."""

    id: UUID
    name: str


class Appointment(Answer):
    """An appointment, as both sides see it."""

    id: UUID
    doctor_id: UUID
    patient_id: UUID
    start_time: datetime
    end_time: datetime
    time_zone: str = Field(description="The doctor's, an IANA name.", examples=["America/New_York"])
    status: AppointmentStatus
    reason: str | None
    doctor: Party
    patient: Party
    created_at: datetime
    cancelled_at: datetime | None
    cancelled_by: UUID | None = Field(description="Who cancelled it: the id of the doctor or of the patient.")

    model_config = example(
        id="019abcde-f012-7678-89ab-cdef01234567",
        doctor_id=AMARA,
        patient_id=ANN,
        start_time="2026-12-08T15:30:00Z",
        end_time="2026-12-08T16:00:00Z",
        time_zone="America/New_York",
        status="booked",
        reason="A mole",
        doctor={"id": AMARA, "name": "Dr Amara Okafor"},
        patient={"id": ANN, "name": "Ann Lee"},
        created_at="2026-12-01T08:00:00Z",
        cancelled_at=None,
        cancelled_by=None,
    )


class AppointmentsQuery(Query):
    """Which of the caller's appointments to list."""

    from_: Instant | None = Field(None, alias="from", description="Those that end after this.")
    to: Instant | None = Field(None, description="Those that start before this.")
    status: Annotated[list[AppointmentStatus], Field(max_length=10)] = Field(
        [], description="May be repeated; every status unless given."
    )
    limit: Limit = 50
    cursor: Cursor | None = None
