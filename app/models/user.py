"""Accounts, and the tokens and invitations that belong to them."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.clinic_permissions import MemberRole
from app.core.permissions import Role
from app.db.base import Base
from app.db.types import UtcDateTime, stored_enum


class User(Base):
    """An account of a patient, a doctor, other staff of a clinic or an administrator."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254))
    """The address as it was registered. Mail is sent to it."""
    email_canonical: Mapped[str] = mapped_column(String(254), unique=True)
    """Only for comparing; see ``core.text.canonical_email``."""
    name: Mapped[str] = mapped_column(String(100))
    name_key: Mapped[str] = mapped_column(String(200), server_default="")
    """Only for searching; see ``core.text.search_key``."""
    role: Mapped[Role] = mapped_column(stored_enum(Role))
    password_hash: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    email_confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the owner proved that they receive mail at the address."""
    suspended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When an administrator suspended the account."""
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the personal data of the account were erased."""

    # For searches by a part of a name or an address. SQLite scans the table instead.
    __table_args__ = tuple(
        Index(
            f"users_{column}_trgm_idx", column, postgresql_using="gin", postgresql_ops={column: "gin_trgm_ops"}
        ).ddl_if(dialect="postgresql")
        for column in ("name_key", "email_canonical")
    )


class PasswordReset(Base):
    """A request to reset a password.

    A request for an unknown address stores a row without a user, so that both take the same time (ADR 0005).
    """

    __tablename__ = "password_resets"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class EmailConfirmation(Base):
    """The token that was mailed to an account to confirm its address. A new token replaces the previous one."""

    __tablename__ = "email_confirmations"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EmailChange(Base):
    """A new address that an account has asked for, until a code that was mailed to it confirms it.

    A new request replaces the previous one.
    """

    __tablename__ = "email_changes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    # Not unique: a request must not tell whether the address has an account, and reserves nothing (ADR 0054).
    email: Mapped[str] = mapped_column(String(254))
    token_hash: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


_TO_NO_CLINIC = text("clinic_id IS NULL")


class Invitation(Base):
    """An invitation to create an account with a role, or to work for a clinic.

    It is deleted when it is accepted, cancelled or replaced, or when it has expired.
    """

    __tablename__ = "invitations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    role: Mapped[Role] = mapped_column(stored_enum(Role))
    """The role of the account, if a new one is created."""
    email: Mapped[str] = mapped_column(String(254))
    email_canonical: Mapped[str] = mapped_column(String(254))
    """See ``core.text.canonical_email``: one invitation for each address and clinic."""
    name: Mapped[str | None] = mapped_column(String(100))
    specialty: Mapped[str | None] = mapped_column(String(100))
    time_zone: Mapped[str | None] = mapped_column(String(64))
    # There is no column for its state: a used or cancelled invitation is personal data without a use (ADR 0043).
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    """Who sent it; ``NULL`` for the command line."""
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    clinic_id: Mapped[UUID | None] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"))
    """The clinic to work for; ``NULL``: an administrator invites a doctor."""
    member_role: Mapped[MemberRole | None] = mapped_column(stored_enum(MemberRole))
    """The role in the clinic."""
    valid_until: Mapped[date | None]
    """The last day of that role, for example of a locum."""

    __table_args__ = (
        CheckConstraint("(clinic_id IS NULL) = (member_role IS NULL)", name="member_role"),
        Index(
            "invitations_email_canonical_key",
            "email_canonical",
            unique=True,
            postgresql_where=_TO_NO_CLINIC,
            sqlite_where=_TO_NO_CLINIC,
        ),
        Index("invitations_clinic_id_email_canonical_key", "clinic_id", "email_canonical", unique=True),
    )


class MailCount(Base):
    """The number of messages of one kind that were sent to one address within the current hour."""

    __tablename__ = "mail_counts"

    # Not per account: erasing it and registering again would start a new count (ADR 0035).
    key_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    """A hash of the address and the kind."""
    count: Mapped[int]
    hour_began_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
