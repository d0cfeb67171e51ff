"""Requests and responses for visits whose local time has changed because the rules of a time zone have."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.scheduling.zones import MAX_SETTLED, KeptTime
from app.schemas.appointments import VISIT, Appointment
from app.schemas.fields import AMARA, ANN, CHECK_UP, Body, ResponseBody, example


class ClockChange(Appointment):
    """An appointment whose local time is no longer the agreed one."""

    agreed_local_start: datetime = Field(
        description="The local start time in `agreed_time_zone` when it was agreed, without an offset."
    )
    agreed_time_zone: str = Field(description="The doctor's IANA time zone at that time.")

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
    """How to settle visits whose local time has changed."""

    keep: KeptTime = Field(
        description="`local_time` moves each visit to the agreed local time, if this is free. "
        "`instant` leaves the visits where they are, and accepts the new local time."
    )
    appointment_ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_SETTLED)] | None = Field(
        None, description="The visits to settle. Default: the next hundred."
    )

    model_config = example(keep="local_time")


class Failure(ResponseBody):
    """A visit that could not be settled."""

    appointment_id: UUID
    code: str = Field(description="The error code that says why.", examples=["slot_taken"])


class Settled(ResponseBody):
    """The result for each visit."""

    settled: list[Appointment]
    failed: list[Failure]
    remaining: int = Field(description="How many visits are still to be settled, including those that failed.")

    model_config = example(settled=[], failed=[{"appointment_id": VISIT, "code": "slot_taken"}], remaining=1)
