"""Column types that behave the same on both databases."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, Dialect, Enum
from sqlalchemy.types import TypeDecorator


def stored_enum(values: type[StrEnum]) -> Enum:
    """Return a column type that stores an enum as text, by the values of its members."""
    return Enum(values, native_enum=False, length=16, values_callable=lambda enum: [member.value for member in enum])


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: ``timestamptz`` on PostgreSQL, and on SQLite text in UTC, which sorts in order of time.

    Accepts aware datetimes only, and returns them in UTC.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Convert an aware datetime to UTC. Raises ``TypeError`` for a naive one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError("an instant needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any | None, _dialect: Dialect) -> datetime | None:
        """Return the instant as an aware datetime in UTC."""
        if value is None:
            return None
        stored: datetime = value
        # SQLite returns naive times.
        return stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored.astimezone(UTC)
