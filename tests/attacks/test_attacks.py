"""Each case of the corpus gets the expected response, changes nothing and reveals no secret."""

import gc
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from app.adapters.mail import Mail
from app.core.dependencies import Resources
from app.main import create_app, open_resources
from tests.attacks.checks import (
    MAX_SECONDS,
    MAX_STATEMENTS,
    check_response,
    check_secrets,
    check_state,
    list_sent_values,
)
from tests.attacks.clinic import SECRET_KEY, Builder, Clinic, Rows
from tests.attacks.corpus import Case, as_list, expand, read_descriptions
from tests.databases import both_databases, migrate, open_engine, settings_for, temporary_postgresql
from tests.statements import observing

JSON = "application/json"
REFUSED_BEFORE_SQL = {"http", "json", "passwords", "tokens"}
"""Themes for which SQLite is enough: their cases are refused before any SQL, or use the same SQL on both databases."""
_READS = re.compile(r"(SELECT|BEGIN)\b")


@dataclass
class Target:
    """A clinic, its rows, and the statements that the application sends."""

    clinic: Clinic
    rows: Rows
    statements: list[str]


@pytest.fixture(scope="module", params=both_databases("attacks"))
async def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    async with AsyncExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('attacks')}/attacks.db"
        else:
            url = await stack.enter_async_context(temporary_postgresql())
        settings = settings_for(await migrate(url)).model_copy(
            update={"secret_key": SecretStr(SECRET_KEY), "doctor_approval": "required"}
        )
        mails: list[Mail] = []

        async def deliver(mail: Mail) -> None:
            mails.append(mail)

        app = create_app(settings)
        engine = await stack.enter_async_context(open_engine(url))
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        client = await stack.enter_async_context(
            httpx2.AsyncClient(transport=transport, base_url="http://testserver", follow_redirects=False)
        )
        clinic = Clinic(client, datetime(2026, 12, 1, 8, tzinfo=UTC), engine)
        resources: Resources = await stack.enter_async_context(open_resources(settings, lambda: clinic.now, deliver))
        app.state.resources = resources

        async def advance(by: timedelta) -> None:
            clinic.now += by

        await Builder(clinic, settings, advance).build(complete=True)
        await request_password_reset(clinic, mails)
        statements: list[str] = []

        stack.enter_context(observing(lambda statement, _: statements.append(statement)))
        rows = await clinic.read_rows()
        yield Target(clinic, rows, statements)
        assert await clinic.read_rows() == rows


async def request_password_reset(clinic: Clinic, mails: list[Mail]) -> None:
    response = await clinic.client.post("/auth/forgot-password", json={"email": clinic.names["patient_email"]})
    assert response.status_code == 200
    [token] = [word for word in mails[-1].text.split() if len(word) == 43]
    clinic.names["reset_token"] = clinic.add_secret(token)
    for row in (await clinic.read_rows())["password_resets"]:
        clinic.add_secret(row["token_hash"])


def build_request(case: Case, clinic: Clinic) -> tuple[httpx2.Request, list[str]]:
    """Build the request of a case; also return its values, which no error may repeat."""
    headers = clinic.resolve(case.headers)
    pairs: list[tuple[bytes, bytes]] = []
    header_names = {name.lower() for name in headers}
    if (token := clinic.tokens.get(case.actor)) and "authorization" not in header_names:
        pairs.append((b"Authorization", b"Bearer " + token.encode()))
    pairs += [
        (name.encode(), value if isinstance(value, bytes) else str(value).encode("latin-1"))
        for name, values in headers.items()
        for value in as_list(values)
    ]
    content: Any = None
    sent = [headers, clinic.resolve(case.query), clinic.resolve(case.json), clinic.resolve(case.form)]
    if case.has_json:
        content = json.dumps(sent[2]).encode()
    elif case.body is not None:
        sent.append(clinic.resolve(case.body))
        content = sent[-1].encode() if isinstance(sent[-1], str) else sent[-1]
    if content is not None and "content-type" not in header_names:
        pairs.append((b"Content-Type", JSON.encode()))
    request = clinic.client.build_request(
        case.method, clinic.resolve(case.path), headers=pairs, params=sent[1], content=content, data=sent[3]
    )
    return request, list(list_sent_values(sent))


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Collecting the garbage of thousands of tests takes a second, which would count as time of one request."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.fixture
def read_outputs(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """A function that returns what was printed and logged since it was last called."""
    caplog.set_level("INFO")
    caplog.set_level("WARNING", "httpx2")  # the client of the attacks

    def read() -> list[str]:
        printed = capfd.readouterr()
        logged = caplog.text
        caplog.clear()
        return [printed.out, printed.err, logged]

    return read


@pytest.mark.parametrize("description", read_descriptions())
async def test_attacks_are_refused_and_change_nothing(
    target: Target, description: str, read_outputs: Callable[[], list[str]], request: pytest.FixtureRequest
) -> None:
    backend = request.node.callspec.params["target"]
    if backend == "postgresql" and description.partition(",")[0] in REFUSED_BEFORE_SQL:
        return
    failures = {}
    for case in expand(description):
        try:
            await attack(target, case, read_outputs)
        except Exception as error:  # noqa: BLE001 - the other cases are checked as well
            failures[case.id] = str(error) or repr(error)
    assert not failures, "\n\n".join(f"{name}\n{error}" for name, error in failures.items())


async def attack(target: Target, case: Case, read_outputs: Callable[[], list[str]]) -> None:
    clinic = target.clinic
    request, sent = build_request(case, clinic)
    target.statements.clear()
    with without_garbage_collection():
        began = process_time()
        response = await clinic.client.send(request)
        seconds = process_time() - began
    sent_statements = list(target.statements)
    try:
        check_response(case, response, sent)
        check_secrets(clinic, case.actor, response.text, str(response.headers), *read_outputs())
        assert len(sent_statements) <= MAX_STATEMENTS
        assert seconds < MAX_SECONDS
        if case.like_absent:
            await compare_with_absent(case, clinic, response)
    finally:
        # Reads change nothing, so rows are not compared after them. The fixture compares them once more at the end.
        rows = target.rows if all(map(_READS.match, target.statements)) else await clinic.read_rows()
        if rows != target.rows:
            await clinic.restore(target.rows)
    check_state(target.rows, rows, case.changes)


async def compare_with_absent(case: Case, clinic: Clinic, response: httpx2.Response) -> None:
    names = dict(clinic.names)
    try:
        clinic.names |= {name: names["absent"] for name in names if f"{{{name}}}" in case.path.partition("?")[0]}
        request, _ = build_request(case, clinic)
        absent = await clinic.client.send(request)
    finally:
        clinic.names = names
    for each in (response, absent):
        del each.headers["x-request-id"]
    assert (response.status_code, response.content, response.headers) == (
        absent.status_code, absent.content, absent.headers,
    )  # fmt: skip


def test_corpus_has_the_expected_number_of_cases() -> None:
    assert len(read_descriptions()) >= 250
    cases = Counter(case.id for description in read_descriptions() for case in expand(description))
    assert sum(cases.values()) >= 2500
    assert set(cases.values()) == {1}, [name for name, count in cases.items() if count > 1]
