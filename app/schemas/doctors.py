"""Doctors and their availability on the wire."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from app.schemas.fields import AMARA, Answer, Body, Cursor, Instant, Limit, Query, SearchText, example


class Doctor(Answer):
    """What everybody may know of a doctor."""

    id: UUID
    name: str
    specialty: str | None
    time_zone: str

    model_config = example(id=AMARA, name="Dr Amara Okafor", specialty="Dermatology", time_zone="America/New_York")


class DoctorsQuery(Query):
    """Which doctors to list."""

    specialty: SearchText | None = Field(None, description="The whole specialty, in any letter case.")
    q: SearchText | None = Field(None, description="Part of the name, in any letter case, with or without accents.")
    limit: Limit = 50
    cursor: Cursor | None = None


class Window(Answer):
    """A stretch of time, `[start_time, end_time)`."""

    start_time: datetime
    end_time: datetime

    model_config = example(start_time="2026-12-08T14:00:00Z", end_time="2026-12-08T22:00:00Z")


class FreeWindowsQuery(Query):
    """The stretch of time to look at."""

    from_: Instant | None = Field(None, alias="from", description="Now, unless given.")
    to: Instant | None = Field(None, description="14 days after `from`, unless given; at most 62.")


class NewAvailability(Body):
    """When a doctor is open: at most 7 days, in the future."""

    start_time: Instant
    end_time: Instant

    model_config = example(start_time="2026-12-08T09:00:00-05:00", end_time="2026-12-08T17:00:00-05:00")


class Availability(Window):
    """When a doctor is open."""

    id: UUID
    doctor_id: UUID
    time_zone: str

    model_config = example(
        id="019abcde-f012-7567-889a-bcdef0123456",
        doctor_id=AMARA,
        start_time="2026-12-08T14:00:00Z",
        end_time="2026-12-08T22:00:00Z",
        time_zone="America/New_York",
    )


class AvailabilitiesQuery(Query):
    """Which page of a doctor's availabilities to list."""

    limit: Limit = 50
    cursor: Cursor | None = None
