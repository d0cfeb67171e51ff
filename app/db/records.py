"""Records made from the rows of a query, by the names of the columns."""

from collections.abc import Iterable
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Label
from sqlalchemy.orm import InstrumentedAttribute

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def prefixed(prefix: str, columns: Iterable[InstrumentedAttribute[Any] | ColumnElement[Any]]) -> list[Label[Any]]:
    """Label columns with a prefix, where a statement selects those of several records."""
    return [column.label(f"{prefix}{column.key}") for column in columns]


def read_record[Record: "DataclassInstance"](
    record: type[Record], row: Any, prefix: str = "", **computed: Any
) -> Record:
    """Make a dataclass from the columns of a row that are named as its fields, after the prefix.

    The order of the columns makes no difference. ``computed`` are the fields that are not columns. Raises
    ``TypeError`` if a field without a default is missing.
    """
    return record(**computed, **{name: row[index] for name, index in _find_columns(record, row._fields, prefix)})


@cache
def _find_columns(
    record: type["DataclassInstance"], columns: tuple[str, ...], prefix: str
) -> tuple[tuple[str, int], ...]:
    indexes = {name: index for index, name in enumerate(columns)}
    return tuple(
        (field.name, indexes[prefix + field.name]) for field in fields(record) if prefix + field.name in indexes
    )
