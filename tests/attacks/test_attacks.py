"""Every case of the corpus: refused, or answered as it should be; nothing changes and nothing is told."""

import gc
import json
import re
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
from tests.attacks.corpus import Case, as_list, described_cases
from tests.attacks.judge import MAX_SECONDS, MAX_STATEMENTS, judge_answer, judge_secrets, judge_state, leaves
from tests.attacks.world import SECRET_KEY, Builder, Rows, World
from tests.databases import both_databases, migrate, open_engine, settings_for, temporary_postgresql
from tests.statements import observing

JSON = "application/json"
REFUSED_BEFORE_SQL = {"http", "json", "passwords", "tokens"}
"""Themes whose cases are refused before the database is asked, or ask it the same way on both: SQLite is enough."""
_READS = re.compile(r"(SELECT|BEGIN)\b")


@dataclass
class Target:
    """A world, what is in it, and how many statements it takes."""

    world: World
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
        world = World(client, datetime(2026, 12, 1, 8, tzinfo=UTC), engine)
        resources: Resources = await stack.enter_async_context(open_resources(settings, lambda: world.now, deliver))
        app.state.resources = resources

        async def advance(by: timedelta) -> None:
            world.now += by

        await Builder(world, settings, advance).build(complete=True)
        await ask_for_reset(world, mails)
        statements: list[str] = []

        stack.enter_context(observing(lambda statement, _: statements.append(statement)))
        rows = await world.rows()
        yield Target(world, rows, statements)
        assert await world.rows() == rows


async def ask_for_reset(world: World, mails: list[Mail]) -> None:
    answer = await world.client.post("/auth/forgot-password", json={"email": world.names["patient_email"]})
    assert answer.status_code == 200
    [token] = [word for word in mails[-1].text.split() if len(word) == 43]
    world.names["reset_token"] = world.keep(token)
    for row in (await world.rows())["password_resets"]:
        world.keep(row["token_hash"])


def request_of(case: Case, world: World) -> tuple[httpx2.Request, list[str]]:
    """What the case sends, and the values in it that no error may repeat."""
    headers = world.resolve(case.headers)
    pairs: list[tuple[bytes, bytes]] = []
    named = {name.lower() for name in headers}
    if (token := world.tokens.get(case.actor)) and "authorization" not in named:
        pairs.append((b"Authorization", b"Bearer " + token.encode()))
    pairs += [
        (name.encode(), value if isinstance(value, bytes) else str(value).encode("latin-1"))
        for name, values in headers.items()
        for value in as_list(values)
    ]
    content: Any = None
    sent = [headers, world.resolve(case.query), world.resolve(case.json), world.resolve(case.form)]
    if case.has_json:
        content = json.dumps(sent[2]).encode()
    elif case.body is not None:
        sent.append(world.resolve(case.body))
        content = sent[-1].encode() if isinstance(sent[-1], str) else sent[-1]
    if content is not None and "content-type" not in named:
        pairs.append((b"Content-Type", JSON.encode()))
    request = world.client.build_request(
        case.method, world.resolve(case.path), headers=pairs, params=sent[1], content=content, data=sent[3]
    )
    return request, list(leaves(sent))


@contextmanager
def collecting_nothing() -> Iterator[None]:
    """To look for garbage in what thousands of tests have left takes a second of the processor, in any of them."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.fixture
def heard(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was printed and logged so far."""
    caplog.set_level("INFO")
    caplog.set_level("WARNING", "httpx2")  # it is the attacker's

    def listen() -> list[str]:
        printed = capfd.readouterr()
        logged = caplog.text
        caplog.clear()
        return [printed.out, printed.err, logged]

    return listen


@pytest.mark.parametrize("description", described_cases())
async def test_attacks_are_refused_and_change_nothing(
    target: Target, description: str, heard: Callable[[], list[str]], request: pytest.FixtureRequest
) -> None:
    backend = request.node.callspec.params["target"]
    if backend == "postgresql" and description.partition(",")[0] in REFUSED_BEFORE_SQL:
        return
    failures = {}
    for case in described_cases()[description]:
        try:
            await attack(target, case, heard)
        except Exception as error:  # noqa: BLE001 - the other cases are to be judged as well
            failures[case.id] = str(error) or repr(error)
    assert not failures, "\n\n".join(f"{name}\n{error}" for name, error in failures.items())


async def attack(target: Target, case: Case, heard: Callable[[], list[str]]) -> None:
    world = target.world
    request, sent = request_of(case, world)
    target.statements.clear()
    with collecting_nothing():
        began = process_time()
        answer = await world.client.send(request)
        seconds = process_time() - began
    asked = list(target.statements)
    try:
        judge_answer(case, answer, sent)
        judge_secrets(world, case.actor, answer.text, str(answer.headers), *heard())
        assert len(asked) <= MAX_STATEMENTS
        assert seconds < MAX_SECONDS
        if case.like_absent:
            await compare_with_absent(case, world, answer)
    finally:
        # Where nothing but reads were asked for, nothing can have changed; at the end it is looked at once more.
        rows = target.rows if all(map(_READS.match, target.statements)) else await world.rows()
        if rows != target.rows:
            await world.restore(target.rows)
    judge_state(target.rows, rows, case.changes)


async def compare_with_absent(case: Case, world: World, answer: httpx2.Response) -> None:
    names = dict(world.names)
    try:
        world.names |= {name: names["absent"] for name in names if f"{{{name}}}" in case.path.partition("?")[0]}
        request, _ = request_of(case, world)
        absent = await world.client.send(request)
    finally:
        world.names = names
    for each in (answer, absent):
        del each.headers["x-request-id"]
    assert (answer.status_code, answer.content, answer.headers) == (
        absent.status_code, absent.content, absent.headers,
    )  # fmt: skip


def test_corpus_has_the_expected_number_of_cases() -> None:
    assert len(described_cases()) >= 250
    assert sum(map(len, described_cases().values())) >= 2500
