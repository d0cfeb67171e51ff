"""The table of packages in docs/architecture.md matches the imports of the code exactly."""

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE_ROW = re.compile(r"^\| (?P<paths>`app/[^|]*) \| [^|]* \| (?P<imports>[^|]*)\|$", re.MULTILINE)
CODE = re.compile(r"`([^`]*)`")


def package_of(module: str) -> str:
    """``app.web.kit.forms`` is in ``web.kit``, ``app.db.engine`` in ``db``."""
    parts = module.split(".")[1:]
    if parts in (["core", "dependencies"], ["core", "clinic_dependencies"]):
        return "dependencies"
    if parts[0] == "web":
        return f"web.{parts[1]}" if len(parts) > 2 else "web"
    return parts[0]


def documented() -> dict[str, set[str]]:
    rows = TABLE_ROW.finditer((ROOT / "docs/architecture.md").read_text())
    return {
        package_of(path.removesuffix(".py").replace("/", ".") + ("" if path.endswith(".py") else ".any")): set(
            CODE.findall(row["imports"])
        )
        for row in rows
        for path in CODE.findall(row["paths"])
    }


def imported() -> dict[str, set[str]]:
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "app").rglob("*.py")}
    packages: dict[str, set[str]] = defaultdict(set)
    for module in modules:
        if module.endswith("__init__"):
            continue
        tree = ast.parse((ROOT / module.replace(".", "/")).with_suffix(".py").read_text())
        assert not [
            node
            for node in ast.walk(tree)
            if (isinstance(node, ast.Import) and any(alias.name.startswith("app") for alias in node.names))
            or (isinstance(node, ast.ImportFrom) and (node.level or node.module == "app"))
        ], f"{module}: write from app.package import name"
        targets = [
            f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in modules else str(node.module)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("app")
            for alias in node.names
        ]
        packages[package_of(module)] |= {
            package_of(f"{target}.x" if target == "app.models" else target) for target in targets
        }
    return {package: found - {package} for package, found in packages.items()}


def test_every_room_imports_what_the_table_says() -> None:
    assert imported() == documented()
