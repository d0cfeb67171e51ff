"""Everybody tries everything, on both databases."""

from dataclasses import replace
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI

from app.core.dependencies import Resources
from tests.access.requests import CONTENTS, PREPARED, fill, path_of
from tests.access.table import CHANGES_NOTHING, COLUMNS, TABLE, Column
from tests.access.world import BOOKKEEPING, State, World, make_world
from tests.conftest import SetClock
from tests.people import assert_problem

METHODS = {"get", "put", "post", "patch", "delete", "head", "options", "trace"}


def documented(app: FastAPI) -> set[str]:
    return {
        f"{method.upper()} {path}"
        for path, item in app.openapi()["paths"].items()
        for method in item
        if method in METHODS
    }


@pytest.fixture
async def world(app: FastAPI, client: httpx2.AsyncClient, clock: SetClock) -> World:
    return await make_world(client, app.state.resources, clock)


def test_the_rows_are_the_operations_of_the_description(assembled: FastAPI) -> None:
    assert TABLE.keys() == documented(assembled)


async def test_every_cell_of_the_matrix(app: FastAPI, client: httpx2.AsyncClient, world: World) -> None:
    resources: Resources = app.state.resources
    demanding = replace(resources, settings=resources.settings.model_copy(update={"require_second_factor": "staff"}))
    checked: set[tuple[str, Column]] = set()
    wrong: list[str] = []
    for operation in sorted(documented(app)):
        for column in COLUMNS:
            app.state.resources = demanding if column.startswith("bare") else resources
            try:
                await check(client, world, operation, column)
            except AssertionError as error:
                wrong.append(f"{operation} as {column}: {error}")
                await world.restore()
            checked.add((operation, column))
    assert not wrong, "\n".join(wrong)
    assert len(checked) == len(TABLE) * len(COLUMNS)


async def check(client: httpx2.AsyncClient, world: World, operation: str, column: Column) -> None:
    """The answer is the one of the table, and changes rows if it is a success, and none otherwise."""
    row = TABLE[operation]
    status, code = row.cell(column)
    caller = world.caller(column, row)
    options = await fill(operation, world, caller)
    method, path = path_of(operation, world.ids)
    before = await world.read() if operation in PREPARED else world.state

    answer = await client.request(method, path, headers=world.headers(column, caller), **options)

    after = await world.read()
    if code is None:
        assert answer.status_code == status, answer.text
        changes = method != "GET" and operation not in CHANGES_NOTHING
        assert (kept(after) != kept(before)) == changes, f"{answer.status_code}, and what is kept is not as expected"
    else:
        assert_problem(answer, status, code)
        assert ("www-authenticate" in answer.headers) == (status == 401)
        assert kept(after) == kept(before), "it was refused and has changed something"
    if status == 404:
        await check_absent(client, world, operation, column, answer)
    if after != world.state:
        await world.restore()


def kept(state: State) -> State:
    return {table: rows for table, rows in state.items() if table not in BOOKKEEPING}


async def check_absent(
    client: httpx2.AsyncClient, world: World, operation: str, column: Column, answer: httpx2.Response
) -> None:
    """What is not yours is answered as what is not there."""
    nowhere = {name: str(uuid4()) for name in world.ids} | {"valid_from": "2031-01-01"}  # a day, not an id
    method, path = path_of(operation, nowhere)
    contents = CONTENTS[operation](nowhere) if operation in CONTENTS else {}
    headers = world.headers(column, world.caller(column, TABLE[operation]))
    absent = await client.request(method, path, headers=headers, **contents)
    for each in (absent, answer):
        del each.headers["x-request-id"]
    assert (absent.status_code, absent.headers, absent.content) == (answer.status_code, answer.headers, answer.content)
