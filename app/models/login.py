"""What stands between a password and a request: sessions, guesses, second factors."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.db.types import UtcDateTime


class LoginSession(Base):
    """Somebody who is logged in somewhere. Deleting the row ends it: no token of it is taken any more."""

    __tablename__ = "login_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    refreshed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    """When it ends unless it is refreshed before."""
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it ends in any case."""
    second_factor: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether more than a password was shown."""
    client_address: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str] = mapped_column(String(200))


class RefreshToken(Base):
    """A refresh token of a session: the one that works, and those it came from, so that a stolen one is noticed."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("login_sessions.id", ondelete="CASCADE"), index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    used_by: Mapped[str | None] = mapped_column(String(64))
    """A hash of the network and the user agent of the client that used it."""


class LoginAttempt(Base):
    """How often a password or a code was tried lately: see ``services/guessing.py`` for what is counted together."""

    __tablename__ = "login_attempts"

    key_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Of the account, whether or not there is one, of the device if it is known, and of the network or all."""
    group_hash: Mapped[str] = mapped_column(String(64), index=True)
    """The ``key_hash`` that stands for all networks."""
    attempts: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    blocked_until: Mapped[datetime] = mapped_column(UtcDateTime)


class KnownDevice(Base):
    """A device that has logged in to an account before, by its cookie; guesses made on others do not slow it down."""

    __tablename__ = "known_devices"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    device_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    second_factor: Mapped[bool]
    """Whether a code of the second factor was shown on it."""
    keeps_cookie: Mapped[bool] = mapped_column(server_default=false())
    """Whether it has sent its cookie with a log-in."""
    last_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class SecondFactor(Base):
    """The secret that an authenticator app shares with us (RFC 6238)."""

    __tablename__ = "second_factors"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    secret: Mapped[str] = mapped_column(Text)
    """Encrypted."""
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Until then it is not asked for."""
    last_step: Mapped[int] = mapped_column(default=0, server_default="0")
    """The time step of the newest code that was taken; no code is taken twice."""


class RecoveryCode(Base):
    """A code that stands in for a lost authenticator, once; deleted when it is used."""

    __tablename__ = "recovery_codes"

    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
