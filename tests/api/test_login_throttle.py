"""Guessing passwords is slow from every network, and does not block the owner of the account."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import select, text

from app.adapters.mail import Mail
from app.core.dependencies import Resources
from app.db.database import Database
from app.jobs.cleanup import clean_up
from app.models import KnownDevice
from app.repositories import login_attempts
from app.services.login_throttle import FREE_ATTEMPTS, FREE_ATTEMPTS_OF_ALL
from tests.api.account_requests import guess
from tests.api.conftest import ConnectFrom
from tests.conftest import SetClock
from tests.people import PASSWORD, Person, assert_problem, log_in


async def guess_until_blocked(client: httpx2.AsyncClient, email: str) -> httpx2.Response:
    for _ in range(FREE_ATTEMPTS):
        assert_problem(await guess(client, email), 401, "invalid_credentials")
    return await guess(client, email)


@pytest.mark.parametrize("known", [True, False])
async def test_each_further_attempt_doubles_the_wait(
    client: httpx2.AsyncClient, patient: Person, clock: SetClock, known: bool
) -> None:
    email = patient.email if known else "nobody@example.com"
    response = await guess_until_blocked(client, email)
    for wait in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900):
        assert_problem(response, 429, "too_many_attempts")
        assert response.headers["retry-after"] == str(wait)
        clock.advance(seconds=wait - 0.5)
        assert_problem(await guess(client, email), 429, "too_many_attempts")
        clock.advance(seconds=0.5)
        assert_problem(await guess(client, email), 401, "invalid_credentials")
        response = await guess(client, email)


async def test_correct_password_has_to_wait_too(client: httpx2.AsyncClient, patient: Person, clock: SetClock) -> None:
    assert_problem(await guess_until_blocked(client, patient.email), 429, "too_many_attempts")
    assert_problem(await guess(client, patient.email, PASSWORD), 429, "too_many_attempts")
    clock.advance(seconds=1)
    assert await log_in(client, patient.email)
    assert_problem(await guess_until_blocked(client, patient.email), 429, "too_many_attempts")  # the count starts again


async def test_other_spellings_of_the_address_are_counted_together(client: httpx2.AsyncClient, patient: Person) -> None:
    await guess_until_blocked(client, patient.email)
    assert_problem(await guess(client, patient.email.upper()), 429, "too_many_attempts")
    assert_problem(await guess(client, patient.email.replace("a", "а")), 429, "too_many_attempts")


async def test_other_accounts_are_not_blocked(client: httpx2.AsyncClient, patient: Person, doctor: Person) -> None:
    await guess_until_blocked(client, patient.email)
    assert await log_in(client, doctor.email)


async def test_concurrent_guesses_are_all_counted(client: httpx2.AsyncClient, patient: Person) -> None:
    responses = await asyncio.gather(*(guess(client, patient.email) for _ in range(40)))
    statuses = [response.status_code for response in responses]
    assert statuses.count(401) == FREE_ATTEMPTS
    assert statuses.count(429) == 40 - FREE_ATTEMPTS


async def test_guesses_from_many_networks_are_counted_together(patient: Person, connect_from: ConnectFrom) -> None:
    for number in range(FREE_ATTEMPTS_OF_ALL):
        assert_problem(await guess(connect_from(f"203.0.113.{number}"), patient.email), 401, "invalid_credentials")
    assert_problem(await guess(connect_from("203.0.113.200"), patient.email), 429, "too_many_attempts")


async def test_addresses_of_one_ipv6_network_are_counted_together(patient: Person, connect_from: ConnectFrom) -> None:
    for number in range(FREE_ATTEMPTS):
        assert_problem(
            await guess(connect_from(f"2001:db8:1:2::{number:x}"), patient.email), 401, "invalid_credentials"
        )
    assert_problem(await guess(connect_from("2001:db8:1:2:ffff::1"), patient.email), 429, "too_many_attempts")
    assert_problem(await guess(connect_from("2001:db8:1:3::1"), patient.email), 401, "invalid_credentials")


async def guess_everywhere(connect_from: ConnectFrom, email: str) -> None:
    """Guess from many networks, until every unknown device has to wait."""
    for number in range(FREE_ATTEMPTS_OF_ALL + 1):
        await guess(connect_from(f"203.0.113.{number}"), email)


@pytest.fixture
async def owner(connect_from: ConnectFrom, patient: Person) -> httpx2.AsyncClient:
    """A device that the patient has logged in with."""
    device = connect_from("192.0.2.1")
    await log_in(device, patient.email)
    return device


async def test_known_device_is_not_blocked_by_guesses_of_others(
    patient: Person, owner: httpx2.AsyncClient, connect_from: ConnectFrom
) -> None:
    await guess_until_blocked(connect_from("192.0.2.1"), patient.email)
    assert await log_in(owner, patient.email)
    await guess_everywhere(connect_from, patient.email)
    assert_problem(await guess(connect_from("198.51.100.1"), patient.email, PASSWORD), 429, "too_many_attempts")
    assert await log_in(owner, patient.email)
    moved = connect_from("198.51.100.2")
    moved.cookies = owner.cookies
    assert await log_in(moved, patient.email)


async def test_device_is_known_for_ninety_days_after_its_last_log_in(
    patient: Person, owner: httpx2.AsyncClient, connect_from: ConnectFrom, clock: SetClock
) -> None:
    clock.advance(days=89)
    await log_in(owner, patient.email)
    clock.advance(days=89)
    await guess_everywhere(connect_from, patient.email)
    assert await log_in(owner, patient.email)
    clock.advance(days=91)
    await guess_everywhere(connect_from, patient.email)
    assert_problem(await guess(owner, patient.email, PASSWORD), 429, "too_many_attempts")


async def test_known_device_has_its_own_counter(
    patient: Person, owner: httpx2.AsyncClient, connect_from: ConnectFrom
) -> None:
    assert_problem(await guess_until_blocked(owner, patient.email), 429, "too_many_attempts")
    assert_problem(await guess(owner, patient.email, PASSWORD), 429, "too_many_attempts")
    assert await log_in(connect_from("198.51.100.1"), patient.email), (
        "guesses of a known device are not counted for other devices"
    )
    assert_problem(await guess(owner, patient.email, PASSWORD), 429, "too_many_attempts")


async def test_forged_device_cookie_is_not_accepted(
    patient: Person, doctor: Person, owner: httpx2.AsyncClient, connect_from: ConnectFrom
) -> None:
    await guess_everywhere(connect_from, patient.email)
    other = connect_from("198.51.100.1")
    await log_in(other, doctor.email)
    stranger = connect_from("198.51.100.2")
    form = {"username": patient.email, "password": PASSWORD}
    for cookie in ("", "x", "x.y", other.cookies["device"], f"{owner.cookies['device']}x", "\u00e9"):
        headers = {b"Cookie": f"device={cookie}".encode()}
        assert_problem(await stranger.post("/auth/login", data=form, headers=headers), 429, "too_many_attempts")
    assert await log_in(owner, patient.email), "the cookie of the device itself is accepted"


async def test_browser_can_be_known_for_two_accounts(
    patient: Person, doctor: Person, owner: httpx2.AsyncClient, connect_from: ConnectFrom
) -> None:
    cookie = owner.cookies["device"]
    await log_in(owner, doctor.email)
    assert owner.cookies["device"] == cookie
    for person in (patient, doctor):
        await guess_everywhere(connect_from, person.email)
        assert await log_in(owner, person.email)


async def test_device_cookie_is_http_only_and_same_site(client: httpx2.AsyncClient, patient: Person) -> None:
    response = await guess(client, patient.email, PASSWORD)
    [cookie] = [each for each in response.headers.get_list("set-cookie") if each.startswith("device=")]
    assert {part.strip().lower() for part in cookie.split(";")[1:]} >= {
        "httponly", "path=/", "samesite=strict", f"max-age={90 * 24 * 3600}",
    }  # fmt: skip
    assert "set-cookie" not in (await guess(client, patient.email)).headers


async def test_number_of_known_devices_is_bounded(
    patient: Person, connect_from: ConnectFrom, database: Database, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_attempts, "MAX_KNOWN_DEVICES", 3)
    devices = [connect_from("192.0.2.1") for _ in range(5)]
    for device in devices:
        clock.advance(seconds=1)
        await log_in(device, patient.email)
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM known_devices")) == 3
    await guess_everywhere(connect_from, patient.email)
    assert_problem(await guess(devices[1], patient.email, PASSWORD), 429, "too_many_attempts")
    assert await log_in(devices[2], patient.email)


async def test_log_ins_without_cookies_do_not_evict_a_browser(
    patient: Person,
    owner: httpx2.AsyncClient,
    connect_from: ConnectFrom,
    database: Database,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(login_attempts, "MAX_KNOWN_DEVICES", 3)
    await log_in(owner, patient.email)
    for _ in range(10):
        clock.advance(seconds=1)
        await log_in(connect_from("192.0.2.1"), patient.email)
    newest = connect_from("192.0.2.2")
    await log_in(newest, patient.email)
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM known_devices")) == 4
    await guess_everywhere(connect_from, patient.email)
    assert await log_in(owner, patient.email)
    assert await log_in(newest, patient.email)


async def test_concurrent_log_ins_evict_devices_without_deadlock(
    patient: Person, connect_from: ConnectFrom, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [connect_from("192.0.2.1") for _ in range(4)]
    for device in devices:
        await log_in(device, patient.email)
    monkeypatch.setattr(login_attempts, "MAX_KNOWN_DEVICES", 1)
    for _ in range(3):
        assert all(await asyncio.gather(*(log_in(device, patient.email) for device in devices)))


async def test_device_from_the_future_is_evicted_first(
    patient: Person, connect_from: ConnectFrom, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_attempts, "MAX_KNOWN_DEVICES", 1)
    clock.advance(days=365)
    await log_in(connect_from("192.0.2.1"), patient.email)
    clock.advance(days=-365)
    browser = connect_from("192.0.2.1")
    await log_in(browser, patient.email)
    await guess_everywhere(connect_from, patient.email)
    assert await log_in(browser, patient.email)


async def test_expired_devices_are_deleted_in_batches_oldest_first(
    patient: Person, connect_from: ConnectFrom, database: Database, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def known_since() -> list[timedelta]:
        async with database.read() as transaction:
            return [each - begin for each in await transaction.scalars(select(KnownDevice.last_at).order_by("last_at"))]

    begin = clock.time
    monkeypatch.setattr(login_attempts, "MAX_DELETED_DEVICES", 2)
    for _ in range(3):
        clock.advance(days=1)
        await log_in(connect_from("192.0.2.1"), patient.email)
    clock.advance(days=90)
    await clean_up(database, clock)
    assert await known_since() == [timedelta(days=2), timedelta(days=3)]
    await clean_up(database, clock)
    assert await known_since() == []


async def test_response_and_work_are_the_same_for_unknown_addresses(
    app: FastAPI,
    patient: Person,
    connect_from: ConnectFrom,
    statements: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resources: Resources = app.state.resources
    compared = 0
    matches = resources.passwords.matches

    async def counting(password: str, encoded: str | None) -> bool:
        nonlocal compared
        compared += 1
        return await matches(password, encoded)

    monkeypatch.setattr(resources.passwords, "matches", counting)
    for blocked in (False, True):
        outcomes, work = [], []
        for email in (patient.email, "nobody@example.com"):
            if blocked:
                await guess_everywhere(connect_from, email)
            stranger = connect_from("198.51.100.1")
            statements.clear()
            compared = 0
            response = await guess(stranger, email)
            outcomes.append((response.status_code, response.json(), response.headers.get("retry-after")))
            work.append((compared, list(statements)))
        assert outcomes[0] == outcomes[1]
        assert work[0] == work[1]
        assert work[0][0] == (0 if blocked else 1), "nothing is hashed while the client has to wait"


async def test_password_reset_makes_the_device_known(
    patient: Person, mails: list[Mail], connect_from: ConnectFrom
) -> None:
    for number in range(FREE_ATTEMPTS_OF_ALL + 1):
        await guess(connect_from(f"203.0.113.{number}"), patient.email)
    device = connect_from("198.51.100.1")
    await device.post("/auth/forgot-password", json={"email": patient.email})
    body = {"token": mails[-1].text.split("\n\n")[1], "new_password": "another horse"}
    assert (await device.post("/auth/reset-password", json=body)).status_code == 204
    await guess_everywhere(connect_from, patient.email)
    assert await log_in(device, patient.email, "another horse"), "the device that reset the password is known"


async def test_password_reset_clears_guesses_in_every_network(
    patient: Person, mails: list[Mail], connect_from: ConnectFrom
) -> None:
    """This matters for clients that send no cookies or reset the password in another network."""
    home, work = "198.51.100.1", "198.51.100.2"
    await guess_until_blocked(connect_from(work), patient.email)
    await connect_from(home).post("/auth/forgot-password", json={"email": patient.email})
    body = {"token": mails[-1].text.split("\n\n")[1], "new_password": "another horse"}
    assert (await connect_from(home).post("/auth/reset-password", json=body)).status_code == 204
    assert await log_in(connect_from(work), patient.email, "another horse")


async def test_password_change_forgets_the_other_devices(
    patient: Person, owner: httpx2.AsyncClient, connect_from: ConnectFrom
) -> None:
    """Otherwise a thief who has logged in could continue to guess on a known device."""
    own = replace(patient, client=connect_from("192.0.2.2"), token="")
    own = await own.log_in_again()
    body = {"current_password": PASSWORD, "new_password": "another horse"}
    assert (await own.post("/auth/change-password", body)).status_code == 204
    await guess_everywhere(connect_from, patient.email)
    assert_problem(await guess(owner, patient.email, "another horse"), 429, "too_many_attempts")
    assert await log_in(own.client, patient.email, "another horse")


async def test_guesses_of_the_current_password_are_throttled(patient: Person) -> None:
    body = {"current_password": "a wrong one", "new_password": "another horse"}
    for _ in range(FREE_ATTEMPTS):
        assert_problem(await patient.post("/auth/change-password", body), 422, "invalid_request")
    assert_problem(await patient.post("/auth/change-password", body), 429, "too_many_attempts")


async def test_guesses_are_forgotten_after_a_day(client: httpx2.AsyncClient, patient: Person, clock: SetClock) -> None:
    for _ in range(FREE_ATTEMPTS - 1):
        await guess(client, patient.email)
    clock.advance(days=1)
    assert_problem(await guess_until_blocked(client, patient.email), 429, "too_many_attempts")
