"""Pages of server errors show the id under which the log has them."""

import httpx2
import pytest

from app.core.errors import DomainError
from app.repositories import doctors


@pytest.mark.parametrize(("fault", "status"), [(RuntimeError("broken"), 500), (DomainError("busy"), 503)])
async def test_a_fault_is_shown_with_its_request_id(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, fault: Exception, status: int
) -> None:
    async def fail(_session: object) -> None:
        raise fault

    monkeypatch.setattr(doctors, "list_specialties", fail)
    answer = await client.get("/")
    assert answer.status_code == status
    assert f"<code>{answer.headers['X-Request-ID']}</code>" in answer.text


async def test_a_page_that_is_not_there_has_no_request_id(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/no-such-page", headers={"Accept": "text/html"})
    assert answer.headers["X-Request-ID"] not in answer.text
