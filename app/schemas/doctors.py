"""Doctors on the wire."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field

from app.scheduling.visits import VisitMode
from app.schemas.appointments import Affected
from app.schemas.fields import (
    AMARA,
    AdvanceDays,
    Answer,
    Changes,
    DailyLimit,
    Language,
    Name,
    Notice,
    PageQuery,
    SearchText,
    Text,
    TimeZone,
    VisitMinutes,
    absent,
    example,
)

_AMARA = {
    "id": AMARA,
    "name": "Dr Amara Okafor",
    "specialty": "Dermatology",
    "time_zone": "America/New_York",
    "languages": ["en", "ig"],
    "bio": "Skin, hair and nails, for children too.",
    "default_visit_minutes": 30,
    "min_notice_minutes": 240,
    "max_advance_days": 90,
    "daily_limit": 14,
    "cancel_cutoff_minutes": 1440,
}


class Doctor(Answer):
    """What everybody may know of a doctor."""

    id: UUID
    name: str
    specialty: str | None
    time_zone: str
    languages: list[str]
    bio: str | None
    default_visit_minutes: int = Field(description="The length of a visit, unless she has visit types.")
    min_notice_minutes: int = Field(description="How long before its start a visit must be booked.")
    max_advance_days: int | None = Field(description="The last day that can be booked is so many days after today.")
    daily_limit: int | None = Field(description="How many visits she takes on one day.")
    cancel_cutoff_minutes: int = Field(description="Until how long before its start a patient can cancel or move it.")

    model_config = example(**_AMARA)


class ListedDoctor(Doctor):
    """A doctor, and when she can be seen."""

    next_available: datetime | None = Field(
        description="When the earliest visit of any kind starts that can be booked; null if there is none within 62 "
        "days, or if finding it takes too long."
    )

    model_config = example(**_AMARA, next_available="2026-12-08T15:30:00Z")


class PendingChange(Answer):
    """A name and a specialty that an administrator has not accepted yet."""

    id: UUID
    name: str
    specialty: str | None
    requested_at: datetime

    model_config = example(
        id=AMARA, name="Dr Amara Okafor-Lee", specialty="Dermatology", requested_at="2026-12-01T08:00:00Z"
    )


class OwnPractice(Doctor):
    """A doctor, as they see themselves."""

    approved_at: datetime | None = Field(description="Null while you wait for approval and patients do not see you.")
    pending_change: PendingChange | None = Field(description="What an administrator has to accept first.")

    model_config = example(**_AMARA, approved_at="2026-12-01T08:00:00Z", pending_change=None)


class ChangedDoctor(OwnPractice, Affected):
    """The doctor after a change, and the appointments that another time zone has left outside of her hours."""

    model_config = example(
        **_AMARA, approved_at="2026-12-01T08:00:00Z", pending_change=None, affected_count=0, affected=[]
    )


def _once_each(languages: list[str]) -> list[str]:
    first: dict[str, str] = {}
    for tag in languages:
        first.setdefault(tag.casefold(), tag)
    return list(first.values())


class DoctorChanges(Changes):
    """What a doctor changes of herself."""

    name: Name = absent()
    specialty: Name | None = None
    time_zone: TimeZone = absent(description="Your rules keep their wall times; what is booked keeps its instants.")
    languages: Annotated[list[Language], Field(max_length=20), AfterValidator(_once_each)] = absent()
    bio: Text | None = None
    default_visit_minutes: VisitMinutes = absent()
    min_notice_minutes: Notice = absent()
    max_advance_days: AdvanceDays | None = Field(None, description="0 is today; null is for ever.")
    daily_limit: DailyLimit | None = Field(None, description="Null is none.")
    cancel_cutoff_minutes: Notice = absent()

    model_config = example(min_notice_minutes=240, max_advance_days=90, daily_limit=14)

    def changes(self) -> dict[str, Any]:
        """The fields that were sent; a blank text is none."""
        changes = super().changes()
        return changes | {"bio": changes["bio"] or None} if "bio" in changes else changes


class DoctorsQuery(PageQuery):
    """Which doctors to list."""

    specialty: SearchText | None = Field(None, description="The whole specialty, in any letter case.")
    language: Language | None = Field(None, description="`pt` finds those who speak `pt-BR`, too.")
    mode: VisitMode | None = Field(None, description="Who offers visits of this kind.")
    q: SearchText | None = Field(
        None,
        description="Parts of the name, in any order and letter case; accents, apostrophes and dashes do not matter.",
    )
