"""Sessions, login attempts, known devices and second factors."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.db.types import UtcDateTime


class LoginSession(Base):
    """A session. Deleting the row ends the session: its tokens are refused from then on."""

    __tablename__ = "login_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    refreshed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    """When the session ends if it is not refreshed before."""
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the session ends in any case."""
    second_factor: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether the log-in used a second factor."""
    client_address: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str] = mapped_column(String(200))


class RefreshToken(Base):
    """A refresh token of a session. Used ones are kept, so that the reuse of a stolen one is noticed."""

    __tablename__ = "refresh_tokens"

    # Only the hash, so that a copy of the database contains no usable token. If a refresh is repeated, the token is
    # computed again (ADR 0037).
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("login_sessions.id", ondelete="CASCADE"), index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    used_by: Mapped[str | None] = mapped_column(String(64))
    """A hash of the network and the user agent of the client that used it."""


class LoginAttempt(Base):
    """The number of recent attempts with a password or a code (``services/login_throttle.py``)."""

    __tablename__ = "login_attempts"

    key_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    """A hash of a group of devices, or of a group and a network; see ``Counters`` there. It is also kept for addresses
    without an account."""
    group_hash: Mapped[str] = mapped_column(String(64), index=True)
    """The ``key_hash`` of the group, which counts the attempts from all networks."""
    attempts: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    blocked_until: Mapped[datetime] = mapped_column(UtcDateTime)


class KnownDevice(Base):
    """A device that has logged in to an account before. Guesses from other devices do not slow it down (ADR 0033)."""

    __tablename__ = "known_devices"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    # Of the cookie. Networks are not stored: patients and a guesser may share one (ADR 0033).
    device_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    second_factor: Mapped[bool]
    """Whether a second factor was used on it."""
    keeps_cookie: Mapped[bool] = mapped_column(server_default=false())
    """Whether it has sent its cookie with a later log-in."""
    last_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class SecondFactor(Base):
    """The secret of a TOTP authenticator app (RFC 6238)."""

    __tablename__ = "second_factors"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    secret: Mapped[str] = mapped_column(Text)
    """Encrypted by ``core.one_time_codes.encrypt``."""
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """``NULL``: the set-up is not complete, and log-ins do not ask for a code."""
    last_step: Mapped[int] = mapped_column(default=0, server_default="0")
    """The time step of the newest accepted code. A code is accepted only once."""


class RecoveryCode(Base):
    """A recovery code for a lost authenticator. It is deleted when it is used."""

    __tablename__ = "recovery_codes"

    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
