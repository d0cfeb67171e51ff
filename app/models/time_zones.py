"""The releases of the time-zone data that a database has been used with."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.db.types import UtcDateTime


class TimeZoneRelease(Base):
    """A release of the IANA time-zone database, such as ``2026f``, that the application has started with."""

    __tablename__ = "time_zone_releases"

    version: Mapped[str] = mapped_column(String(16), primary_key=True)
    first_used_at: Mapped[datetime] = mapped_column(UtcDateTime)
    applied_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When all values that had been computed with older data were computed again; ``NULL`` until then."""
