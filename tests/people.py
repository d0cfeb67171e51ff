"""People who use the API."""

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import Any

import httpx2

from app.core.dependencies import Resources
from app.core.permissions import Role
from app.services import accounts

PASSWORD = "correct horse battery"
_numbers = count(1)


@dataclass(frozen=True)
class Person:
    """Somebody with an account and a token."""

    client: httpx2.AsyncClient
    id: str
    email: str
    name: str
    token: str

    @classmethod
    async def register(cls, client: httpx2.AsyncClient, role: str, **fields: str) -> "Person":
        email = f"{role}{next(_numbers)}@example.com"
        body = {"email": email, "password": PASSWORD, "name": f"A {role}", "role": role} | fields
        answer = await client.post("/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        user = answer.json()
        return cls(client, user["id"], body["email"], user["name"], await log_in(client, body["email"]))

    async def log_in_again(self) -> "Person":
        """The same person after another log-in, when the token has ended."""
        return replace(self, token=await log_in(self.client, self.email))

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.client.get(path, headers=self.headers, **options)

    async def post(self, path: str, json: Any) -> httpx2.Response:
        return await self.client.post(path, headers=self.headers, json=json)

    async def put(self, path: str, json: Any) -> httpx2.Response:
        return await self.client.put(path, headers=self.headers, json=json)

    async def patch(self, path: str, json: Any) -> httpx2.Response:
        return await self.client.patch(path, headers=self.headers, json=json)

    async def delete(self, path: str) -> httpx2.Response:
        return await self.client.delete(path, headers=self.headers)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def publish(self, start: str, end: str, recurrence: str | None = None) -> dict[str, Any]:
        """As a doctor: publishes availability."""
        body = {"start_time": start, "end_time": end} | ({"recurrence": recurrence} if recurrence else {})
        answer = await self.post("/doctors/availability", body)
        assert answer.status_code == 201, answer.text
        availability: dict[str, Any] = answer.json()
        return availability

    async def set_hours(self, **week: Any) -> dict[str, Any]:
        """As a doctor: sets the weekly plan."""
        answer = await self.put("/doctors/me/hours", week)
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()
        return changed

    async def take_time_off(self, start: str, end: str, reason: str | None = None) -> dict[str, Any]:
        """As a doctor: takes time off."""
        body = {"start_time": start, "end_time": end} | ({"reason": reason} if reason else {})
        answer = await self.post("/doctors/me/time-off", body)
        assert answer.status_code == 201, answer.text
        taken: dict[str, Any] = answer.json()
        return taken

    async def add_visit_type(self, **fields: Any) -> dict[str, Any]:
        """As a doctor: offers a visit type."""
        wanted = {"name": "Check-up", "duration_minutes": 30} | fields
        answer = await self.post("/doctors/me/visit-types", wanted)
        if answer.status_code == 409 and "name" not in fields:  # one more of them
            answer = await self.post("/doctors/me/visit-types", wanted | {"name": f"Check-up {next(_numbers)}"})
        assert answer.status_code == 201, answer.text
        offered: dict[str, Any] = answer.json()
        return offered

    async def update_profile(self, **fields: Any) -> dict[str, Any]:
        """As a doctor: changes what she says of herself."""
        answer = await self.patch("/doctors/me", fields)
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()
        return changed

    async def try_to_book(self, doctor: "Person", start: str, end: str | None = None, **fields: Any) -> httpx2.Response:
        """As a patient: tries to book."""
        body = {"doctor_id": doctor.id, "start_time": start} | ({"end_time": end} if end else {}) | fields
        return await self.post("/appointments", body)

    async def book(self, doctor: "Person", start: str, end: str | None = None, **fields: Any) -> dict[str, Any]:
        """As a patient: books."""
        answer = await self.try_to_book(doctor, start, end, **fields)
        assert answer.status_code == 201, answer.text
        appointment: dict[str, Any] = answer.json()
        return appointment


async def log_in(client: httpx2.AsyncClient, email: str, password: str = PASSWORD) -> str:
    return (await get_tokens(client, email, password))["access_token"]


async def get_tokens(client: httpx2.AsyncClient, email: str, password: str = PASSWORD, **more: str) -> dict[str, str]:
    """What a log-in gives."""
    answer = await client.post("/auth/login", data={"username": email, "password": password} | more)
    assert answer.status_code == 200, answer.text
    granted: dict[str, str] = answer.json()
    return granted


async def get_windows(client: httpx2.AsyncClient, doctor: Person, **query: str) -> list[tuple[str, str]]:
    """The doctor's free windows, as everybody sees them."""
    answer = await client.get(f"/doctors/{doctor.id}/availability", params=query)
    assert answer.status_code == 200, answer.text
    return [(window["start_time"], window["end_time"]) for window in answer.json()]


async def get_slots(
    asker: httpx2.AsyncClient | Person, doctor: Person, first: str, last: str, visit_type_id: str | None = None
) -> list[tuple[str, str, str]]:
    """The start, the end and the start on the doctor's clock of what can be booked from ``first`` to ``last``."""
    query = {"from": first, "to": last} | ({"visit_type_id": visit_type_id} if visit_type_id else {})
    answer = await asker.get(f"/doctors/{doctor.id}/slots", params=query)
    assert answer.status_code == 200, answer.text
    return [(slot["start_time"], slot["end_time"], slot["local_start"]) for slot in answer.json()]


async def get_reasons(
    asker: httpx2.AsyncClient | Person, doctor: Person, start: str, visit_type_id: str | None = None
) -> list[str]:
    """The codes of all that speaks against a visit."""
    query = {"start_time": start} | ({"visit_type_id": visit_type_id} if visit_type_id else {})
    answer = await asker.get(f"/doctors/{doctor.id}/explain", params=query)
    assert answer.status_code == 200, answer.text
    explanation = answer.json()
    codes = [reason["code"] for reason in explanation["reasons"]]
    assert explanation["bookable"] is not bool(codes)
    return codes


def next_page(answer: httpx2.Response) -> str | None:
    """Where the ``Link`` header leads."""
    url: str | None = answer.links.get("next", {}).get("url")
    return url


def assert_problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The answer must be this problem; returns it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
    return body


async def make_admin(
    resources: Resources, client: httpx2.AsyncClient, now: datetime, email: str = "admin@example.com"
) -> Person:
    """As the command line makes one: never over HTTP."""
    async with resources.database.write() as transaction:
        user = await accounts.register(
            transaction,
            resources.passwords,
            email=email,
            password=PASSWORD,
            name="An administrator",
            role=Role.ADMIN,
            now=now,
            refuse_weak=False,
            confirmed=True,
        )
    return Person(client, str(user.id), user.email, user.name, await log_in(client, user.email))
