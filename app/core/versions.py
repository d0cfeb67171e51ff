"""Versions of what is edited as a whole, made from its content: a change of something that has changed is noticed."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from app.core.errors import DomainError

_DIGITS = 32
"""128 bits: too many to find two contents with the same version, even for those who choose the contents."""


def content_version(content: Mapping[str, Any]) -> str:
    """A version of these fields, the same for the same values. It has a part for each of them."""
    return "-".join(map(_digest, content.values()))


def changed_fields(content: Mapping[str, Any], version: str) -> list[str]:
    """The fields that have changed since this version; all of them if it is a version of something else."""
    parts = version.split("-")
    if len(parts) != len(content):
        return list(content)
    return [name for (name, value), part in zip(content.items(), parts, strict=True) if _digest(value) != part]


def check_version(content: Mapping[str, Any], versions: frozenset[str] | None) -> None:
    """``version_mismatch`` unless the content has one of these versions; ``None`` allows any.

    To be called while no other transaction can change the content.
    """
    if versions is not None and content_version(content) not in versions:
        raise DomainError("version_mismatch")


def _digest(value: Any) -> str:
    return sha256(repr(value).encode()).hexdigest()[:_DIGITS]
