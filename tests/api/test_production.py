"""Stricter rules in production."""

import httpx2
import pytest

from app.adapters.mail import Mail
from app.core.settings import OWASP_MEMORY_KIB, OWASP_PASSES, Settings
from tests.conftest import read_token
from tests.databases import settings_for
from tests.people import PASSWORD, Person, assert_problem


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(
        database_url,
        environment="production",
        secret_key="0123456789abcdef" * 2,
        password_memory_kib=OWASP_MEMORY_KIB,
        password_passes=OWASP_PASSES,
    )


async def test_weak_password_is_refused_at_registration(client: httpx2.AsyncClient) -> None:
    body = {"email": "ann@example.com", "name": "Ann Lee", "role": "patient"}
    for password in ("password1", "Doctor-2026!", "ANN LEE ", "ann@example.com"):
        response = await client.post("/auth/register", json=body | {"password": password})
        refused = assert_problem(response, 422, "invalid_request")
        assert [error["field"] for error in refused["errors"]] == ["password"]
    assert (await client.post("/auth/register", json=body | {"password": PASSWORD})).status_code == 201


async def test_weak_password_is_refused_at_a_reset(
    client: httpx2.AsyncClient, mails: list[Mail], patient: Person
) -> None:
    await client.post("/auth/forgot-password", json={"email": patient.email})
    token = read_token(mails[-1])
    body = {"token": token, "new_password": "password1"}
    refused = assert_problem(await client.post("/auth/reset-password", json=body), 422, "invalid_request")
    assert [error["field"] for error in refused["errors"]] == ["new_password"]
    # A refused password does not use up the token.
    response = await client.post("/auth/reset-password", json=body | {"new_password": "another horse"})
    assert response.status_code == 204
