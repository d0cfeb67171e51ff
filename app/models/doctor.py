"""Doctors and when they are open."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, DateTime, ForeignKey, Index, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.db.types import UtcDateTime, stored_enum
from app.scheduling.visits import VisitMode


class Doctor(Base):
    """What is public of a doctor, beside the name of her account."""

    __tablename__ = "doctors"

    id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    specialty: Mapped[str | None] = mapped_column(String(100))
    time_zone: Mapped[str] = mapped_column(String(64))
    """An IANA name. Her rules are wall times of this zone."""
    languages: Mapped[list[str]] = mapped_column(JSON, default=list, server_default=text("'[]'"))
    """Tags of BCP 47."""
    bio: Mapped[str | None] = mapped_column(Text)
    default_visit_minutes: Mapped[int] = mapped_column(default=30, server_default="30")
    min_notice_minutes: Mapped[int] = mapped_column(default=0, server_default="0")
    max_advance_days: Mapped[int | None]
    daily_limit: Mapped[int | None]
    cancel_cutoff_minutes: Mapped[int] = mapped_column(default=0, server_default="0")
    schedule_version: Mapped[int] = mapped_column(default=1, server_default="1")
    """Raised by every change of her rules; a booking is inserted only if it was checked against the newest."""
    approved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Until then she is not listed and cannot be booked."""
    name_key: Mapped[str] = mapped_column(String(200))
    specialty_key: Mapped[str | None] = mapped_column(String(200))
    """Both: see ``core.text.search_key``; only for searching."""

    __table_args__ = (
        CheckConstraint("default_visit_minutes BETWEEN 5 AND 720", name="default_visit_minutes"),
        Index(None, "name_key", "id"),
        Index(None, "specialty_key", "name_key", "id"),
        Index(None, "time_zone"),
        # For a part of a name; SQLite reads through the keys.
        Index(
            "doctors_name_key_trgm_idx",
            "name_key",
            postgresql_using="gin",
            postgresql_ops={"name_key": "gin_trgm_ops"},
        ).ddl_if(dialect="postgresql"),
    )


class ProfileChange(Base):
    """A name and a specialty that an approved doctor wants, and an administrator has not accepted yet."""

    __tablename__ = "profile_changes"

    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctors.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    """Another one for each wish: a decision is about what the administrator has seen."""
    name: Mapped[str] = mapped_column(String(100))
    specialty: Mapped[str | None] = mapped_column(String(100))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Availability(Base):
    """A doctor's rule for being open, as wall time of her zone; ``fold`` as in PEP 495.

    ``[starts, ends)`` is the first occurrence.
    """

    __tablename__ = "availabilities"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctors.id", ondelete="CASCADE"))
    starts: Mapped[datetime] = mapped_column(DateTime())
    starts_fold: Mapped[int]
    ends: Mapped[datetime] = mapped_column(DateTime())
    ends_fold: Mapped[int]
    recurrence: Mapped[str | None] = mapped_column(Text)
    """An RFC 5545 RRULE; none is a single window."""
    last_ends: Mapped[datetime] = mapped_column(DateTime())
    """No occurrence ends later."""
    weekly_hours: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether it is part of a weekly plan, which is replaced as a whole."""
    plan_begins: Mapped[date | None]
    """The first day of that plan; unknown of plans from before this was kept."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("starts_fold IN (0, 1) AND ends_fold IN (0, 1)", name="fold"),
        Index(None, "doctor_id", "starts", "id"),
        Index(None, "doctor_id", "last_ends"),
    )


class TimeOff(Base):
    """A stretch in which a doctor is away, as wall time of her zone."""

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
    """A visit type that a doctor offers. One that is withdrawn stays for the appointments that were made with it."""

    __tablename__ = "visit_types"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctors.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    name_key: Mapped[str | None] = mapped_column(String(200))
    """See ``core.text.look_alike_key``. None of the later ones that had the same name before names were unique."""
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
            "visit_types_name_key",
            "doctor_id",
            "name_key",
            unique=True,
            postgresql_where=OFFERED,
            sqlite_where=OFFERED,
        ),
        Index("visit_types_offered_idx", "doctor_id", "id", postgresql_where=OFFERED, sqlite_where=OFFERED),
    )
