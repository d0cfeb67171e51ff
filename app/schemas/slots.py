"""Requests and responses for free windows, slots and visit types."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from app.scheduling.visits import VisitMode
from app.schemas.fields import (
    AMARA,
    CHECK_UP,
    AdvanceDays,
    Body,
    BufferMinutes,
    Changes,
    DailyLimit,
    Instant,
    Name,
    Notice,
    Query,
    ResponseBody,
    StepMinutes,
    VisitMinutes,
    absent,
    example,
)


class Window(ResponseBody):
    """A span of time, `[start_time, end_time)`."""

    start_time: datetime
    end_time: datetime

    model_config = example(start_time="2026-12-08T14:00:00Z", end_time="2026-12-08T22:00:00Z")


class FreeWindowsQuery(Query):
    """The span of time to list."""

    from_: Instant | None = Field(None, alias="from", description="Default: now.")
    to: Instant | None = Field(None, description="At most 62 days after `from`. Default: 14 days after `from`.")


class SlotsQuery(FreeWindowsQuery):
    """Which slots to list."""

    visit_type_id: UUID | None = Field(None, description="Required for a doctor who has visit types.")


class Slot(Window):
    """A start and an end that can be booked."""

    local_start: datetime = Field(description="The start in the doctor's time zone, with its offset.")

    model_config = example(
        start_time="2026-12-08T15:30:00Z",
        end_time="2026-12-08T15:50:00Z",
        local_start="2026-12-08T10:30:00-05:00",
    )


class NextSlotQuery(Query):
    """Where to start the search for a slot."""

    from_: Instant | None = Field(None, alias="from", description="Default: now.")
    visit_type_id: UUID | None = Field(None, description="Required for a doctor who has visit types.")


class Reason(ResponseBody):
    """Why a time cannot be booked."""

    code: str = Field(description="The error code with which a booking would fail.")
    detail: str = Field(description="A text for people.")


class NextSlot(ResponseBody):
    """The next slot, or the reason why there is none."""

    slot: Slot | None
    searched_until: datetime = Field(description="The search covered times up to here.")
    reason: Reason | None = Field(description="Why there is no slot.")

    model_config = example(
        slot={
            "start_time": "2026-12-08T15:30:00Z",
            "end_time": "2026-12-08T15:50:00Z",
            "local_start": "2026-12-08T10:30:00-05:00",
        },
        searched_until="2027-12-02T08:00:00Z",
        reason=None,
    )


class ExplainQuery(Query):
    """The visit to explain."""

    start_time: Instant
    visit_type_id: UUID | None = Field(None, description="Required for a doctor who has visit types.")


class Explanation(Slot):
    """Whether a visit can be booked, and all reasons why not."""

    bookable: bool
    reasons: list[Reason] = Field(description="The most important first; empty if the visit can be booked.")

    model_config = example(
        start_time="2026-12-08T15:30:00Z",
        end_time="2026-12-08T15:50:00Z",
        local_start="2026-12-08T10:30:00-05:00",
        bookable=False,
        reasons=[{"code": "slot_taken", "detail": "This time has just been taken. Choose another one."}],
    )


class NewVisitType(Body):
    """A visit type to offer."""

    name: Name = Field(examples=["Check-up"])
    duration_minutes: VisitMinutes
    buffer_before_minutes: BufferMinutes = 0
    buffer_after_minutes: BufferMinutes = Field(
        0, description="Kept free of other visits. It need not lie within your hours."
    )
    slot_step_minutes: StepMinutes | None = Field(
        None,
        description="The time from one possible start to the next. Default: the length of the visit with its buffers.",
    )
    mode: VisitMode = VisitMode.IN_PERSON
    min_notice_minutes: Notice = Field(0, description="Your own limit applies, too; the stricter one counts.")
    max_advance_days: AdvanceDays | None = Field(
        None, description="Your own limit applies, too; the stricter one counts."
    )
    daily_limit: DailyLimit | None = Field(
        None, description="For this visit type. Your own limit for all visits applies, too."
    )

    model_config = example(name="Check-up", duration_minutes=20, buffer_after_minutes=10)


class VisitTypeChanges(Changes):
    """Changes of a visit type. Fields that are left out stay as they are, and so do appointments."""

    name: Name = absent()
    duration_minutes: VisitMinutes = absent()
    buffer_before_minutes: BufferMinutes = absent()
    buffer_after_minutes: BufferMinutes = absent()
    slot_step_minutes: StepMinutes | None = None
    mode: VisitMode = absent()
    min_notice_minutes: Notice = absent()
    max_advance_days: AdvanceDays | None = None
    daily_limit: DailyLimit | None = None

    model_config = example(duration_minutes=25)


class VisitType(ResponseBody):
    """A visit type that a doctor offers."""

    id: UUID
    doctor_id: UUID
    name: str
    duration_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    slot_step_minutes: int | None
    mode: VisitMode
    min_notice_minutes: int
    max_advance_days: int | None
    daily_limit: int | None

    model_config = example(
        id=CHECK_UP,
        doctor_id=AMARA,
        name="Check-up",
        duration_minutes=20,
        buffer_before_minutes=0,
        buffer_after_minutes=10,
        slot_step_minutes=None,
        mode="in_person",
        min_notice_minutes=0,
        max_advance_days=None,
        daily_limit=None,
    )
