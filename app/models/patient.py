"""Patients as records, with or without an account (ADR 0053)."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.db.types import UtcDateTime


class Patient(Base):
    """The record of a person who is a patient."""

    __tablename__ = "patients"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """The id of the account, if the record was created with an account."""
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    """The account of the patient. ``NULL`` while they have none."""
    name: Mapped[str] = mapped_column(String(100))
    """The name of the account is the same; ``users.update_name`` changes both."""
    name_key: Mapped[str] = mapped_column(String(200))
    """Only for searching; see ``core.text.search_key``."""
    birth_date: Mapped[date | None]
    phone: Mapped[str | None] = mapped_column(String(16))
    """In the format E.164, such as ``+442071838750``."""
    email: Mapped[str | None] = mapped_column(String(254))
    """Of a patient without an account. Not unique: a family may share an address."""
    locale: Mapped[str | None] = mapped_column(String(35))
    """The language in which to write to the patient, as a BCP 47 tag."""
    time_zone: Mapped[str | None] = mapped_column(String(64))
    """The zone in which to tell the patient times, as an IANA name."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the personal data of the record were erased."""
