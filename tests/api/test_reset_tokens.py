"""Reset tokens end when the credentials change."""

from collections.abc import Awaitable, Callable

import httpx2

from app.adapters.mail import Mail
from tests.api.account_requests import set_up_second_factor
from tests.conftest import ConfirmEmail, Register, SetClock, read_token
from tests.people import PASSWORD, Person, assert_problem

NEW = "another horse battery"
REASON = {"reason": "A reason in a few words"}


async def request_token(client: httpx2.AsyncClient, person: Person, mails: list[Mail]) -> str:
    await client.post("/auth/forgot-password", json={"email": person.email})
    return read_token(mails[-1])


async def reset(client: httpx2.AsyncClient, token: str) -> httpx2.Response:
    return await client.post("/auth/reset-password", json={"token": token, "new_password": NEW})


async def change_password(patient: Person, _: Person) -> None:
    body = {"current_password": PASSWORD, "new_password": "a third horse battery"}
    assert (await patient.post("/auth/change-password", body)).status_code == 204


async def remove_second_factor(patient: Person, _: Person) -> None:
    assert (await patient.delete("/auth/second-factor")).status_code == 204


async def remove_lost_second_factor(patient: Person, admin: Person) -> None:
    response = await admin.delete(f"/admin/users/{patient.id}/second-factor")
    assert response.status_code == 204, response.text


async def end_sessions(patient: Person, admin: Person) -> None:
    response = await admin.delete(f"/admin/users/{patient.id}/sessions")
    assert response.status_code == 204, response.text


async def suspend_and_reinstate(patient: Person, admin: Person) -> None:
    for decision in ("suspend", "reinstate"):
        response = await admin.post(f"/admin/users/{patient.id}/{decision}", REASON)
        assert response.status_code == 200, response.text


async def erase(patient: Person, _: Person) -> None:
    assert (await patient.delete("/auth/me")).status_code == 204


async def test_change_of_credentials_ends_every_reset_token(
    client: httpx2.AsyncClient, register: Register, admin: Person, mails: list[Mail]
) -> None:
    changes: list[Callable[[Person, Person], Awaitable[None]]] = [
        change_password,
        remove_second_factor,
        remove_lost_second_factor,
        end_sessions,
        suspend_and_reinstate,
        erase,
    ]
    failures = []
    for change in changes:
        patient = await register()
        tokens = [await request_token(client, patient, mails) for _ in range(3)]
        await change(patient, admin)
        responses = [await reset(client, token) for token in tokens]
        if [response.json().get("code") for response in responses if response.content] != ["invalid_reset_token"] * 3:
            failures.append((change.__name__, [response.status_code for response in responses]))
    assert not failures


async def test_setup_of_a_second_factor_ends_every_reset_token(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail], clock: SetClock, confirm_email: ConfirmEmail
) -> None:
    await confirm_email(patient)
    token = await request_token(client, patient, mails)
    await set_up_second_factor(patient, clock)
    assert_problem(await reset(client, token), 422, "invalid_reset_token")


async def test_used_reset_token_ends_the_others(client: httpx2.AsyncClient, patient: Person, mails: list[Mail]) -> None:
    first, second = [await request_token(client, patient, mails) for _ in range(2)]
    assert (await reset(client, first)).status_code == 204
    assert_problem(await reset(client, second), 422, "invalid_reset_token")


async def test_second_reset_token_does_not_end_the_first(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail]
) -> None:
    """Otherwise anybody who knows the address could prevent a reset by its owner."""
    first = await request_token(client, patient, mails)
    await request_token(client, patient, mails)
    assert (await reset(client, first)).status_code == 204
