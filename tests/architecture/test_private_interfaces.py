"""Private and little-documented parts of libraries are used only as docs/private-interfaces.md says."""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = ("app", "benchmarks", "migrations", "screenshots", "tests")
SOURCES = [path.relative_to(ROOT).as_posix() for folder in OURS for path in (ROOT / folder).rglob("*.py")]
CODE = re.compile(r"`([^`]*)`")
ROWS = [
    [CODE.findall(cell) for cell in line.strip("| ").split(" | ")]
    for line in (ROOT / "docs/private-interfaces.md").read_text().splitlines()
    if line.startswith("| ") and "`" in line
]
"""The code in each cell of the tables: parts, files, reason, tests."""
PUBLIC = {"_asdict", "_fields", "_make", "_mapping", "_replace"}
"""Documented attributes of named tuples and of SQLAlchemy's rows."""
FOR_TYPE_CHECKERS = {"_typeshed"}
"""Modules that exist only for type checkers, which ship them."""


@cache
def list_nodes(path: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse((ROOT / path).read_text())))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def is_foreign(module: str) -> bool:
    return module.partition(".")[0] not in {*OURS, *sys.stdlib_module_names, *FOR_TYPE_CHECKERS}


def is_on_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def defined_in(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_on_self(node):
            yield node.attr


def named_in(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.alias | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def foreign_private_names(nodes: list[ast.AST], ours: set[str]) -> Iterator[str]:
    """The private names of libraries that a file uses: its imports, and attributes that our code does not define."""
    for node in nodes:
        if isinstance(node, ast.Import):
            found = [part for alias in node.names if is_foreign(alias.name) for part in alias.name.split(".")]
        elif isinstance(node, ast.ImportFrom) and is_foreign(node.module or ""):
            found = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Attribute):
            found = [node.attr] if node.attr not in ours | PUBLIC else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("attr"):
            # getattr, hasattr, setattr
            found = [str(name.value) for name in node.args[1:2] if isinstance(name, ast.Constant)]
            found = [name for name in found if name not in ours]
        else:
            continue
        yield from filter(is_private, found)


@cache
def private_names_in(extended: type) -> frozenset[str]:
    return frozenset(filter(is_private, re.findall(r"\w+", inspect.getsource(extended))))


def inherited_private_names(path: str) -> Iterator[str]:
    """The private attributes and methods that a class has in common with a class of a library that it extends."""
    module = import_module(path.removesuffix(".py").replace("/", "."))
    for definition in list_nodes(path):
        if isinstance(definition, ast.ClassDef) and (extended := getattr(module, definition.name, None)):
            nodes = [node for node in ast.walk(definition) if not isinstance(node, ast.Name | ast.Constant)]
            used = set(filter(is_private, named_in(nodes)))
            for base in extended.__mro__ if used else ():
                if is_foreign(base.__module__):
                    yield from used & private_names_in(base)


def test_every_private_name_is_in_the_table() -> None:
    ours = {name for path in SOURCES for name in defined_in(list_nodes(path))}
    used = {(name, path) for path in SOURCES for name in foreign_private_names(list_nodes(path), ours)}
    modules = [path for path in SOURCES if path.startswith("app/") and not path.endswith("__init__.py")]
    used |= {(name, path) for path in modules for name in inherited_private_names(path)}
    assert used == {
        (name, path)
        for parts, paths, _, _ in ROWS
        for part in parts
        for name in filter(is_private, part.split("."))
        for path in paths
    }


def test_every_part_in_the_table_is_used_where_it_says() -> None:
    assert ROWS
    for parts, paths, _, _ in ROWS:
        assert parts
        assert paths
        for path in paths:
            named = set(named_in(list_nodes(path)))
            for part in parts:
                assert named & {part, re.findall(r"\w+", part)[-1]}, f"{path} does not use {part}"


def test_every_test_in_the_table_exists() -> None:
    for parts, _, _, tests in ROWS:
        assert tests, parts
        for path, _, test in (each.partition("::") for each in tests):
            assert test in set(defined_in(list_nodes(path))), f"{path} has no {test}"
