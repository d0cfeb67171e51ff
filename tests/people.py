"""Users of the API, and helpers that read its responses."""

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
    """A user with an account and an access token."""

    client: httpx2.AsyncClient
    id: str
    email: str
    name: str
    token: str

    @classmethod
    async def register(cls, client: httpx2.AsyncClient, role: str, **fields: str) -> "Person":
        email = f"{role}{next(_numbers)}@example.com"
        body = {"email": email, "password": PASSWORD, "name": f"A {role}", "role": role} | fields
        response = await client.post("/auth/register", json=body)
        assert response.status_code == 201, response.text
        user = response.json()
        return cls(client, user["id"], body["email"], user["name"], await log_in(client, body["email"]))

    async def log_in_again(self) -> "Person":
        """Return the same user with a new session and token."""
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
        """Publish availability as a doctor."""
        body = {"start_time": start, "end_time": end} | ({"recurrence": recurrence} if recurrence else {})
        response = await self.post("/doctors/availability", body)
        assert response.status_code == 201, response.text
        availability: dict[str, Any] = response.json()
        return availability

    async def set_hours(self, **week: Any) -> dict[str, Any]:
        """Set the weekly hours of a doctor."""
        response = await self.put("/doctors/me/hours", week)
        assert response.status_code == 200, response.text
        changed: dict[str, Any] = response.json()
        return changed

    async def take_time_off(self, start: str, end: str, reason: str | None = None) -> dict[str, Any]:
        """Add time off as a doctor."""
        body = {"start_time": start, "end_time": end} | ({"reason": reason} if reason else {})
        response = await self.post("/doctors/me/time-off", body)
        assert response.status_code == 201, response.text
        time_off: dict[str, Any] = response.json()
        return time_off

    async def add_visit_type(self, **fields: Any) -> dict[str, Any]:
        """Add a visit type as a doctor. Without a name in ``fields``, a free one is chosen."""
        body = {"name": "Check-up", "duration_minutes": 30} | fields
        response = await self.post("/doctors/me/visit-types", body)
        if response.status_code == 409 and "name" not in fields:  # the default name is used already
            response = await self.post("/doctors/me/visit-types", body | {"name": f"Check-up {next(_numbers)}"})
        assert response.status_code == 201, response.text
        visit_type: dict[str, Any] = response.json()
        return visit_type

    async def update_profile(self, **fields: Any) -> dict[str, Any]:
        """Change the profile of a doctor."""
        response = await self.patch("/doctors/me", fields)
        assert response.status_code == 200, response.text
        changed: dict[str, Any] = response.json()
        return changed

    async def try_to_book(self, doctor: "Person", start: str, end: str | None = None, **fields: Any) -> httpx2.Response:
        """Send a booking as a patient, and return the response."""
        body = {"doctor_id": doctor.id, "start_time": start} | ({"end_time": end} if end else {}) | fields
        return await self.post("/appointments", body)

    async def book(self, doctor: "Person", start: str, end: str | None = None, **fields: Any) -> dict[str, Any]:
        """Book an appointment as a patient, and return it."""
        response = await self.try_to_book(doctor, start, end, **fields)
        assert response.status_code == 201, response.text
        appointment: dict[str, Any] = response.json()
        return appointment


async def log_in(client: httpx2.AsyncClient, email: str, password: str = PASSWORD) -> str:
    return (await get_tokens(client, email, password))["access_token"]


async def get_tokens(client: httpx2.AsyncClient, email: str, password: str = PASSWORD, **fields: str) -> dict[str, str]:
    """Log in, and return the tokens."""
    response = await client.post("/auth/login", data={"username": email, "password": password} | fields)
    assert response.status_code == 200, response.text
    tokens: dict[str, str] = response.json()
    return tokens


async def get_windows(client: httpx2.AsyncClient, doctor: Person, **query: str) -> list[tuple[str, str]]:
    """Return the starts and ends of the doctor's free windows, as the public sees them."""
    response = await client.get(f"/doctors/{doctor.id}/availability", params=query)
    assert response.status_code == 200, response.text
    return [(window["start_time"], window["end_time"]) for window in response.json()]


async def get_slots(
    caller: httpx2.AsyncClient | Person, doctor: Person, first: str, last: str, visit_type_id: str | None = None
) -> list[tuple[str, str, str]]:
    """Return the start, the end and the local start of each slot from ``first`` to ``last``."""
    query = {"from": first, "to": last} | ({"visit_type_id": visit_type_id} if visit_type_id else {})
    response = await caller.get(f"/doctors/{doctor.id}/slots", params=query)
    assert response.status_code == 200, response.text
    return [(slot["start_time"], slot["end_time"], slot["local_start"]) for slot in response.json()]


async def get_reasons(
    caller: httpx2.AsyncClient | Person, doctor: Person, start: str, visit_type_id: str | None = None
) -> list[str]:
    """Return the codes of the reasons why a visit cannot be booked."""
    query = {"start_time": start} | ({"visit_type_id": visit_type_id} if visit_type_id else {})
    response = await caller.get(f"/doctors/{doctor.id}/explain", params=query)
    assert response.status_code == 200, response.text
    explanation = response.json()
    codes = [reason["code"] for reason in explanation["reasons"]]
    assert explanation["bookable"] is not bool(codes)
    return codes


def next_page(response: httpx2.Response) -> str | None:
    """Return the URL of the next page from the ``Link`` header, or ``None`` on the last page."""
    url: str | None = response.links.get("next", {}).get("url")
    return url


def assert_problem(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Check that the response is this problem, and return its body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
    return body


async def make_admin(
    resources: Resources, client: httpx2.AsyncClient, now: datetime, email: str = "admin@example.com"
) -> Person:
    """Create an administrator with the service, as the command line does: it is not possible over HTTP."""
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
