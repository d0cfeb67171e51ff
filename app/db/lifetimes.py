"""Conditions on stored instants that stay correct if the server's clock was wrong for a while.

A row that was written while the clock was ahead must not stay valid until the clock has caught up. So an instant counts
only if it is at most one lifetime before or after now. At worst, such a row is valid for two lifetimes.

Jobs that delete old rows keep sessions, invitations and other rows that people would miss, even if their instants are
far in the future: the clock may be behind now, and then these rows are correct. Such sessions and invitations are
listed until they expire, so that they can be ended or cancelled before the clock has caught up.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.orm import InstrumentedAttribute

type Instant = InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None]


def is_recent(written_at: Instant, now: datetime, lifetime: timedelta) -> ColumnElement[bool]:
    """Return a condition: the instant lies within ``lifetime`` of ``now``, before or after."""
    return and_(written_at > now - lifetime, written_at <= now + lifetime)


def is_over(written_at: Instant, now: datetime, lifetime: timedelta) -> ColumnElement[bool]:
    """Return the negation of ``is_recent``. SQLite uses an index for this form, but not for ``NOT (... AND ...)``."""
    return or_(written_at <= now - lifetime, written_at > now + lifetime)


def is_unexpired(expires_at: Instant, now: datetime, lifetime: timedelta) -> ColumnElement[bool]:
    """Return a condition: a row that expires ``lifetime`` after it was written is still valid."""
    return is_recent(expires_at, now + lifetime, lifetime)
