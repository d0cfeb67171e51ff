"""Migrations do not depend on code of the application that can change."""

import ast
import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from app.core import text as current
from migrations.frozen import LOOK_ALIKES, look_alike_key, search_key

FOLDER = Path(__file__).parents[2] / "migrations"
MIGRATIONS = [FOLDER / "frozen.py", *sorted(FOLDER.glob("versions/*.py"))]
ALLOWED = {"app.db.types"}
"""The column types, which migrations need."""


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_migration_imports_no_code_that_can_change(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert {name for name in imported if name and name.split(".")[0] == "app"} <= ALLOWED


@pytest.mark.parametrize(
    ("text", "searched", "unique"),
    [
        ("Dr \u0141ukasz O\u2019Brien", "dr lukasz obrien", "dr \u0142ukasz o\u2019brien"),
        ("Check-UP", "check up", "check-up"),
        ("\u0421heck \u200b up", "\u0441heck up", "check up"),
        ("x" * 300, "x" * 200, "x" * 200),
    ],
)
def test_frozen_keys_stay_the_same(text: str, searched: str, unique: str) -> None:
    assert (search_key(text), look_alike_key(text)) == (searched, unique)


@pytest.mark.parametrize("look_alikes", [LOOK_ALIKES, current._LOOK_ALIKES], ids=["migrations", "application"])
def test_look_alikes_are_those_of_the_stored_keys(look_alikes: Mapping[int, str]) -> None:
    """With other data, stored keys of addresses and names would be wrong: keep the old data, or write a migration."""
    digest = sha256(json.dumps(sorted(look_alikes.items())).encode()).hexdigest()
    assert digest == "21b248908459decdd2537588b0c6cd7b9f22d55bd052cb5cc8535dd1b7aa67a1"
