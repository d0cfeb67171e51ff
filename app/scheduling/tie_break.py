"""Whose turn it is where several could come first: as good as random, and the same for everybody who asks.

Whatever takes turns has a place on a ring. For each instant the ring begins somewhere else, so that whoever is the last
at nine is not the last at ten; each comes first as often as the gap before its place is wide. An order that is drawn
anew for each instant would give all the same, but could not be walked along an index.
"""

from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

RING_SIZE = 2**31 - 1
"""So many places the ring has; they fit into a column of 32 bits."""


def ring_position(id_: UUID) -> int:
    """The place on the ring."""
    # The first bits of a UUIDv7 are the time: those who came together would stand together.
    return _hash(id_.bytes)


def ring_start_at(place: int, instant: int) -> int:
    """The turn that somebody at ``place`` has at an instant (microseconds since the epoch): 0 is the first."""
    return (place - start_of_ring_at(instant)) % RING_SIZE


@lru_cache(maxsize=4096)
def start_of_ring_at(instant: int) -> int:
    """The place at which the ring begins at an instant."""
    return _hash(instant.to_bytes(8, "big", signed=True))


def _hash(key: bytes) -> int:
    return int.from_bytes(blake2b(key, digest_size=8).digest()) % RING_SIZE
