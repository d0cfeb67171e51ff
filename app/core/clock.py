"""The clock. Only this module reads it; all other code takes ``now`` as an argument."""

from collections.abc import Callable
from datetime import UTC, datetime

type Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)
