"""The hash chain that seals the audit trail. Each hash covers the previous one, and only the key can extend it."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from app.core.security import derive_key


@dataclass(frozen=True, slots=True)
class Head:
    """The last link of a chain. A copy that is stored elsewhere shows later whether the chain has lost its end."""

    position: int
    hash: str

    def __str__(self) -> str:
        """Return ``position:hash``."""
        return f"{self.position}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``position:hash``. Raises ``ValueError`` for any other text."""
        position, _, digest = text.strip().partition(":")
        if len(bytes.fromhex(digest)) != hmac.new(b"", None, "sha256").digest_size:
            raise ValueError("a head is POSITION:HASH")
        return cls(int(position), digest.lower())


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))

GENESIS_HASH = Head(0, "00" * 32)
"""The head of an empty chain."""


def sign_archive(key: bytes, facts: Mapping[str, str | int]) -> str:
    """Return the signature of an archive: HMAC-SHA256 over its facts in the database, in hexadecimal."""
    # A signature cannot be mistaken for a link: a link begins with the previous hash, not with this prefix.
    return hmac.digest(key, b"archive" + _CANONICAL.encode(dict(facts)).encode(), "sha256").hex()


def chain_key(secret: str) -> bytes:
    """Return the key of the chain, derived from ``secret``."""
    return derive_key(secret, "doctor-appointments audit chain 1")


def extend(key: bytes, head: Head, facts: Mapping[str, str | None]) -> Head:
    """Return the head after one more link: HMAC-SHA256 over the previous hash, the position and the facts."""
    position = head.position + 1
    link = _CANONICAL.encode(dict(facts) | {"position": position})
    return Head(position, hmac.digest(key, bytes.fromhex(head.hash) + link.encode(), "sha256").hex())
