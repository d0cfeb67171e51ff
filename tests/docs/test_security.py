"""docs/security.md: what it names is there, what it calls met is tested, and no requirement is left out."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from app.models import User

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
SOURCES = sorted((ROOT / "app").rglob("*.py"))

STATUSES = {"met", "partly", "not met", "not applicable", "operator's"}
# How many requirements of levels 1 and 2 each section of OWASP ASVS 5.0.0 has; those of level 3 come after them.
ASVS = {
    "1.1": 2, "1.2": 9, "1.3": 11, "1.4": 3, "1.5": 2,
    "2.1": 3, "2.2": 3, "2.3": 4, "2.4": 1,
    "3.2": 2, "3.3": 4, "3.4": 6, "3.5": 5, "3.7": 2,
    "4.1": 3, "4.2": 1, "4.3": 2, "4.4": 4,
    "5.1": 1, "5.2": 3, "5.3": 2, "5.4": 3,
    "6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4, "6.5": 5, "6.6": 3, "6.8": 4,
    "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 2, "7.6": 2,
    "8.1": 2, "8.2": 3, "8.3": 1, "8.4": 1,
    "9.1": 3, "9.2": 4,
    "10.1": 2, "10.2": 2, "10.3": 4, "10.4": 11, "10.5": 5, "10.6": 2, "10.7": 3,
    "11.1": 2, "11.2": 3, "11.3": 3, "11.4": 4, "11.5": 1, "11.6": 1,
    "12.1": 3, "12.2": 2, "12.3": 4,
    "13.1": 1, "13.2": 5, "13.3": 2, "13.4": 5,
    "14.1": 2, "14.2": 4, "14.3": 3,
    "15.1": 3, "15.2": 3, "15.3": 7,
    "16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 3,
    "17.1": 1, "17.2": 4, "17.3": 2,
}  # fmt: skip
OTHERS = {
    "OWASP API Security Top 10 (2023)": [f"API{number}" for number in range(1, 11)],
    "HIPAA, 45 CFR 164.312": [
        "(a)(1)", "(a)(2)(i)", "(a)(2)(ii)", "(a)(2)(iii)", "(a)(2)(iv)", "(b)", "(c)(1)", "(c)(2)", "(d)", "(e)(1)",
        "(e)(2)(i)", "(e)(2)(ii)",
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A requirement, or some that are answered together."""

    standard: str
    numbers: str
    status: str
    code: str
    proof: str

    @property
    def tests(self) -> list[str]:
        return re.findall(r"`(tests/[^`]+)`", self.proof)


