"""Accounts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.core.permissions import Role
from app.db.base import Base
from app.db.types import UtcDateTime, stored_enum


class User(Base):
    """A person who can log in."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254))
    """As it was registered; mail goes here."""
    email_canonical: Mapped[str] = mapped_column(String(254), unique=True)
    """See ``core.text.canonical_email``; only for comparing."""
    name: Mapped[str] = mapped_column(String(100))
    name_key: Mapped[str] = mapped_column(String(200), server_default="")
    """See ``core.text.search_key``; only for searching."""
    role: Mapped[Role] = mapped_column(stored_enum(Role))
    password_hash: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    email_confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when the owner is known to receive mail at the address."""
    suspended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when an administrator keeps her out."""
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when nothing here says who this was."""

    # For a part of a name or an address; SQLite reads through the table.
    __table_args__ = tuple(
        Index(
            f"users_{column}_trgm_idx", column, postgresql_using="gin", postgresql_ops={column: "gin_trgm_ops"}
        ).ddl_if(dialect="postgresql")
        for column in ("name_key", "email_canonical")
    )


class PasswordReset(Base):
    """A request to choose a new password.

    Asking for an unknown address leaves a row without a user, so that both take the same time.
    """

    __tablename__ = "password_resets"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class EmailConfirmation(Base):
    """The token that was mailed to an account to confirm its address; a new one replaces the one before."""

    __tablename__ = "email_confirmations"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Invitation(Base):
    """An invitation to make an account of this role; deleted when it is accepted, cancelled, replaced or expired."""

    __tablename__ = "invitations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    role: Mapped[Role] = mapped_column(stored_enum(Role))
    email: Mapped[str] = mapped_column(String(254))
    email_canonical: Mapped[str] = mapped_column(String(254), unique=True)
    """See ``core.text.canonical_email``: one invitation for each address."""
    name: Mapped[str | None] = mapped_column(String(100))
    specialty: Mapped[str | None] = mapped_column(String(100))
    time_zone: Mapped[str | None] = mapped_column(String(64))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class MailCount(Base):
    """How many messages of one kind were sent to one address since its current hour began."""

    __tablename__ = "mail_counts"

    key_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Of the address and the kind."""
    count: Mapped[int]
    hour_began_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
