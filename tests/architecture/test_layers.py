"""Rules of the layers (docs/architecture.md) that import-linter cannot check."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "app"
SOURCES = sorted(APP.rglob("*.py"))
MAX_LINES = 400
MAX_USE_CASES = 10


def calls(path: Path) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


def relative(path: Path) -> str:
    return path.relative_to(APP).as_posix()


def test_only_the_database_commits() -> None:
    committing = {
        relative(path)
        for path in SOURCES
        for call in calls(path)
        if isinstance(call.func, ast.Attribute) and call.func.attr in {"commit", "rollback", "begin_nested"}
    }
    assert committing == {"db/database.py"}


def test_only_the_clock_reads_the_time() -> None:
    clocks = (
        "datetime.now",
        "datetime.utcnow",
        "datetime.today",
        "date.today",
        "time.time",
        "time.time_ns",
        "func.now",
    )
    reading = {relative(path) for path in SOURCES for call in calls(path) if ast.unparse(call.func) in clocks}
    assert reading == {"core/clock.py"}


def test_only_the_database_layer_and_constraints_name_a_dialect() -> None:
    words = ("postgresql", "sqlite", "asyncpg")
    naming = set()
    for path in SOURCES:
        code = ast.parse(path.read_text())
        docstrings = {node.value for node in ast.walk(code) if isinstance(node, ast.Expr)}
        for node in ast.walk(code):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
                said = node.value
            elif isinstance(node, ast.Import | ast.ImportFrom):
                said = ast.unparse(node)
            else:
                continue
            if any(word in said.lower() for word in words):
                naming.add(relative(path))
    # The settings parse database URLs, which name the dialect.
    assert {name for name in naming if not name.startswith("db/")} == {
        "core/settings.py",
        "models/appointment.py",
        "models/audit.py",
        "models/clinic.py",
        "models/doctor.py",
        "models/user.py",
    }


def test_routers_services_and_pages_write_no_sql() -> None:
    for layer in ("routers", "http", "services", "schemas", "web"):
        for path in (APP / layer).rglob("*.py"):
            called = {ast.unparse(call.func) for call in calls(path)}
            assert not called & {"select", "insert", "update", "delete", "text"}, path


def test_only_repositories_and_the_database_layer_execute_statements() -> None:
    executing = {
        path.relative_to(APP).parts[0]
        for path in SOURCES
        for call in calls(path)
        if isinstance(call.func, ast.Attribute) and call.func.attr in {"execute", "scalar", "scalars"}
    }
    assert executing == {"repositories", "db"}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_file_has_at_most_400_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", sorted((APP / "services").glob("*.py")), ids=relative)
def test_a_service_has_at_most_ten_use_cases(path: Path) -> None:
    functions = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.AsyncFunctionDef)]
    assert len([function for function in functions if not function.name.startswith("_")]) <= MAX_USE_CASES


def test_no_module_has_a_catch_all_name() -> None:
    assert not [
        path for path in SOURCES if path.stem in {"utils", "helpers", "common", "misc", "manager", "base_repository"}
    ]
