"""HEAD requests, and slashes at the end of a path."""

from collections.abc import Iterator

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import text

from app.db.database import Database
from app.http.routes import list_routes
from tests.edge.conftest import Start, client_of
from tests.people import Person, assert_problem

CHANGING = {"x-request-id", "set-cookie", "date"}


def list_get_paths(app: FastAPI) -> Iterator[str]:
    for route in list_routes(app):
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
            yield route.path.replace(":uuid}", "}").replace("{", "").replace("}", "")


async def test_head_is_get_without_body_on_every_route(app: FastAPI, client: httpx2.AsyncClient) -> None:
    paths = sorted({*list_get_paths(app), "/docs/assets/swagger-ui.css", "/nothing", "/openapi.json"})
    assert len(paths) > 60
    for path in paths:
        client.cookies.clear()
        got = await client.get(path)
        client.cookies.clear()
        head = await client.head(path)
        assert head.status_code == got.status_code, path
        assert head.content == b""
        assert {name: value for name, value in head.headers.items() if name not in CHANGING} == {
            name: value for name, value in got.headers.items() if name not in CHANGING
        }
        assert int(head.headers.get("content-length", 0)) == len(got.content)


async def test_head_is_not_allowed_where_get_is_not(client: httpx2.AsyncClient) -> None:
    assert (await client.head("/auth/login")).headers["allow"] == "POST"
    response = await client.put("/appointments")
    assert assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD, POST"


async def test_head_request_is_recorded_in_the_audit_trail(client: httpx2.AsyncClient, database: Database) -> None:
    patient = await Person.register(client, "patient")
    assert (await client.head("/appointments", headers=patient.headers)).status_code == 200
    async with database.read() as transaction:
        recorded = await transaction.scalars(text("SELECT action FROM audit_events"))
        assert "list_appointments" in list(recorded)


async def test_trailing_slash_makes_no_difference_to_get(app: FastAPI, client: httpx2.AsyncClient) -> None:
    for path in sorted({*list_get_paths(app), "/openapi.json"} - {"/"}):
        without = await client.get(path)
        response = await client.get(f"{path}/")
        assert response.status_code == without.status_code, path
        assert response.headers.get("location") == without.headers.get("location")


async def test_trailing_slash_makes_no_difference_to_post_and_query(client: httpx2.AsyncClient) -> None:
    patient = await Person.register(client, "patient")
    assert (await client.post("/auth/forgot-password/", json={"email": patient.email})).status_code == 200
    assert (await client.get("/appointments/?limit=1", headers=patient.headers)).json() == []


@pytest.mark.parametrize("path", ["/doctors//", "//doctors", "//doctors/", "//", "/doctors%2F", "/doctors%2f/", "/%2F"])
async def test_paths_with_other_slashes_are_not_found(client: httpx2.AsyncClient, path: str) -> None:
    url = httpx2.URL(scheme="http", host="testserver", raw_path=path.encode())
    assert_problem(await client.request("GET", url), 404, "no_such_path")


async def test_trailing_slash_is_accepted_behind_a_root_path(start: Start) -> None:
    transport = httpx2.ASGITransport(await start(), root_path="/api")
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        assert (await client.get("/api/")).status_code == 200
        assert (await client.get("/api/livez/")).status_code == 200
        page = await client.get("/api/docs/")
        assert 'src="/api/docs/assets/swagger-ui-bundle.js"' in page.text
        assert '"url": "/api/openapi.json"' in page.text.replace("'", '"').replace("url:", '"url":')


async def test_trailing_slash_does_not_evade_the_rate_limit(start: Start) -> None:
    async with client_of(await start(rate_limit_login="1/day")) as client:
        await client.post("/auth/login/")
        assert_problem(await client.post("/auth/login"), 429, "too_many_requests")
