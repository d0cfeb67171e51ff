"""The registers in docs/compliance are complete, name existing tests, and state rules that hold in the code.

No test can tell whether a statement of a register is true.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.models import User

ROOT = Path(__file__).parents[2]
REGISTERS = ROOT / "docs/compliance"
INVENTORY = (REGISTERS / "inventory.md").read_text()
SOURCES = sorted((ROOT / "app").rglob("*.py"))
TEMPLATES = sorted((ROOT / "app/web/templates").rglob("*.html"))

STATUSES = {"met", "partly", "not met", "not applicable", "operator's"}
# The number of requirements of levels 1 and 2 in each section of OWASP ASVS 5.0.0. Those of level 3 follow them.
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
    "owasp-api-top-10": [f"API{number}" for number in range(1, 11)],
    "hipaa": [
        "(a)(1)", "(a)(2)(i)", "(a)(2)(ii)", "(a)(2)(iii)", "(a)(2)(iv)", "(b)", "(c)(1)", "(c)(2)", "(d)", "(e)(1)",
        "(e)(2)(i)", "(e)(2)(ii)",
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One requirement, or several with one entry."""

    register: str
    numbers: str
    status: str
    code: str
    proof: str

    @property
    def name(self) -> str:
        return f"{self.register} {self.numbers}"

    @property
    def tests(self) -> list[str]:
        return re.findall(r"`(tests/[^`]+)`", self.proof)


def get_section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", INVENTORY, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def read_rows() -> Iterator[Row]:
    for path in sorted(REGISTERS.glob("*.md")):
        for line in path.read_text().splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if line.startswith("|") and len(cells) == 5 and cells[0] not in {"#", "---"}:
                yield Row(path.stem, cells[0], *cells[2:])


def split_numbers(row: Row) -> Iterator[str]:
    """Yield single numbers, including those of a range that is written as its first and last number."""
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


ROWS = list(read_rows())


def test_every_named_test_exists() -> None:
    text = "".join(path.read_text() for path in [*REGISTERS.glob("*.md"), ROOT / "docs/security.md"])
    missing = []
    for name in sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", text))):
        path, _, test = name.partition("::")
        if not (ROOT / path).is_file() or not find_tests(path) or (test and test not in find_tests(path)):
            missing.append(name)
    assert not missing


def test_met_requirements_have_tests_and_others_have_reasons() -> None:
    assert not [row.name for row in ROWS if row.status not in STATUSES]
    assert not [row.name for row in ROWS if row.status == "met" and not row.tests]
    assert not [row.name for row in ROWS if row.status == "partly" and not row.tests and "no test" not in row.proof]
    assert not [row.name for row in ROWS if not row.code and not row.proof]


def test_every_gap_is_listed() -> None:
    gaps = (REGISTERS / "README.md").read_text().partition("\n## Known gaps\n")[2]
    numbers = {row.name: row.numbers.partition(", ")[0] for row in ROWS if row.status in {"partly", "not met"}}
    assert not [
        name for name, number in numbers.items() if not re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.]\d)", gaps)
    ]


def test_asvs_requirements_are_complete() -> None:
    wanted = Counter(f"{section}.{number}" for section, count in ASVS.items() for number in range(1, count + 1))
    assert wanted.total() == 253
    assert Counter(number for row in ROWS if row.register == "asvs" for number in split_numbers(row)) == wanted


def test_other_requirements_are_complete() -> None:
    found = {
        name: [number for row in ROWS if row.register == name for number in row.numbers.split(", ")] for name in OTHERS
    }
    assert found == OTHERS


def test_every_table_is_classified() -> None:
    named = set(re.findall(r"`(\w+)`", get_section("Data")))
    assert not User.metadata.tables.keys() - named, "add them to docs/compliance/inventory.md"


def list_calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_every_derived_key_is_in_the_inventory() -> None:
    purposes = {
        ast.literal_eval(node.args[1])
        for path in SOURCES
        for name, node in list_calls(path)
        if name.rpartition(".")[2] == "derive_key" and len(node.args) == 2
    }
    assert purposes
    inventory = get_section("Keys")
    assert not [purpose for purpose in purposes if f'"{purpose}"' not in inventory]


