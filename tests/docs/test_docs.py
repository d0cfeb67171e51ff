"""Documents agree with the code, and their links work."""

import ast
import asyncio
import json
import re
from importlib import import_module
from pathlib import Path

import pytest

from app.core.security import CONTEXT_WORDS
from app.core.settings import Settings
from app.http.problems import PROBLEMS
from app.main import VERSION
from app.scheduling.status import TRANSITIONS
from tests.databases import migrate
from tests.servers import serve

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("setting", Settings.model_fields)
def test_every_setting_is_described(setting: str) -> None:
    name = setting.upper()
    assert f"| `{name}` |" in (ROOT / "docs/running.md").read_text()
    assert f"{name}=" in (ROOT / ".env.example").read_text()
    # An empty ENVIRONMENT is passed on, so that it is refused.
    default = "-" if name == "ENVIRONMENT" else ":-"
    assert f"{name}: ${{{name}{default}" in (ROOT / "docker-compose.yml").read_text()


@pytest.mark.parametrize("setting", sorted(set(Settings.model_fields) - {"secret_key"}))
def test_documented_defaults_are_the_defaults(setting: str) -> None:
    default = str(Settings.model_fields[setting].default)
    assert f"# {setting.upper()}={default}" in (ROOT / ".env.example").read_text().splitlines()
    rows = (ROOT / "docs/running.md").read_text().splitlines()
    [row] = [line for line in rows if line.startswith(f"| `{setting.upper()}`")]
    assert row.split("|")[2].strip().strip("`") == default


def test_every_context_word_of_passwords_is_listed() -> None:
    listed = re.search(r"around them: ([a-z,\s]+) \(", (ROOT / "docs/running.md").read_text())
    assert listed
    assert tuple(re.findall(r"\w+", listed[1])) == CONTEXT_WORDS


def test_every_error_code_is_described() -> None:
    described = re.findall(r"^\| `(\w+)` \| (\d+) \|", (ROOT / "docs/errors.md").read_text(), re.MULTILINE)
    assert dict(described) == {code: str(status.value) for code, (status, _) in PROBLEMS.items()}


def test_quoted_log_messages_exist_in_the_code() -> None:
    troubleshooting = (ROOT / "docs/running.md").read_text().partition("## Troubleshooting")[2]
    nodes = [node for path in (ROOT / "app").rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    names = {node.name for node in nodes if isinstance(node, ast.ClassDef)}
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    quoted = re.findall(r"^\| `([^`]+)`", troubleshooting, re.MULTILINE)
    assert quoted
    for message in quoted:
        assert message in names or any(message in text for text in texts), message


def test_state_diagram_matches_the_transitions() -> None:
    diagram = re.findall(r"^    (\w+) --> (\w+): (.+)$", (ROOT / "docs/booking.md").read_text(), re.MULTILINE)
    table = {
        (source.value, transition.target.value, action.value)
        for action, transition in TRANSITIONS.items()
        for source in transition.sources
    }
    assert set(diagram) == table


def test_functions_named_in_request_traces_exist() -> None:
    page = (ROOT / "docs/booking.md").read_text()
    named = re.findall(r"^  \d  ([a-z_]+(?:\.[a-z_]+)*)\.([a-z_]+)", page, re.MULTILINE)
    assert len(named) >= 8
    for module, function in named:
        assert hasattr(import_module(f"app.{module}"), function), (module, function)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_existing_files(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?://)([^)#]*)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_to_headings_lead_to_existing_headings(page: Path) -> None:
    for link, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", page.read_text()):
        target = page.parent / link if link else page
        headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
        # GitHub computes anchors of headings like this.
        assert anchor in {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}, (link, anchor)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_named_files_exist(page: Path) -> None:
    for name in re.findall(r"`((?:app|tests|docs|migrations|benchmarks)/[\w/.]+)`", page.read_text()):
        assert (ROOT / name).exists(), name


def test_every_decision_has_one_form_and_is_listed() -> None:
    table = (ROOT / "docs/adr/README.md").read_text()
    listed = re.findall(r"^\| \[(\d{4})\]\((.+)\) \| (.+) \| (.+) \| (.+) \|$", table, re.MULTILINE)
    found = []
    for path in sorted(ROOT.glob("docs/adr/0*.md")):
        text = path.read_text()
        head = re.match(r"# (\d{4})\. (.+)\n\nStatus: (.+)\n\nDate: (\d{4}-\d\d-\d\d)\n", text)
        assert head, path.name
        number, title, status, date = head.groups()
        assert path.name.startswith(f"{number}-")
        status = re.sub(r"\[(\d{4})\]\(.*\)", r"\1", status)
        assert re.fullmatch(r"accepted|superseded by \d{4}", status), path.name
        sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert sections == ["Context", "Decision", "Consequences", "Alternatives"], path.name
        found.append((number, path.name, title, date, status))
    assert listed == found


def test_every_make_target_is_explained_and_every_named_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    explained = set(re.findall(r"^([\w-]+):.*## ", makefile, re.MULTILINE))
    assert phony
    assert explained == set(phony[1].split())
    for page in PAGES:
        assert set(re.findall(r"make ([\w-]+)`", page.read_text())) <= explained, page


@pytest.mark.slow
async def test_tour_of_the_readme_works(tmp_path: Path) -> None:
    """Run the commands on a new server; each response must have the members that the page shows."""
    tour = (ROOT / "README.md").read_text().partition("## A five-minute tour")[2].partition("\n## ")[0]
    blocks = re.findall(r"```(bash|json)\n(.*?)```", tour, re.DOTALL)
    script = "set -eu\n" + "".join(f"{text}\necho '---'\n" for kind, text in blocks if kind == "bash")
    async with serve(await migrate(f"sqlite+aiosqlite:///{tmp_path}/tour.db"), processes=1) as [server]:
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", script.replace("http://localhost:8000", server.url), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    responses = [read_responses(part) for part in output.decode().split("---\n")[:-1]]
    shown = [read_responses(text) for kind, text in blocks if kind == "json"]
    assert reduce_to(responses, shown) == shown


def read_responses(text: str) -> list[object]:
    """Return the JSON values in a text, without values that differ from run to run."""
    decoder = json.JSONDecoder()
    found = []
    while text := text.lstrip():
        response, end = decoder.raw_decode(text)
        found.append(mask(response))
        text = text[end:]
    return found


def mask(response: object) -> object:
    if isinstance(response, dict):
        return {name: mask(value) for name, value in response.items()}
    if isinstance(response, list):
        return [mask(value) for value in response]
    if isinstance(response, str) and re.search(r"…|\d{4}-\d\d|[0-9a-f]{8}-", response):
        return "*"
    return response


def reduce_to(response: object, shown: object) -> object:
    """Return the response without the members of objects that are not shown."""
    if isinstance(response, dict) and isinstance(shown, dict):
        return {name: reduce_to(value, shown[name]) for name, value in response.items() if name in shown}
    if isinstance(response, list) and isinstance(shown, list) and len(response) == len(shown):
        return [reduce_to(*pair) for pair in zip(response, shown, strict=True)]
    return response


def test_version_is_the_newest_in_the_changelog() -> None:
    newest = re.search(r"^## (\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == VERSION
