"""Parameters for statements with lists of values."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Uuid, bindparam


def pad[Value](values: Collection[Value]) -> list[Value]:
    """Return the values for an ``IN``, with the last one repeated until there are 1, 2, 4, 8 … of them.

    Each length makes a different statement, which the database has to parse and plan. Padding keeps their number small.
    """
    filled = list(values)
    if filled:
        filled += filled[-1:] * ((1 << (len(filled) - 1).bit_length()) - len(filled))
    return filled


def id_params(count: int) -> list[BindParameter[UUID]]:
    """Return ``count`` parameters for the ``IN`` of a ``Prepared`` statement. ``id_values`` returns their values."""
    return [bindparam(_name(number), type_=Uuid()) for number in range(count)]


def id_values(ids: Collection[UUID]) -> dict[str, Any]:
    """Return the values for ``id_params``: the ids, padded with ``pad``."""
    return {_name(number): id_ for number, id_ in enumerate(pad(ids))}


def _name(number: int) -> str:
    return f"id_{number}"
