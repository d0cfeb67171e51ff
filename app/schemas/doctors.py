"""Requests and responses for the profiles of doctors."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field

from app.scheduling.visits import VisitMode
from app.schemas.appointments import Affected
from app.schemas.fields import (
    AMARA,
    AdvanceDays,
    Changes,
    DailyLimit,
    Language,
    Name,
    Notice,
    PageQuery,
    ResponseBody,
    SearchText,
    Text,
    TimeZone,
    VisitMinutes,
    absent,
    example,
)

MAX_LANGUAGES = 20
"""The maximum number of languages in a profile."""

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


class Doctor(ResponseBody):
    """The public profile of a doctor."""

    id: UUID
    name: str
    specialty: str | None
    time_zone: str
    languages: list[str]
    bio: str | None
    default_visit_minutes: int = Field(description="The length of a visit if the doctor has no visit types.")
    min_notice_minutes: int = Field(description="A visit must be booked at least this many minutes before its start.")
    max_advance_days: int | None = Field(
        description="A visit can be booked at most this many days after today; null means no limit."
    )
    daily_limit: int | None = Field(description="The maximum number of visits per day; null means no limit.")
    cancel_cutoff_minutes: int = Field(
        description="Patients can cancel or move a visit until this many minutes before its start."
    )

    model_config = example(**_AMARA)


class ListedDoctor(Doctor):
    """The public profile of a doctor, with the next available time."""

    next_available: datetime | None = Field(
        description="The start of the earliest slot of any visit type. Null if there is none within 62 days, or if the "
        "search takes too long."
    )

    model_config = example(**_AMARA, next_available="2026-12-08T15:30:00Z")


class PendingChange(ResponseBody):
    """A new name and specialty that an administrator has not accepted yet."""

    id: UUID
    name: str
    specialty: str | None
    requested_at: datetime

    model_config = example(
        id=AMARA, name="Dr Amara Okafor-Lee", specialty="Dermatology", requested_at="2026-12-01T08:00:00Z"
    )


class OwnPractice(Doctor):
    """Your own profile as a doctor."""

    approved_at: datetime | None = Field(
        description="When you were approved. Null while you await approval; patients do not see you until then."
    )
    pending_change: PendingChange | None = Field(
        description="The change that an administrator must accept before patients see it."
    )

    model_config = example(**_AMARA, approved_at="2026-12-01T08:00:00Z", pending_change=None)


class ChangedDoctor(OwnPractice, Affected):
    """Your profile after a change, and the appointments that a new time zone leaves outside your hours."""

    model_config = example(
        **_AMARA, approved_at="2026-12-01T08:00:00Z", pending_change=None, affected_count=0, affected=[]
    )


def _drop_duplicates(languages: list[str]) -> list[str]:
    unique: dict[str, str] = {}
    for tag in languages:
        unique.setdefault(tag.casefold(), tag)
    return list(unique.values())


class DoctorChanges(Changes):
    """Changes of your profile and your booking limits. Fields that are left out stay as they are."""

    name: Name = absent()
    specialty: Name | None = None
    time_zone: TimeZone = absent(description="Your hours keep their wall times; appointments keep their instants.")
    languages: Annotated[list[Language], Field(max_length=MAX_LANGUAGES), AfterValidator(_drop_duplicates)] = absent()
    bio: Text | None = None
    default_visit_minutes: VisitMinutes = absent()
    min_notice_minutes: Notice = absent()
    max_advance_days: AdvanceDays | None = Field(None, description="0 means today only; null means no limit.")
    daily_limit: DailyLimit | None = Field(None, description="Null means no limit.")
    cancel_cutoff_minutes: Notice = absent()

    model_config = example(min_notice_minutes=240, max_advance_days=90, daily_limit=14)

    def changes(self) -> dict[str, Any]:
        """Return the fields that were sent. An empty `bio` becomes ``None``."""
        changes = super().changes()
        return changes | {"bio": changes["bio"] or None} if "bio" in changes else changes


class DoctorsQuery(PageQuery):
    """Which doctors to list."""

    specialty: SearchText | None = Field(None, description="The whole specialty, in any letter case.")
    language: Language | None = Field(None, description="A BCP 47 tag. `pt` also finds doctors who speak `pt-BR`.")
    mode: VisitMode | None = Field(None, description="Only doctors who offer visits of this mode.")
    q: SearchText | None = Field(
        None,
        description="Parts of the name, in any order and letter case. Accents, apostrophes and dashes are ignored.",
    )
