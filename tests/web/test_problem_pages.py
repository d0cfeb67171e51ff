"""Pages for server errors show the request id, by which the log can be searched."""

from unittest.mock import AsyncMock

import httpx2
import pytest

from app.core.errors import DomainError
from app.repositories import doctors


async def test_error_page_shows_the_request_id(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, status in ((RuntimeError("broken"), 500), (DomainError("busy"), 503)):
        monkeypatch.setattr(doctors, "list_specialties", AsyncMock(side_effect=error))
        response = await client.get("/")
        assert response.status_code == status
        assert f"<code>{response.headers['X-Request-ID']}</code>" in response.text, status


async def test_not_found_page_shows_no_request_id(client: httpx2.AsyncClient) -> None:
    response = await client.get("/no-such-page", headers={"Accept": "text/html"})
    assert response.headers["X-Request-ID"] not in response.text
