"""Security headers, and the files of the documentation page."""

import base64
import hashlib
import re

import httpx2
import pytest
from fastapi import FastAPI

from app.core.dependencies import Resources
from app.edge.access_log import DEFAULT_HEADERS
from tests.edge.conftest import Start, client_of
from tests.people import assert_problem

REQUESTS = [
    ("GET", "/doctors", 200),
    ("GET", "/livez", 200),
    ("GET", "/docs/assets", 404),
    ("GET", "/auth/me", 401),
    ("GET", "/nothing", 404),
    ("PUT", "/doctors", 405),
    ("POST", "/auth/register", 422),
    ("GET", "/docs/assets/nothing.js", 404),
    ("GET", "/openapi.json", 200),
]


@pytest.mark.parametrize(("method", "path", "status"), REQUESTS)
async def test_every_response_has_each_security_header_once(
    client: httpx2.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await client.request(method, path)
    assert response.status_code == status
    assert [response.headers.get_list(name) for name in DEFAULT_HEADERS] == [
        [value] for value in DEFAULT_HEADERS.values()
    ]
    assert "strict-transport-security" not in response.headers


async def test_internal_error_has_the_security_headers(app: FastAPI, client: httpx2.AsyncClient) -> None:
    resources: Resources = app.state.resources
    object.__setattr__(resources, "clock", None)
    response = await client.post("/auth/forgot-password", json={"email": "ann@example.com"})
    assert response.status_code == 500
    assert [response.headers.get_list(name) for name in DEFAULT_HEADERS] == [
        [value] for value in DEFAULT_HEADERS.values()
    ]
    assert "x-request-id" in response.headers


async def test_production_sends_strict_transport_security(start: Start) -> None:
    app = await start(
        environment="production", secret_key="0123456789abcdef" * 2, password_memory_kib=19456, password_passes=2
    )
    async with client_of(app) as client:
        for path in ("/livez", "/nothing"):
            response = await client.get(path)
            assert response.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


@pytest.mark.parametrize("path", ["/docs/assets", "/docs/assets/"])
async def test_assets_of_the_documentation_are_not_listed(client: httpx2.AsyncClient, path: str) -> None:
    assert_problem(await client.get(path), 404, "no_such_path")


async def test_assets_of_the_documentation_can_be_cached(client: httpx2.AsyncClient) -> None:
    response = await client.get("/docs/assets/swagger-ui.css")
    assert response.headers["cache-control"] == "no-cache"
    again = await client.get("/docs/assets/swagger-ui.css", headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_documentation_page_allows_only_its_own_scripts(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    [policy] = page.headers.get_list("content-security-policy")
    rules = dict(rule.partition(" ")[::2] for rule in policy.split("; "))
    [script] = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert rules["script-src"] == f"'self' 'sha256-{digest}'"
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == "'self'"
    assert "http" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert '"persistAuthorization": false' in page.text
