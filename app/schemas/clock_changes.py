"""Visits whose time on the doctor's clock has changed, on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.scheduling.zones import MAX_ACCEPTED_SHIFT, KeptTime
from app.schemas.appointments import VISIT, Appointment
from app.schemas.fields import AMARA, ANN, CHECK_UP, Answer, Body, example


class ClockChange(Appointment):
    """A visit that the doctor's clock no longer shows at the time that was agreed."""

    agreed_local_start: datetime = Field(
        description="What the clock of `agreed_time_zone` showed at the start when that was agreed: a local time, "
        "without an offset."
    )
    agreed_time_zone: str = Field(description="The doctor's then, an IANA name.")

    model_config = example(
        id=VISIT,
        doctor_id=AMARA,
        patient_id=ANN,
        visit_type_id=CHECK_UP,
        start_time="2026-12-08T17:00:00Z",
        end_time="2026-12-08T17:20:00Z",
        time_zone="America/Vancouver",
        status="booked",
        reason="A mole",
        doctor={"id": AMARA, "name": "Dr Amara Okafor"},
        patient={"id": ANN, "name": "Ann Lee"},
        visit_type={"id": CHECK_UP, "name": "Check-up"},
        created_at="2026-11-01T08:00:00Z",
        cancelled_at=None,
        cancelled_by=None,
        cancel_reason=None,
        version=1,
        agreed_local_start="2026-12-08T09:00:00",
        agreed_time_zone="America/Vancouver",
    )


class Settlement(Body):
    """What stays as it was agreed."""

    keep: KeptTime = Field(
        description="`local_time` moves each visit to the time that was agreed on the clock, if that is free; "
        "`instant` leaves it when it is, and accepts what the clock shows."
    )
    appointment_ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_ACCEPTED_SHIFT)] | None = Field(
        None, description="All of them, the next hundred, unless given."
    )

    model_config = example(keep="local_time")


class Failure(Answer):
    """A visit that stays as it was, and why."""

    appointment_id: UUID
    code: str = Field(description="As in an error.", examples=["slot_taken"])


class Settled(Answer):
    """What has become of the visits."""

    settled: list[Appointment]
    failed: list[Failure]
    remaining: int = Field(description="How many are left, with those that failed.")

    model_config = example(settled=[], failed=[{"appointment_id": VISIT, "code": "slot_taken"}], remaining=1)
