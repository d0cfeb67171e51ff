"""Each operation is tried by each caller, on both databases."""

import re
from dataclasses import replace
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI

from app.core.dependencies import Resources
from tests.access.clinic import BOOKKEEPING, Clinic, State, make_clinic
from tests.access.requests import PREPARED, contents_of, prepare_request, target_of
from tests.access.table import CHANGES_NOTHING, COLUMNS, TABLE, Column
from tests.conftest import SetClock
from tests.openapi import list_documented_operations
from tests.people import assert_problem

_CHANGES_NO_ROW = re.compile(r"(SELECT|BEGIN)\b|INSERT INTO audit_events\b")


@pytest.fixture
async def clinic(app: FastAPI, client: httpx2.AsyncClient, clock: SetClock) -> Clinic:
    return await make_clinic(client, app.state.resources, clock)


def test_table_has_a_row_for_each_documented_operation(assembled: FastAPI) -> None:
    assert TABLE.keys() == list_documented_operations(assembled)


async def test_each_operation_answers_each_caller_as_the_table_says(
    app: FastAPI, client: httpx2.AsyncClient, clinic: Clinic, statements: list[str]
) -> None:
    resources: Resources = app.state.resources
    demanding = replace(resources, settings=resources.settings.model_copy(update={"require_second_factor": "staff"}))
    checked: set[tuple[str, Column]] = set()
    failures: list[str] = []
    for operation in sorted(list_documented_operations(app)):
        for column in COLUMNS:
            app.state.resources = demanding if column.startswith("bare") else resources
            try:
                await check(client, clinic, statements, operation, column)
            except AssertionError as error:
                failures.append(f"{operation} as {column}: {error}")
                await clinic.restore()
            checked.add((operation, column))
    assert not failures, "\n".join(failures)
    assert len(checked) == len(TABLE) * len(COLUMNS)
    assert await clinic.read_state() == clinic.state


async def check(
    client: httpx2.AsyncClient, clinic: Clinic, statements: list[str], operation: str, column: Column
) -> None:
    """The response is the one of the table, and rows change if and only if it is a success that changes something."""
    row = TABLE[operation]
    status, code = row.cell(column)
    caller = clinic.caller(column, row)
    options = await prepare_request(operation, clinic, caller)
    method, path = target_of(operation, clinic.ids)
    before = await clinic.read_state() if operation in PREPARED else clinic.state

    statements.clear()
    response = await client.request(method, path, headers=clinic.headers(column, caller), **options)

    # Rows are read only after a statement that can change them. The last assertion of the test checks this shortcut.
    after = before if all(map(_CHANGES_NO_ROW.match, statements)) else await clinic.read_state()
    if code is None:
        assert response.status_code == status, response.text
        changes = method != "GET" and operation not in CHANGES_NOTHING
        expected = "should have changed rows" if changes else "should have changed nothing"
        assert (without_bookkeeping(after) != without_bookkeeping(before)) == changes, f"{status}, but it {expected}"
    else:
        assert_problem(response, status, code)
        assert ("www-authenticate" in response.headers) == (status == 401)
        assert without_bookkeeping(after) == without_bookkeeping(before), "it was refused, but has changed rows"
    if status == 404:
        await check_absent(client, clinic, operation, column, response)
    if after != clinic.state:
        await clinic.restore()


def without_bookkeeping(state: State) -> State:
    return {table: rows for table, rows in state.items() if table not in BOOKKEEPING}


async def check_absent(
    client: httpx2.AsyncClient, clinic: Clinic, operation: str, column: Column, response: httpx2.Response
) -> None:
    """An object of others gets the same response as an object that does not exist."""
    unused_ids = {name: str(uuid4()) for name in clinic.ids} | {"valid_from": "2031-01-01"}  # a day, not an id
    method, path = target_of(operation, unused_ids)
    contents = contents_of(operation, unused_ids)
    headers = clinic.headers(column, clinic.caller(column, TABLE[operation]))
    absent = await client.request(method, path, headers=headers, **contents)
    for each in (absent, response):
        del each.headers["x-request-id"]
    assert (absent.status_code, absent.headers, absent.content) == (
        response.status_code,
        response.headers,
        response.content,
    )
