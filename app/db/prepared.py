"""Statements that are made once and run with every request, by the driver itself (ADR 0025).

SQLAlchemy writes the SQL and says how values pass to the database and back. That is done once; what it does anew for
each execution, beside that, takes several times as long as the driver.
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
    """A statement that is the same every time but for its parameters.

    An INSERT or an UPDATE writes the columns that are among the names of the values. It cannot have lists for an
    ``IN``, nor columns with a default that SQLAlchemy would have to fill in.
    """

    statement: Select[*tuple[Any, ...]] | Insert | Update | Delete
    _compiled: dict[tuple[Dialect, tuple[str, ...]], "Compiled"] = field(default_factory=dict, init=False, repr=False)

    def compiled(self, dialect: Dialect, names: tuple[str, ...]) -> "Compiled":
        """How it is sent with values of these names."""
        key = dialect, names
        if (found := self._compiled.get(key)) is None:
            found = self._compiled[key] = _compile(self.statement, dialect, names)
        return found


@dataclass(frozen=True, slots=True)
class Compiled:
    """How a statement is sent to one database."""

    sql: str
    parameters: Sequence[tuple[str, Callable[[Any], Any] | None]]
    constants: Values
    processed: Sequence[tuple[int, Callable[[Any], Any]]]
    """Where in a row there is something that is not yet what it stands for."""
    make_row: Callable[[Iterable[Any]], Any]

    def bind(self, values: Values) -> list[Any]:
        """The values as the driver takes them, in its order; ``KeyError`` if one is missing."""
        known = {**self.constants, **values}
        return [process(known[name]) if process else known[name] for name, process in self.parameters]

    def read(self, row: Iterable[Any]) -> Any:
        """What the driver has returned, as a named tuple."""
        if not self.processed:
            return self.make_row(row)
        read = list(row)
        for place, process in self.processed:
            read[place] = process(read[place])
        return self.make_row(read)


def _compile(statement: Any, dialect: Dialect, names: tuple[str, ...]) -> Compiled:
    compiled = cast("SQLCompiler", statement.compile(dialect=dialect, column_keys=names))
    types = {name: bind.type.dialect_impl(dialect) for bind, name in compiled.bind_names.items()}
    columns = list(statement.exported_columns)
    processors = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
    # A class of its own for each statement, whose columns are known here alone.
    row: Any = namedtuple("Row", [column.key or "" for column in columns], rename=True)  # type: ignore[misc]  # noqa: PYI024
    return Compiled(
        compiled.string,
        [(name, types[name].bind_processor(dialect)) for name in compiled.positiontup or ()],
        {name: bind.value for bind, name in compiled.bind_names.items() if not bind.required},
        [(place, process) for place, process in enumerate(processors) if process],
        row._make,
    )
