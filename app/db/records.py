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
    """Label columns with a prefix, for a statement that selects the columns of several records."""
    return [column.label(f"{prefix}{column.key}") for column in columns]


def read_record[Record: "DataclassInstance"](
    record: type[Record], row: Any, prefix: str = "", *, without: tuple[str, ...] = (), **computed: Any
) -> Record:
    """Make a dataclass from the columns of a row that are named like its fields, after the prefix.

    The order of the columns makes no difference. ``computed`` are the fields that are not columns, and ``without``
    those that keep their defaults. Raises ``TypeError`` if any other field has no column.
    """
    names = _find_columns(record, row._fields, prefix, without, tuple(computed))
    return record(**computed, **{name: row[index] for name, index in names})


@cache
def _find_columns(
    record: type["DataclassInstance"],
    columns: tuple[str, ...],
    prefix: str,
    without: tuple[str, ...],
    computed: tuple[str, ...],
) -> tuple[tuple[str, int], ...]:
    indexes = {name: index for index, name in enumerate(columns)}
    names = [field.name for field in fields(record) if field.name not in {*without, *computed}]
    # Filling in a default would be a silent error: some defaults mean that there is no limit.
    if missing := [name for name in names if prefix + name not in indexes]:
        raise TypeError(f"no columns for {', '.join(missing)} of {record.__name__}")
    return tuple((name, indexes[prefix + name]) for name in names)
