"""Patients as records, with or without an account (ADR 0053)."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.core.permissions import Relation
from app.db.base import Base
from app.db.types import UtcDateTime, stored_enum


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


class Guardian(Base):
    """A patient who acts for another one, the dependant, such as a parent for a child."""

    __tablename__ = "guardians"

    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patients.id", ondelete="CASCADE"), primary_key=True)
    """The dependant."""
    guardian_id: Mapped[UUID] = mapped_column(
        ForeignKey("patients.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    relation: Mapped[Relation] = mapped_column(stored_enum(Relation))
    """What the guardian is to the dependant."""
    may_book: Mapped[bool]
    """Whether the guardian may book, move and cancel visits of the dependant."""
    may_see: Mapped[bool]
    """Whether the guardian may see the visits of the dependant."""
    valid_until: Mapped[date | None]
    """The last day of the guardian's rights, in UTC; ``NULL`` if no end is known."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    """Who granted the rights."""
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the rights were ended before the last day."""

    __table_args__ = (
        CheckConstraint("patient_id <> guardian_id", name="not_oneself"),
        CheckConstraint("may_see OR NOT may_book", name="who_books_sees"),
    )
