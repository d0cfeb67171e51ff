"""Lists of values in statements."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Uuid, bindparam


def pad[Value](values: Collection[Value]) -> list[Value]:
    """The values for an ``IN``, the last one repeated until there are 1, 2, 4, 8 …: few lengths, few statements.

    Each length is a statement of its own, which the database has to parse and to plan.
    """
    filled = list(values)
    if filled:
        filled += filled[-1:] * ((1 << (len(filled) - 1).bit_length()) - len(filled))
    return filled


def id_params(count: int) -> list[BindParameter[UUID]]:
    """Where ``count`` ids stand in the ``IN`` of a ``Prepared`` statement; ``id_values`` puts them there."""
    return [bindparam(_place(number), type_=Uuid()) for number in range(count)]


def id_values(ids: Collection[UUID]) -> dict[str, Any]:
    """The values of ``id_params``, as many as there are ids, ``padded``."""
    return {_place(number): each for number, each in enumerate(pad(ids))}


def _place(number: int) -> str:
    return f"id_{number}"
