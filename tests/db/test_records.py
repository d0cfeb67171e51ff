from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import pytest

from app.db.records import read_record


@dataclass(frozen=True)
class Visit:
    id: int
    minutes: int
    buffer: int = 0


def row(**values: Any) -> Any:
    """A row as prepared statements return it."""
    make: Any = namedtuple  # noqa: PYI024 - its fields are known only here
    return make("Row", values)(**values)


def test_order_of_columns_makes_no_difference() -> None:
    assert read_record(Visit, row(buffer=5, id=1, other="x", minutes=30)) == Visit(1, 30, 5)


def test_prefix_selects_the_columns_of_one_record() -> None:
    found = row(id=9, visit_id=1, visit_minutes=30, visit_buffer=5)
    assert read_record(Visit, found, "visit_") == Visit(1, 30, 5)


def test_fields_without_columns_are_passed_by_name() -> None:
    assert read_record(Visit, row(id=1), minutes=45, buffer=5) == Visit(1, 45, 5)


def test_missing_column_is_an_error_even_if_the_field_has_a_default() -> None:
    with pytest.raises(TypeError, match="no columns for minutes, buffer of Visit"):
        read_record(Visit, row(id=1, length=30))


def test_field_keeps_its_default_if_it_is_named() -> None:
    assert read_record(Visit, row(id=1, minutes=30), without=("buffer",)) == Visit(1, 30)