def list_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# Modules that run code or programs, read formats that do, or open connections.
DANGEROUS = {
    "aiohttp", "ctypes", "ftplib", "http.client", "httpx", "httpx2", "importlib", "jinja2", "ldap3", "lxml", "mako",
    "marshal", "os.system", "pickle", "requests", "runpy", "shelve", "smtplib", "socket", "subprocess",
    "urllib.request", "urllib3", "xml", "yaml",
}  # fmt: skip


JINJA = ("jinja2.Environment", "jinja2.FileSystemLoader", "jinja2.StrictUndefined")


def test_no_dangerous_module_is_imported() -> None:
    # Other systems would be called by an adapter, and docs/compliance/inventory.md would have to list them.
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in SOURCES
        for name in list_imports(path)
        for module in DANGEROUS
        if name == module or name.startswith(f"{module}.")
    }
    # Templates are files of the project; user input never becomes a template.
    templates = {("app/web/kit/pages.py", name) for name in ("jinja2", *JINJA)}
    # Only constants, for options of accepted connections.
    options = {("app/edge/protocol.py", name) for name in ("socket", "socket.SO_SNDBUF", "socket.SOL_SOCKET")}
    assert found == templates | options


def test_no_code_is_evaluated() -> None:
    assert not {
        (path.name, name)
        for path in SOURCES
        for name, _ in list_calls(path)
        if name in {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
    }


def test_only_the_demo_uses_the_random_module() -> None:
    """Values that must not be guessable come from ``secrets``."""
    assert {path.name for path in SOURCES if "random" in set(list_imports(path))} <= {"clinic.py", "calendar.py"}
    secret_sources = {path.name for path in SOURCES for name, _ in list_calls(path) if name.startswith("secrets.")}
    assert secret_sources == {"security.py", "one_time_codes.py"}


def test_only_approved_hashes_are_called() -> None:
    hashing = {name for path in SOURCES for name, _ in list_calls(path) if re.fullmatch(r"hashlib\.\w+", name)}
    assert hashing <= {"hashlib.sha256"}
    imports = {(path.name, name) for path in SOURCES for name in list_imports(path) if name.startswith("hashlib.")}
    # BLAKE2b only without secrets: for the keys of advisory locks and the order of doctors.
    assert {path for path, name in imports if name == "hashlib.blake2b"} == {"locks.py", "tie_break.py"}
    assert {name for _, name in imports} == {"hashlib.sha256", "hashlib.blake2b", "hashlib.file_digest"}
    digests = {
        ast.literal_eval(node.args[-1])
        for path in SOURCES
        for name, node in list_calls(path)
        if name in {"hmac.digest", "hmac.new"}
    }
    assert digests == {"sha256"}


def test_image_contains_only_the_code() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    included = {rule for rule in rules if rule.startswith("!")}
    assert included == {"!app", "!migrations", "!pyproject.toml", "!requirements-runtime.txt"}


def test_every_dependency_is_pinned_by_its_hash() -> None:
    text = (ROOT / "requirements-runtime.txt").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) > 10
    assert not [line for line in lines if not re.match(r"[\w.\-]+(\[\w+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", line)]


def test_time_limits_for_security_updates_are_promised() -> None:
    assert re.search(r"within \d+ days if it is critical", " ".join(get_section("Updates").split()))
    assert "docs/security.md" in (ROOT / "SECURITY.md").read_text()


def test_password_fields_are_masked_and_known_to_password_managers() -> None:
    fields = [
        field
        for path in TEMPLATES
        for field in re.findall(r'parts\.field\(form, "\w*password", .*?\) }}', path.read_text(), re.DOTALL)
    ]
    assert len(fields) >= 5
    assert not [field for field in fields if 'type="password"' not in field]
    assert not [field for field in fields if not re.search(r'autocomplete="(current|new)-password"', field)]
