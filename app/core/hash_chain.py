"""The chain that seals the audit trail: each hash covers the one before it, and only who has the key can go on."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from app.core.security import derive_key


@dataclass(frozen=True, slots=True)
class Head:
    """The last link of a chain; written down elsewhere, it says later whether the chain has lost its end."""

    position: int
    hash: str

    def __str__(self) -> str:
        """``position:hash``."""
        return f"{self.position}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """What ``str`` made; ``ValueError`` for anything else."""
        position, _, digest = text.strip().partition(":")
        if len(bytes.fromhex(digest)) != hmac.new(b"", None, "sha256").digest_size:
            raise ValueError("a head is POSITION:HASH")
        return cls(int(position), digest.lower())


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))

GENESIS_HASH = Head(0, "00" * 32)
"""Where a chain without a link ends."""


def sign_archive(key: bytes, facts: Mapping[str, str | int]) -> str:
    """HMAC-SHA256 over what a database says of an archive, in hexadecimal; without the key nobody can make one up."""
    # An object of this shape is never a link: those have the hash before them.
    return hmac.digest(key, b"archive" + _CANONICAL.encode(dict(facts)).encode(), "sha256").hex()


def chain_key(secret: str) -> bytes:
    """The key of the chain."""
    return derive_key(secret, "doctor-appointments audit chain 1")


def extend(key: bytes, head: Head, facts: Mapping[str, str | None]) -> Head:
    """The chain with one link more: HMAC-SHA256 over the hash before, the position and the facts."""
    position = head.position + 1
    said = _CANONICAL.encode(dict(facts) | {"position": position})
    return Head(position, hmac.digest(key, bytes.fromhex(head.hash) + said.encode(), "sha256").hex())
