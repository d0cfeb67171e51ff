"""Conditions on stored instants that stay right when the server's clock was wrong.

What was written while the clock was ahead must not go on counting until the clock gets there. So an instant counts only
within its lifetime of now, before or after: at worst for twice as long as its rule says.

Jobs that delete old rows keep the rows of sessions, invitations and other things that people would miss, however far
ahead they are: the clock may also be behind for a while, and then it is these rows that are right. Such
sessions and invitations are listed until they expire, so that they can be ended and cancelled before the clock gets
there.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.orm import InstrumentedAttribute

type Instant = InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None]


def is_recent(written_at: Instant, now: datetime, lifetime: timedelta) -> ColumnElement[bool]:
    """Whether an instant lies within ``lifetime`` of now, on either side."""
    return and_(written_at > now - lifetime, written_at <= now + lifetime)


def is_over(written_at: Instant, now: datetime, lifetime: timedelta) -> ColumnElement[bool]:
    """The opposite of ``is_recent``. SQLite uses an index for it, but none for ``NOT (... AND ...)``."""
    return or_(written_at <= now - lifetime, written_at > now + lifetime)


def is_unexpired(expires_at: Instant, now: datetime, lifetime: timedelta) -> ColumnElement[bool]:
    """Whether what expires ``lifetime`` after it was written is still valid."""
    return is_recent(expires_at, now + lifetime, lifetime)