def section(title: str) -> str:
    found = re.search(rf"^### {re.escape(title)}$(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def rows() -> list[Row]:
    found = []
    standard = ""
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("## "):
            standard = line.removeprefix("## ")
        elif line.startswith("|") and len(cells) == 5 and cells[0] not in {"#", "---"}:
            found.append(Row(standard, cells[0], *cells[2:]))
    return found


def numbers(row: Row) -> Iterator[str]:
    """One by one, where some of them are written as the first and the last."""
    for part in row.numbers.split(", "):
        first, _, last = part.partition("\N{EN DASH}")
        start, _, from_ = first.rpartition(".")
        for number in range(int(from_), int((last or first).rpartition(".")[2]) + 1):
            yield f"{start}.{number}"


@cache
def find_tests(path: str) -> set[str]:
    nodes = ast.walk(ast.parse((ROOT / path).read_text()))
    return {
        node.name
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


REQUIREMENTS = rows()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", PAGE))))
def test_every_test_that_is_named_is_there(name: str) -> None:
    path, _, test = name.partition("::")
    assert (ROOT / path).is_file()
    assert find_tests(path)
    assert not test or test in find_tests(path)


@pytest.mark.parametrize("row", REQUIREMENTS, ids=lambda row: f"{row.standard}: {row.numbers}")
def test_what_is_met_is_tested_and_what_is_not_has_a_reason(row: Row) -> None:
    assert row.status in STATUSES
    if row.status == "met":
        assert row.tests, "met, by what test?"
    if row.status == "partly":
        assert row.tests or "no test" in row.proof
    assert row.code or row.proof


@pytest.mark.parametrize("row", REQUIREMENTS, ids=lambda row: f"{row.standard}: {row.numbers}")
def test_what_is_missing_is_told_at_the_end(row: Row) -> None:
    told = PAGE.partition("\n## What is not met, and why\n")[2]
    if row.status in {"partly", "not met"}:
        assert re.search(rf"(?<![\d.]){re.escape(row.numbers.partition(', ')[0])}(?![\d.]\d)", told)


def test_no_requirement_of_the_asvs_is_missing() -> None:
    wanted = Counter(f"{section}.{number}" for section, count in ASVS.items() for number in range(1, count + 1))
    assert wanted.total() == 253
    found = [row for row in REQUIREMENTS if row.standard.startswith("OWASP ASVS 5.0")]
    assert Counter(number for row in found for number in numbers(row)) == wanted


@pytest.mark.parametrize("standard", OTHERS)
def test_no_other_requirement_is_missing(standard: str) -> None:
    found = [number for row in REQUIREMENTS if row.standard == standard for number in row.numbers.split(", ")]
    assert found == OTHERS[standard]


def test_every_table_is_classified() -> None:
    named = set(re.findall(r"`(\w+)`", section("Data")))
    assert User.metadata.tables.keys() <= named


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_every_derived_key_is_in_the_inventory() -> None:
    purposes = {
        ast.literal_eval(node.args[1])
        for path in SOURCES
        for name, node in calls(path)
        if name.rpartition(".")[2] == "derive_key" and len(node.args) == 2
    }
    assert purposes
    inventory = section("Keys")
    assert not [purpose for purpose in purposes if f'"{purpose}"' not in inventory]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# What runs code or programs, reads formats that do, or opens connections.
DANGEROUS = {
    "aiohttp", "ctypes", "ftplib", "http.client", "httpx", "httpx2", "importlib", "jinja2", "ldap3", "lxml", "mako",
    "marshal", "os.system", "pickle", "requests", "runpy", "shelve", "smtplib", "socket", "subprocess",
    "urllib.request", "urllib3", "xml", "yaml",
}  # fmt: skip


JINJA = ("jinja2.Environment", "jinja2.FileSystemLoader", "jinja2.StrictUndefined")


def test_no_dangerous_module_is_imported() -> None:
    # An adapter is where the world outside would be spoken to, and docs/security.md would have to say so.
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in SOURCES
        for name in imported(path)
        for module in DANGEROUS
        if name == module or name.startswith(f"{module}.")
    }
    # Templates are files of ours; nothing that anybody types becomes one.
    templates = {("app/web/kit/pages.py", name) for name in ("jinja2", *JINJA)}
    # The numbers of an option of accepted connections; nothing is opened with them.
    options = {("app/edge/protocol.py", name) for name in ("socket", "socket.SO_SNDBUF", "socket.SOL_SOCKET")}
    assert found == templates | options


def test_nothing_is_evaluated() -> None:
    assert not {
        (path.name, name)
        for path in SOURCES
        for name, _ in calls(path)
        if name in {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
    }


def test_chance_is_left_to_the_demo() -> None:
    """Everything else that must not be guessed comes from ``secrets``."""
    assert {path.name for path in SOURCES if "random" in set(imported(path))} <= {"clinic.py", "calendar.py"}
    drawing = {path.name for path in SOURCES for name, _ in calls(path) if name.startswith("secrets.")}
    assert drawing == {"security.py", "one_time_codes.py"}


def test_only_approved_hashes_are_called() -> None:
    hashing = {name for path in SOURCES for name, _ in calls(path) if re.fullmatch(r"hashlib\.\w+", name)}
    assert hashing <= {"hashlib.sha256"}
    digests = {
        ast.literal_eval(node.args[-1])
        for path in SOURCES
        for name, node in calls(path)
        if name in {"hmac.digest", "hmac.new"}
    }
    assert digests == {"sha256"}


def test_the_image_is_made_of_the_code_alone() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule for rule in rules if rule.startswith("!")}
    assert let_in == {"!app", "!migrations", "!requirements-runtime.txt"}


def test_every_dependency_is_pinned_by_its_hash() -> None:
    text = (ROOT / "requirements-runtime.txt").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) > 10
    assert not [line for line in lines if not re.match(r"[\w.\-]+(\[\w+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", line)]


def test_how_soon_is_promised() -> None:
    assert re.search(r"within \d+ days if it is critical", " ".join(section("Updates").split()))
    assert "docs/security.md" in (ROOT / "SECURITY.md").read_text()
