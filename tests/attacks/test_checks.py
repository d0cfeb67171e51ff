"""Controls: the checks fail for responses and changes that are not allowed."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import jwt
import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from uuid_utils.compat import uuid7

from app.core.security import AccessClaims, issue_access_token, read_access_token
from app.http.problems import MEDIA_TYPE, PROBLEMS
from tests.attacks.checks import check_response, check_secrets, check_state, list_sent_values
from tests.attacks.clinic import SECRET_KEY, Clinic
from tests.attacks.corpus import Case, Computed, Expected
from tests.attacks.makers import forge

CASE = Case("a case", "nobody", "GET", "/", (Expected(404, "not_found"), Expected(200, None)))
HEADERS = {"content-type": MEDIA_TYPE}


def problem(status: int = 404, code: str = "not_found", **more: Any) -> httpx2.Response:
    body = {"type": "about:blank", "title": "x", "status": status, "detail": PROBLEMS[code][1], "code": code} | more
    return httpx2.Response(status, headers=HEADERS, json=body)


def test_expected_response_is_accepted() -> None:
    check_response(CASE, problem(), ["hostile value"])
    check_response(CASE, httpx2.Response(200, json=[]), [])


@pytest.mark.parametrize(
    "response",
    [
        problem(500, "internal_error"),
        problem(503, "busy"),
        problem(404, "no_such_path"),
        problem(409, "slot_taken"),
        problem(detail="Another sentence."),
        problem(stack="x"),
        problem(errors=[{"field": "hostile value", "message": "x"}]),
        problem(errors=[{"field": "q", "message": "SELECT 1"}]),
        problem(errors=[{"field": "q", "message": "Traceback (most recent call last)"}]),
        httpx2.Response(404, json=json.loads(problem().text)),
        httpx2.Response(404, headers=HEADERS | {"x-echo": "hostile value"}, json=json.loads(problem().text)),
        httpx2.Response(200, text="forbidden"),
        httpx2.Response(204),
    ],
    ids=lambda response: f"{response.status_code} {response.text} {sorted(response.headers)}",
)
def test_unexpected_response_fails(response: httpx2.Response) -> None:
    case = replace(CASE, forbid=("forbidden",))
    with pytest.raises(AssertionError):
        check_response(case, response, ["hostile value"])


def test_response_whose_body_differs_from_the_required_one_fails() -> None:
    with pytest.raises(AssertionError):
        check_response(replace(CASE, equals=[]), httpx2.Response(200, json=[1]), [])


def test_secret_in_the_response_or_in_the_log_fails() -> None:
    clinic = Clinic(httpx2.AsyncClient(), datetime(2026, 12, 1, tzinfo=UTC), create_async_engine("sqlite+aiosqlite://"))
    clinic.add_secret("a secret", "owner")
    check_secrets(clinic, "nobody", "nothing", "nothing")
    check_secrets(clinic, "owner", "a secret", "nothing")
    with pytest.raises(AssertionError):
        check_secrets(clinic, "nobody", "a secret", "nothing")
    with pytest.raises(AssertionError):
        check_secrets(clinic, "nobody", "nothing", "reveals a secret")


@pytest.mark.parametrize("after", [[], [{"id": 2}], [{"id": 1}, {"id": 2}]])
def test_inserted_deleted_or_changed_row_fails(after: list[dict[str, int]]) -> None:
    check_state({"users": [{"id": 1}]}, {"users": [{"id": 1}]}, frozenset())
    check_state({"login_attempts": [{"id": 1}]}, {"login_attempts": after}, frozenset())
    check_state({"password_resets": [{"id": 1}]}, {"password_resets": after}, frozenset({"password_resets"}))
    with pytest.raises(AssertionError):
        check_state({"users": [{"id": 1}]}, {"users": after}, frozenset({"password_resets"}))


def test_sent_values_are_collected_from_all_levels() -> None:
    sent = {"a": "short", "b": ["a long value", {"c": b"some bytes"}], "d": 1, "e": "x" * 100}
    assert list(list_sent_values(sent)) == ["a long value", "some bytes", "x" * 40]


def test_forged_token_without_changes_is_valid() -> None:
    """Otherwise the forged tokens would be refused for a reason other than their changes."""
    now, lifetime = datetime(2026, 12, 1, tzinfo=UTC), timedelta(minutes=30)
    claims = AccessClaims(uuid7(), uuid7())
    token = issue_access_token(claims, key=SECRET_KEY, now=now, lifetime=lifetime)
    decoded = jwt.decode(token, options={"verify_signature": False})
    forged = forge(decoded, SECRET_KEY, now, {"as": "*"})
    assert read_access_token(forged, key=SECRET_KEY, now=now, lifetime=lifetime) == claims
    without = forge(decoded, SECRET_KEY, now, {"as": "*", "claims": {"exp": Computed("absent", ""), "iat": "now-60"}})
    assert jwt.decode(without, options={"verify_signature": False}).keys() == decoded.keys() - {"exp"}
