"""Doctors: their profiles, availabilities, time off and visit types."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, DateTime, ForeignKey, Index, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.db.types import UtcDateTime, stored_enum
from app.scheduling.visits import VisitMode


class Doctor(Base):
    """The profile and the booking rules of a doctor. The name is that of the account."""

    __tablename__ = "doctors"

    id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    specialty: Mapped[str | None] = mapped_column(String(100))
    time_zone: Mapped[str] = mapped_column(String(64))
    """An IANA name. The doctor's rules are wall times in this zone (ADR 0004)."""
    languages: Mapped[list[str]] = mapped_column(JSON, default=list, server_default=text("'[]'"))
    """BCP 47 tags."""
    bio: Mapped[str | None] = mapped_column(Text)
    default_visit_minutes: Mapped[int] = mapped_column(default=30, server_default="30")
    min_notice_minutes: Mapped[int] = mapped_column(default=0, server_default="0")
    max_advance_days: Mapped[int | None]
    daily_limit: Mapped[int | None]
    cancel_cutoff_minutes: Mapped[int] = mapped_column(default=0, server_default="0")
    schedule_version: Mapped[int] = mapped_column(default=1, server_default="1")
    """Incremented by every change of the doctor's rules. A booking is inserted only if it was checked against the
    newest version (ADR 0003)."""
    approved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """``NULL``: the doctor is not listed and cannot be booked."""
    name_key: Mapped[str] = mapped_column(String(200))
    specialty_key: Mapped[str | None] = mapped_column(String(200))
    """Only for searching, like ``name_key``; see ``core.text.search_key``."""

    __table_args__ = (
        CheckConstraint("default_visit_minutes BETWEEN 5 AND 720", name="default_visit_minutes"),
        Index(None, "name_key", "id"),
        Index(None, "specialty_key", "name_key", "id"),
        # For the list of all zones, which pages with times read (ADR 0030).
        Index(None, "time_zone"),
        # For searches by a part of a name. SQLite scans the keys instead.
        Index(
            "doctors_name_key_trgm_idx",
            "name_key",
            postgresql_using="gin",
            postgresql_ops={"name_key": "gin_trgm_ops"},
        ).ddl_if(dialect="postgresql"),
    )


class ProfileChange(Base):
    """A change of name or specialty that an approved doctor has requested, and that waits for an administrator."""

    __tablename__ = "profile_changes"

    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctors.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    """New for each request, so that an administrator can only decide about the request that they have seen."""
    name: Mapped[str] = mapped_column(String(100))
    specialty: Mapped[str | None] = mapped_column(String(100))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Availability(Base):
    """A doctor's rule for being open, in wall times of the doctor's zone; ``fold`` as in PEP 495.

    ``[starts, ends)`` is the first occurrence.
    """

    __tablename__ = "availabilities"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctors.id", ondelete="CASCADE"))
    # Wall times, so without a zone: they move with the doctor to another one (ADR 0004).
    starts: Mapped[datetime] = mapped_column(DateTime())
    starts_fold: Mapped[int]
    ends: Mapped[datetime] = mapped_column(DateTime())
    ends_fold: Mapped[int]
    recurrence: Mapped[str | None] = mapped_column(Text)
    """An RFC 5545 RRULE; ``NULL`` for a single window."""
    last_ends: Mapped[datetime] = mapped_column(DateTime())
    """No occurrence ends later."""
    weekly_hours: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether it is part of the doctor's weekly hours, which are replaced as a whole."""
    plan_begins: Mapped[date | None]
    """The first day of these weekly hours; ``NULL`` if they are older than this column."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("starts_fold IN (0, 1) AND ends_fold IN (0, 1)", name="fold"),
        Index(None, "doctor_id", "starts", "id"),
        # Finds the rules near a span, however old they are (ADR 0012).
        Index(None, "doctor_id", "last_ends"),
    )


class TimeOff(Base):
    """Time off of a doctor, ``[starts, ends)``, in wall times of the doctor's zone; ``fold`` as in PEP 495."""

    __tablename__ = "time_off"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctors.id", ondelete="CASCADE"))
    starts: Mapped[datetime] = mapped_column(DateTime())
    starts_fold: Mapped[int]
    ends: Mapped[datetime] = mapped_column(DateTime())
    ends_fold: Mapped[int]
    reason: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("starts_fold IN (0, 1) AND ends_fold IN (0, 1)", name="fold"),
        Index(None, "doctor_id", "starts", "id"),
        Index(None, "doctor_id", "ends"),
    )


OFFERED = text("withdrawn_at IS NULL")


class VisitType(Base):
    """A visit type of a doctor. A withdrawn one is kept for the appointments that were made with it."""

    __tablename__ = "visit_types"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctors.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    name_key: Mapped[str | None] = mapped_column(String(200))
    """See ``core.text.look_alike_key``. ``NULL`` for visit types whose name was already in use, from the time before
    names were unique."""
    duration_minutes: Mapped[int]
    buffer_before_minutes: Mapped[int]
    buffer_after_minutes: Mapped[int]
    slot_step_minutes: Mapped[int | None]
    mode: Mapped[VisitMode] = mapped_column(stored_enum(VisitMode))
    min_notice_minutes: Mapped[int]
    max_advance_days: Mapped[int | None]
    daily_limit: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint(
            "duration_minutes BETWEEN 5 AND 720 AND buffer_before_minutes BETWEEN 0 AND 240 "
            "AND buffer_after_minutes BETWEEN 0 AND 240",
            name="lengths",
        ),
        Index(
            # Only among those that are offered: the name of a withdrawn visit type can be used again.
            "visit_types_name_key",
            "doctor_id",
            "name_key",
            unique=True,
            postgresql_where=OFFERED,
            sqlite_where=OFFERED,
        ),
        Index("visit_types_offered_idx", "doctor_id", "id", postgresql_where=OFFERED, sqlite_where=OFFERED),
    )
