"""Requests that change an appointment."""

from typing import Any

import httpx2

from tests.people import Person


def path(appointment: dict[str, Any], action: str = "") -> str:
    return f"/appointments/{appointment['id']}{action and '/'}{action}"


async def act(
    person: Person, appointment: dict[str, Any], action: str, body: Any = None, **headers: str
) -> httpx2.Response:
    if body is None and action in {"reschedule", "cancel"}:
        body = {}
    return await person.client.post(path(appointment, action), headers=person.headers | headers, json=body)
