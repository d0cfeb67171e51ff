"""What is stricter in production."""

import httpx2
import pytest

from app.adapters.mail import Mail
from app.core.settings import OWASP_MEMORY_KIB, OWASP_PASSES, Settings
from tests.databases import settings_for
from tests.people import Person, assert_problem


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(
        database_url,
        environment="production",
        secret_key="0123456789abcdef" * 2,
        password_memory_kib=OWASP_MEMORY_KIB,
        password_passes=OWASP_PASSES,
    )


@pytest.mark.parametrize("password", ["password1", "Doctor-2026!", "ANN LEE ", "ann@example.com"])
async def test_weak_password_is_refused_at_registration(client: httpx2.AsyncClient, password: str) -> None:
    body = {"email": "ann@example.com", "password": password, "name": "Ann Lee", "role": "patient"}
    refused = assert_problem(await client.post("/auth/register", json=body), 422, "invalid_request")
    assert [error["field"] for error in refused["errors"]] == ["password"]
    assert (await client.post("/auth/register", json=body | {"password": "correct horse battery"})).status_code == 201


async def test_weak_password_is_refused_at_a_reset(
    client: httpx2.AsyncClient, mails: list[Mail], patient: Person
) -> None:
    await client.post("/auth/forgot-password", json={"email": patient.email})
    token = mails[-1].text.split("\n\n")[1]
    body = {"token": token, "new_password": "password1"}
    refused = assert_problem(await client.post("/auth/reset-password", json=body), 422, "invalid_request")
    assert [error["field"] for error in refused["errors"]] == ["new_password"]
    # The token has not been used up.
    response = await client.post("/auth/reset-password", json=body | {"new_password": "another horse"})
    assert response.status_code == 204
