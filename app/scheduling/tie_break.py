"""The tie-break of searches: the order in which visits that start at the same time are listed.

Each offer has a fixed, random position on a ring. The order starts at another position for each instant, so the offer
that is last at 9:00 is rarely last at 10:00 as well. The order is the same for every caller. An offer comes first with
a probability proportional to the gap before its position. A new shuffle for each instant would give every offer
exactly the same chance, but such an order could not be read from an index.
"""

from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

RING_SIZE = 2**31 - 1
"""The number of positions on the ring. They fit into a column of 32 bits."""


def ring_position(id_: UUID) -> int:
    """Return the position of an offer on the ring."""
    # Hashed, because a UUIDv7 starts with the time: offers created together would be neighbours on the ring.
    return _hash(id_.bytes)


def tie_break_at(position: int, instant: int) -> int:
    """Return the tie-break of a ring position at an instant (microseconds since the epoch); 0 comes first."""
    return (position - ring_start_at(instant)) % RING_SIZE


@lru_cache(maxsize=4096)
def ring_start_at(instant: int) -> int:
    """Return the ring position at which the order starts at an instant."""
    return _hash(instant.to_bytes(8, "big", signed=True))


def _hash(key: bytes) -> int:
    return int.from_bytes(blake2b(key, digest_size=8).digest()) % RING_SIZE
