"""Inserts that a constraint of the database may refuse."""

import sqlite3
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, literal_column
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute

from app.db.base import Base, table_of
from app.db.database import Transaction
from app.db.prepared import Prepared

_EXCLUSION_VIOLATION = "23P01"  # SQLSTATE, appendix A of PostgreSQL's manual
_INSERT: dict[str, Callable[[type[Base] | Table], postgresql.Insert | sqlite.Insert]] = {
    "postgresql": postgresql.insert,
    "sqlite": sqlite.insert,
}


async def insert_or_ignore(
    transaction: Transaction,
    table: type[Base],
    values: Mapping[str, Any],
    source: Select[*tuple[Any, ...]] | None = None,
) -> bool:
    """Insert one row, and return whether it was inserted.

    Nothing is inserted if a unique constraint, an exclusion constraint or a guard trigger refuses the row. The
    transaction stays usable either way.

    With ``source``, the row is the result of this query, whose columns are named like those of the table and whose
    parameters are ``values``. It may select no row. Pass the same object each time: the compiled statement is cached
    for it.

    ``INSERT ... ON CONFLICT DO NOTHING`` is used because plain INSERTs against an exclusion constraint deadlock under
    contention (docs/booking.md).
    """
    try:
        inserted = await transaction.fetch(
            _insert_or_nothing(transaction.dialect.name, table_of(table), source), values
        )
    except IntegrityError as error:
        # ON CONFLICT does not handle errors that a trigger raises.
        if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
            return False
        raise
    return bool(inserted)


@cache
def _insert_or_nothing(dialect: str, table: Table, source: Select[*tuple[Any, ...]] | None) -> Prepared:
    insert = _INSERT[dialect](table)
    if source is not None:
        insert = insert.from_select(source.selected_columns.keys(), source, include_defaults=False)
    return Prepared(insert.on_conflict_do_nothing().returning(literal_column("1")))


async def upsert[Result](
    transaction: Transaction,
    table: type[Base],
    values: Mapping[str, Any],
    *,
    changes: Mapping[str, Any],
    returning: InstrumentedAttribute[Result],
    only_if: ColumnElement[bool] | None = None,
) -> Result | None:
    """Insert one row, or apply ``changes`` to the row with the same primary key if ``only_if`` holds for it.

    Return the column ``returning`` of the written row, or ``None`` if ``only_if`` did not hold. It is one statement, so
    of two concurrent calls the second sees what the first has written.
    """
    insert = _INSERT[transaction.dialect.name](table).values(**values)
    key = list(table.__table__.primary_key)
    written = insert.on_conflict_do_update(index_elements=key, set_=changes, where=only_if).returning(returning)
    result: Result | None = await transaction.scalar(written)
    return result


def violated_guard(error: IntegrityError) -> str | None:
    """Return the name of the exclusion constraint or guard trigger that refused a statement, or ``None``.

    Both have the same name: PostgreSQL has the constraint, SQLite the trigger.
    """
    if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
        return str(error.orig)
    if getattr(error.orig, "sqlstate", None) == _EXCLUSION_VIOLATION:
        return getattr(error.orig.__cause__, "constraint_name", None) if error.orig else None
    return None
