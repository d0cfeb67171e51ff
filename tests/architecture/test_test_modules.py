"""Modules of tests."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]


def list_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{each.name}" for each in node.names)


def test_what_tests_share_is_in_modules_without_tests() -> None:
    sources = sorted(TESTS.rglob("*.py"))
    assert sources
    shared = [
        f"{path.relative_to(TESTS)} imports {name}"
        for path in sources
        for name in list_imports(path)
        if any(part.startswith("test_") for part in name.split("."))
    ]
    assert not shared
