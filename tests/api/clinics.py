"""Requests about clinics and their members."""

from typing import Any

import httpx2

from tests.people import PASSWORD, Person, log_in

CLINIC = {"name": "Skin and More", "time_zone": "Europe/Berlin", "country": "DE"}
MANAGER = "manager@example.com"


async def make_clinic(maker: Person, **fields: str) -> dict[str, Any]:
    """Make a clinic as an administrator who names its first manager, or as a doctor."""
    response = await maker.post("/clinics", CLINIC | fields)
    assert response.status_code == 201, response.text
    clinic: dict[str, Any] = response.json()
    return clinic


async def invite(manager: Person, clinic_id: str, email: str, role: str, **fields: str | None) -> dict[str, Any]:
    body = {"email": email, "role": role, **fields}
    response = await manager.post(f"/clinics/{clinic_id}/invitations", body)
    assert response.status_code == 201, response.text
    sent: dict[str, Any] = response.json()
    return sent


async def accept_as_new(client: httpx2.AsyncClient, token: str, **fields: str) -> Person:
    """Accept an invitation with a new account, and log in."""
    body = {"token": token, "name": "Bea Moss", "password": PASSWORD, **fields}
    response = await client.post("/auth/accept-invitation", json=body)
    assert response.status_code == 201, response.text
    user = response.json()
    return Person(client, user["id"], user["email"], user["name"], await log_in(client, user["email"]))


async def accept_as(person: Person, token: str) -> httpx2.Response:
    """Accept an invitation with the account of a person."""
    return await person.post("/auth/accept-invitation", {"token": token})


async def join(manager: Person, clinic_id: str, person: Person, role: str, **fields: str | None) -> None:
    """Let a person join a clinic with their account."""
    sent = await invite(manager, clinic_id, person.email, role, **fields)
    response = await accept_as(person, sent["token"])
    assert response.status_code == 201, response.text


async def get_roles(person: Person) -> list[str]:
    """Return the roles of a person in the only clinic that they see."""
    response = await person.get("/clinics")
    assert response.status_code == 200, response.text
    return [role for clinic in response.json() for role in clinic["roles"]]
