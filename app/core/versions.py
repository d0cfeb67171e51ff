"""Versions of records that are edited as a whole, made from their content, to detect lost updates (ADR 0039)."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from app.core.errors import DomainError

_DIGITS = 32
"""Hexadecimal digits per field: 128 bits, too many to find two contents with the same version on purpose."""


def content_version(content: Mapping[str, Any]) -> str:
    """Return the version of these fields, with one part for each field. It is the same for the same values."""
    return "-".join(map(_digest, content.values()))


def changed_fields(content: Mapping[str, Any], version: str) -> list[str]:
    """Return the fields that have changed since this version; all of them if the version has other fields."""
    parts = version.split("-")
    if len(parts) != len(content):
        return list(content)
    return [name for (name, value), part in zip(content.items(), parts, strict=True) if _digest(value) != part]


def check_version(content: Mapping[str, Any], versions: frozenset[str] | None) -> None:
    """Raise ``version_mismatch`` unless the content has one of these versions; ``None`` allows any.

    Call it while no other transaction can change the content.
    """
    if versions is not None and content_version(content) not in versions:
        raise DomainError("version_mismatch")


def _digest(value: Any) -> str:
    # `repr` tells None and "None" apart, and 1 and "1".
    return sha256(repr(value).encode()).hexdigest()[:_DIGITS]
