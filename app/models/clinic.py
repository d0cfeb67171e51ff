"""Clinics, their doctors and their members.

A clinic is a scope, not a copy: a doctor has one calendar, whatever clinics they work for.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, false, true
from sqlalchemy.orm import Mapped, mapped_column

from app.core.clinic_permissions import MemberRole, OnlineBooking
from app.db.base import Base
from app.db.types import UtcDateTime, stored_enum


class Clinic(Base):
    """A clinic: doctors and other members who work together."""

    __tablename__ = "clinics"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    public_name: Mapped[str] = mapped_column(String(100))
    """The name in messages to patients. It need not reveal a specialty."""
    time_zone: Mapped[str] = mapped_column(String(64))
    """An IANA name. The days of memberships begin and end in this zone."""
    country: Mapped[str] = mapped_column(String(2))
    """An ISO 3166-1 code. Telephone numbers without a country code are numbers of this country."""
    locale: Mapped[str] = mapped_column(String(35))
    """A BCP 47 tag: the language of messages to patients who have chosen none."""
    booking: Mapped[OnlineBooking] = mapped_column(stored_enum(OnlineBooking), server_default=OnlineBooking.EVERYBODY)
    desk_may_overbook: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether receptionists, too, may book a time that is taken."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the clinic ceased to exist."""


class ClinicDoctor(Base):
    """A doctor who works for a clinic. The row is deleted when the doctor leaves."""

    __tablename__ = "clinic_doctors"

    clinic_id: Mapped[UUID] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctors.id", ondelete="CASCADE"), primary_key=True, index=True)
    listed: Mapped[bool] = mapped_column(default=True, server_default=true())
    """Whether the public list of the clinic's doctors contains them."""
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]
    """The first and the last day at the clinic, for example of a locum."""
    travel_minutes: Mapped[int] = mapped_column(default=0, server_default="0")
    """The time that the doctor needs between two locations."""
    desk_sets_hours: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether the doctor lets receptionists set their hours."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (CheckConstraint("travel_minutes BETWEEN 0 AND 240", name="travel_minutes"),)


class Member(Base):
    """A role of a person in a clinic. A person may have several. An ended one is kept and can begin again."""

    __tablename__ = "members"

    clinic_id: Mapped[UUID] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    role: Mapped[MemberRole] = mapped_column(stored_enum(MemberRole), primary_key=True)
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]
    """The first and the last day, in the time zone of the clinic."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    """Who gave the role; ``NULL`` for the command line."""
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the role was taken away, or given back."""


class MemberScope(Base):
    """A doctor to whose calendar a member is restricted. A member without such rows sees the whole clinic."""

    __tablename__ = "member_scopes"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    clinic_id: Mapped[UUID] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # No CASCADE: a member whose last row vanished would see the whole clinic.
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctors.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index("member_scopes_key", "clinic_id", "user_id", "doctor_id", unique=True),)


class ClinicPatient(Base):
    """A patient whom a clinic knows, because of a booking or because a member has added them."""

    __tablename__ = "clinic_patients"

    clinic_id: Mapped[UUID] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    patient_id: Mapped[UUID] = mapped_column(
        ForeignKey("patients.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    file_number: Mapped[str | None] = mapped_column(String(40))
    """The clinic's own number of the patient's file."""
    note: Mapped[str | None] = mapped_column(String(500))
    """For the members of the clinic. The patient does not see it."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    """The member who added the patient; ``NULL`` if a booking did."""

    __table_args__ = (Index("clinic_patients_file_number_key", "clinic_id", "file_number", unique=True),)


class PatientWord(Base):
    """A word by which a clinic finds a patient; see ``repositories.patient_words``."""

    __tablename__ = "patient_words"

    clinic_id: Mapped[UUID] = mapped_column(primary_key=True)
    # Compared byte by byte, so that the primary key finds all words with a prefix.
    word: Mapped[str] = mapped_column(
        String(200).with_variant(String(200, collation="C"), "postgresql"), primary_key=True
    )
    patient_id: Mapped[UUID] = mapped_column(primary_key=True)

    __table_args__ = (
        ForeignKeyConstraint(
            ["clinic_id", "patient_id"],
            ["clinic_patients.clinic_id", "clinic_patients.patient_id"],
            name="patient_words_patient_fkey",
            ondelete="CASCADE",
        ),
        Index("patient_words_patient_idx", "patient_id"),
    )
