"""docs/data.md describes the tables as the models define them. The part after ``MARKER`` is generated."""

import ast
import inspect
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlalchemy import Column, Enum, ForeignKey, Table
from sqlalchemy.dialects import postgresql

from app import models
from app.db.base import Base

PAGE = Path(__file__).parents[2] / "docs/data.md"
MARKER = "<!-- generated: UPDATE_SNAPSHOT=1 .venv/bin/pytest tests/docs/test_data.py -n 0 -->"
DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call] # so in SQLAlchemy


def test_data_dictionary_matches_the_models() -> None:
    """After a change: UPDATE_SNAPSHOT=1 pytest tests/docs/test_data.py -n 0"""
    page = PAGE.read_text()
    before, marker, _ = page.partition(MARKER)
    assert marker
    expected = f"{before}{MARKER}\n\n{describe_tables()}"
    if os.environ.get("UPDATE_SNAPSHOT"):
        PAGE.write_text(expected)
    assert PAGE.read_text() == expected


def describe_tables() -> str:
    mapped = {model.__tablename__: model for model in (getattr(models, name) for name in models.__all__)}
    names = sorted(mapped)
    assert set(names) == set(Base.metadata.tables)
    drawing = "\n".join(["```mermaid", "erDiagram", *draw_relations(names), "```"])
    sections = [describe_table(Base.metadata.tables[name], mapped[name]) for name in names]
    return "\n\n".join(["## Relations", drawing, "## Tables", *sections]) + "\n"


def draw_relations(names: list[str]) -> Iterator[str]:
    for name in names:
        table = Base.metadata.tables[name]
        for column in table.columns:
            for key in column.foreign_keys:
                is_unique = column.unique or list(table.primary_key.columns) == [column]
                parent, child = "|o" if column.nullable else "||", "o|" if is_unique else "o{"
                yield f"    {key.column.table.name} {parent}--{child} {name} : {column.name}"


def describe_table(table: Table, model: type[Base]) -> str:
    meanings = read_meanings(model)
    rows = [
        f"| `{column.name}` | {describe_type(column)} | {'yes' if column.nullable else ''} | "
        f"{describe_meaning(column, meanings)} |"
        for column in table.columns
    ]
    summary = to_markdown(inspect.getdoc(model) or "").partition("\n\n")[0]
    return "\n".join(
        [f"### {table.name}", "", summary, "", "| Column | Type | Null | Meaning |", "|---|---|---|---|", *rows]
    )


def describe_type(column: Column[object]) -> str:
    if isinstance(column.type, Enum):
        return ", ".join(f"`{value}`" for value in column.type.enums)
    return str(column.type.compile(DIALECT)).lower()


def describe_meaning(column: Column[object], meanings: Mapping[str, str]) -> str:
    parts = ["primary key"] if column.primary_key else []
    parts += [describe_reference(key) for key in column.foreign_keys]
    text = ", ".join(parts)
    return ". ".join(filter(None, [text, meanings.get(column.key, "")]))


def describe_reference(key: ForeignKey) -> str:
    action = f", on delete {key.ondelete.lower()}" if key.ondelete else ""
    return f"references `{key.column.table.name}.{key.column.name}`{action}"


def read_meanings(model: type[Base]) -> dict[str, str]:
    """Return the strings that follow the columns in the source of a model."""
    [definition] = ast.parse(inspect.getsource(model)).body
    assert isinstance(definition, ast.ClassDef)
    meanings = {}
    for column, text in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(column, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            meanings[ast.unparse(column.target)] = to_markdown(inspect.cleandoc(str(text.value.value)))
    return {name: re.sub(r"\s+", " ", text).replace("|", "\\|") for name, text in meanings.items()}


def to_markdown(text: str) -> str:
    return text.replace("``", "`")
