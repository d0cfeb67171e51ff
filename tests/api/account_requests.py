"""Requests about accounts: log-in, the second factor, sessions, confirmation of addresses, and invitations."""

from typing import Any

import httpx2
import pyotp

from tests.conftest import SetClock
from tests.people import PASSWORD, Person

GUEST = "guest@example.com"
STEP_SECONDS = 30


async def guess(client: httpx2.AsyncClient, email: str, password: str = "a wrong one") -> httpx2.Response:
    return await client.post("/auth/login", data={"username": email, "password": password})


async def set_up_second_factor(person: Person, clock: SetClock) -> tuple[pyotp.TOTP, list[str]]:
    response = await person.post("/auth/second-factor", None)
    assert response.status_code == 201, response.text
    enrolment = response.json()
    totp = pyotp.parse_uri(enrolment["provisioning_uri"])
    assert isinstance(totp, pyotp.TOTP)
    assert totp.secret == enrolment["secret"]
    assert totp.name == person.email
    response = await person.post("/auth/second-factor/confirm", {"otp": totp.at(clock.time)})
    assert response.status_code == 200, response.text
    clock.advance(seconds=STEP_SECONDS)  # the code of this step is used up
    return totp, response.json()["recovery_codes"]


async def log_in_with_code(client: httpx2.AsyncClient, person: Person, **otp: str) -> httpx2.Response:
    return await client.post("/auth/login", data={"username": person.email, "password": PASSWORD} | otp)


async def refresh(client: httpx2.AsyncClient, token: str) -> httpx2.Response:
    return await client.post("/auth/refresh", json={"refresh_token": token})


async def confirm_with_code(person: Person, token: str) -> httpx2.Response:
    return await person.post("/auth/confirm-email", {"token": token})


async def resend_confirmation(person: Person) -> httpx2.Response:
    return await person.post("/auth/resend-confirmation", None)


async def invite(admin: Person, email: str = GUEST, **fields: str) -> dict[str, Any]:
    response = await admin.post("/admin/invitations", {"email": email, **fields})
    assert response.status_code == 201, response.text
    sent: dict[str, Any] = response.json()
    return sent


async def accept_invitation(client: httpx2.AsyncClient, token: str, **fields: str) -> httpx2.Response:
    body = {"token": token, "name": "Dr Guest", "password": PASSWORD, "time_zone": "Europe/Berlin", **fields}
    return await client.post("/auth/accept-invitation", json=body)
