"""What every answer to an attack has to be like."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2

from app.http.problems import MEDIA_TYPE, PROBLEMS
from tests.attacks.corpus import Case, Expected
from tests.attacks.world import Rows, World

MAX_STATEMENTS = 20
"""For one request, whatever it says."""
MAX_SECONDS = 1.0
"""Of the processor, for one request and its answer; those of the clock are more where others keep the machine busy."""
MIN_ECHO = 8
"""Characters; less may stand in a sentence by chance."""
_OF_THE_INSIDE = (
    "Traceback", 'File "', "sqlalchemy", "asyncpg", "sqlite3", "SQLSTATE", "pydantic", "SELECT ", "INSERT INTO",
    "UPDATE users", "DELETE FROM", "psycopg", "0x7f", "site-packages",
)  # fmt: skip
BOOKKEEPING = {
    "login_attempts": "an attempt counts, whoever makes it and however it ends",
    "offers": "a search writes down what it has found out; what they are made of is watched",
}
"""Tables that may change although nothing was allowed."""


def judge_answer(case: Case, answer: httpx2.Response, sent: list[str]) -> None:
    """Its status, shape and words."""
    said = f"{answer.status_code} {answer.text[:500]!r}"
    assert answer.status_code < 500, said
    assert answer.status_code in {each.status for each in case.expected}, said
    if case.method == "HEAD":
        assert not answer.content
    elif answer.status_code >= 400:
        judge_problem(answer, case.expected)
        for text in texts(answer):
            for value in sent:
                assert value not in text, f"echoes {value!r}"
    if case.equals is not None:
        assert answer.json() == case.equals, said
    for word in (*_OF_THE_INSIDE, *case.forbid):
        assert word not in answer.text, f"says {word!r}"


def judge_problem(answer: httpx2.Response, expected: tuple[Expected, ...]) -> None:
    assert answer.headers["content-type"] == MEDIA_TYPE
    body = answer.json()
    assert Expected(answer.status_code, body["code"]) in expected, body
    assert PROBLEMS[body["code"]] == (answer.status_code, body["detail"])
    assert body.keys() - {"errors"} == {"type", "title", "status", "detail", "code"}
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"] == "Bearer"


def judge_secrets(world: World, actor: str, *outputs: str) -> None:
    """None of what the actor must not know is in the outputs."""
    for secret, known_to in world.secrets.items():
        if actor not in known_to:
            assert not any(secret in output for output in outputs), f"tells {secret!r}"


def judge_state(before: Rows, after: Rows, may_change: frozenset[str]) -> None:
    for table, rows in after.items():
        if table not in may_change and table not in BOOKKEEPING:
            gone = [row for row in before[table] if row not in rows]
            come = [row for row in rows if row not in before[table]]
            assert not gone, f"{table}: {gone} became {come}"
            assert not come, f"{table}: {come} came"


def texts(answer: httpx2.Response) -> Iterator[str]:
    """The answer as it is, its headers, and the strings in it as they are meant."""
    yield answer.text
    yield from answer.headers.values()
    yield json.dumps(answer.json(), ensure_ascii=False)


def leaves(sent: Any) -> Iterator[str]:
    """The values in a request that are long enough to be noticed in the answer; of long ones how they begin."""
    match sent:
        case str():
            if len(sent) >= MIN_ECHO:
                yield sent[:40]
        case bytes():
            yield from leaves(sent[:40].decode("latin-1"))
        case dict():
            for each in sent.values():
                yield from leaves(each)
        case list():
            for each in sent[:50]:
                yield from leaves(each)
