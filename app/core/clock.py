"""The one place that reads the clock; everything else takes ``now`` as an argument."""

from collections.abc import Callable
from datetime import UTC, datetime

type Clock = Callable[[], datetime]


def now() -> datetime:
    """The current moment, in UTC."""
    return datetime.now(UTC)
