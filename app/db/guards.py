"""Inserting where a constraint of the database has the last word."""

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
    """Inserts one row, or nothing if a unique or exclusion constraint or a guard trigger is against it.

    ``source``, where there is one, is a query that selects the row under the names of the columns (and may find none),
    with ``values`` as its parameters; it is made once, for the statement with it is kept. Says whether there is a new
    row. The transaction stays usable either way.

    One statement: a plain INSERT against an exclusion constraint deadlocks under contention (docs/booking.md).
    """
    try:
        inserted = await transaction.fetch(
            _insert_or_nothing(transaction.dialect.name, table_of(table), source), values
        )
    except IntegrityError as error:
        # ON CONFLICT does not reach into triggers.
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
    """Inserts one row, or makes ``changes`` to the one that has its primary key, if it may be changed (``only_if``).

    Of the row as it is then, what is ``returning``; ``None`` if it may not be changed. One statement: of two at once
    the second sees what the first has written.
    """
    insert = _INSERT[transaction.dialect.name](table).values(**values)
    key = list(table.__table__.primary_key)
    written = insert.on_conflict_do_update(index_elements=key, set_=changes, where=only_if).returning(returning)
    result: Result | None = await transaction.scalar(written)
    return result


def violated_guard(error: IntegrityError) -> str | None:
    """The name of the exclusion constraint, or of the guard trigger of the same name, that has refused a statement."""
    if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
        return str(error.orig)
    if getattr(error.orig, "sqlstate", None) == _EXCLUSION_VIOLATION:
        return getattr(error.orig.__cause__, "constraint_name", None) if error.orig else None
    return None
