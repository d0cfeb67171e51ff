"""Statements that are compiled once and then sent by the driver itself (ADR 0025).

SQLAlchemy writes the SQL and converts parameters and results. It compiles each statement once. Repeating that work for
each execution would take several times as long as the driver's own work.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import Delete, Dialect, Insert, Select, Update
from sqlalchemy.sql.compiler import SQLCompiler

type Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that differs only in its parameters from one execution to the next.

    An INSERT or an UPDATE writes the columns for which there are values. Lists for an ``IN`` and columns with a
    Python-side default are not supported.
    """

    statement: Select[*tuple[Any, ...]] | Insert | Update | Delete
    _compiled: dict[tuple[str, tuple[str, ...]], "Compiled"] = field(default_factory=dict, init=False, repr=False)

    def compiled(self, dialect: Dialect, names: tuple[str, ...]) -> "Compiled":
        """Return the statement compiled for a dialect and for values with these names.

        The key is the name of the dialect, not the object: each engine has a dialect object of its own.
        """
        key = dialect.name, names
        if (found := self._compiled.get(key)) is None:
            found = self._compiled[key] = _compile(self.statement, dialect, names)
        return found


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement as one kind of database takes it."""

    sql: str
    parameters: Sequence[tuple[str, Callable[[Any], Any] | None]]
    constants: Values
    processed: Sequence[tuple[int, Callable[[Any], Any]]]
    """The columns of a row that have to be converted, and how."""
    make_row: Callable[[Iterable[Any]], Any]

    def bind(self, values: Values) -> list[Any]:
        """Return the values as the driver takes them, in its order; ``KeyError`` if one is missing."""
        known = {**self.constants, **values}
        return [process(known[name]) if process else known[name] for name, process in self.parameters]

    def read(self, row: Iterable[Any]) -> Any:
        """Return a row of the driver as a named tuple, with its values converted."""
        if not self.processed:
            return self.make_row(row)
        read = list(row)
        for index, process in self.processed:
            read[index] = process(read[index])
        return self.make_row(read)


def _compile(statement: Any, dialect: Dialect, names: tuple[str, ...]) -> Compiled:
    compiled = cast("SQLCompiler", statement.compile(dialect=dialect, column_keys=names))
    types = {name: bind.type.dialect_impl(dialect) for bind, name in compiled.bind_names.items()}
    columns = list(statement.exported_columns)
    processors = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
    keys = [column.key or "" for column in columns]
    row: Any = namedtuple("Row", keys, rename=True)  # type: ignore[misc]  # noqa: PYI024 - they are known only here
    return Compiled(
        compiled.string,
        [(name, types[name].bind_processor(dialect)) for name in compiled.positiontup or ()],
        # Defaults only for values that are not required, so that a missing value is an error and not NULL.
        {name: bind.value for bind, name in compiled.bind_names.items() if not bind.required},
        [(index, process) for index, process in enumerate(processors) if process],
        row._make,
    )
