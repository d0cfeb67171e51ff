"""Checks of the response to an attack."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2

from app.http.problems import MEDIA_TYPE, PROBLEMS
from tests.attacks.clinic import Clinic, Rows
from tests.attacks.corpus import Case, Expected

MAX_STATEMENTS = 20
"""For any request."""
MAX_SECONDS = 1.0
"""Processor time of one request and its response; wall time depends on what else the machine does."""
MIN_ECHO = 8
"""Characters; a shorter text may be part of a sentence by chance."""
_INTERNALS = (
    "Traceback", 'File "', "sqlalchemy", "asyncpg", "sqlite3", "SQLSTATE", "pydantic", "SELECT ", "INSERT INTO",
    "UPDATE users", "DELETE FROM", "psycopg", "0x7f", "site-packages",
)  # fmt: skip
BOOKKEEPING = {
    "login_attempts": "every attempt is counted",
    "offers": "a search saves the bounds that it has computed; the tables that they depend on are checked",
}
"""Tables that may change although the request was refused."""


def check_response(case: Case, response: httpx2.Response, sent: list[str]) -> None:
    """Check the status, the shape and the words of the response."""
    description = f"{response.status_code} {response.text[:500]!r}"
    assert response.status_code < 500, description
    assert response.status_code in {each.status for each in case.expected}, description
    if case.method == "HEAD":
        assert not response.content
    elif response.status_code >= 400:
        check_problem(response, case.expected)
        for text in list_texts(response):
            for value in sent:
                assert value not in text, f"echoes {value!r}"
    if case.equals is not None:
        assert response.json() == case.equals, description
    for word in (*_INTERNALS, *case.forbid):
        assert word not in response.text, f"contains {word!r}"


def check_problem(response: httpx2.Response, expected: tuple[Expected, ...]) -> None:
    assert response.headers["content-type"] == MEDIA_TYPE
    body = response.json()
    assert Expected(response.status_code, body["code"]) in expected, body
    assert PROBLEMS[body["code"]] == (response.status_code, body["detail"])
    assert body.keys() - {"errors"} == {"type", "title", "status", "detail", "code"}
    if response.status_code == 401:
        assert response.headers["www-authenticate"] == "Bearer"


def check_secrets(clinic: Clinic, actor: str, *outputs: str) -> None:
    """The outputs contain no secret that the actor must not know."""
    for secret, known_to in clinic.secrets.items():
        if actor not in known_to:
            assert not any(secret in output for output in outputs), f"reveals {secret!r}"


def check_state(before: Rows, after: Rows, may_change: frozenset[str]) -> None:
    for table, rows in after.items():
        if table not in may_change and table not in BOOKKEEPING:
            deleted = [row for row in before[table] if row not in rows]
            inserted = [row for row in rows if row not in before[table]]
            assert not deleted, f"{table}: {deleted} became {inserted}"
            assert not inserted, f"{table}: {inserted} were inserted"


def list_texts(response: httpx2.Response) -> Iterator[str]:
    """Yield the response as it was sent, its headers, and its text without JSON escapes."""
    yield response.text
    yield from response.headers.values()
    yield json.dumps(response.json(), ensure_ascii=False)


def list_sent_values(sent: Any) -> Iterator[str]:
    """Yield the values of a request that are long enough to be recognised, shortened to 40 characters."""
    match sent:
        case str():
            if len(sent) >= MIN_ECHO:
                yield sent[:40]
        case bytes():
            yield from list_sent_values(sent[:40].decode("latin-1"))
        case dict():
            for each in sent.values():
                yield from list_sent_values(each)
        case list():
            for each in sent[:50]:
                yield from list_sent_values(each)
