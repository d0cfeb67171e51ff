"""Doctors and when they are open."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.db.types import UtcDateTime


class Doctor(Base):
    """What is public of a doctor, beside the name of her account."""

    __tablename__ = "doctors"

    id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    specialty: Mapped[str | None] = mapped_column(String(100))
    time_zone: Mapped[str] = mapped_column(String(64))
    """An IANA name. Her rules are wall times of this zone."""
    default_visit_minutes: Mapped[int] = mapped_column(default=30, server_default="30")
    schedule_version: Mapped[int] = mapped_column(default=1, server_default="1")
    """Raised by every change of her rules; a booking is inserted only if it was checked against the newest."""
    name_key: Mapped[str] = mapped_column(String(200))
    specialty_key: Mapped[str | None] = mapped_column(String(200))
    """Both: see ``core.text.search_key``; only for searching."""

    __table_args__ = (
        CheckConstraint("default_visit_minutes BETWEEN 5 AND 720", name="default_visit_minutes"),
        Index(None, "name_key", "id"),
        Index(None, "specialty_key", "name_key", "id"),
    )


class Availability(Base):
    """A doctor's rule for being open, as wall time of her zone; ``fold`` as in PEP 495."""

    __tablename__ = "availabilities"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctors.id", ondelete="CASCADE"))
    starts: Mapped[datetime] = mapped_column(DateTime())
    starts_fold: Mapped[int]
    ends: Mapped[datetime] = mapped_column(DateTime())
    ends_fold: Mapped[int]
    recurrence: Mapped[str | None] = mapped_column(Text)
    """An RFC 5545 RRULE; none is a single window."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("starts_fold IN (0, 1) AND ends_fold IN (0, 1)", name="fold"),
        Index(None, "doctor_id", "starts", "id"),
    )
