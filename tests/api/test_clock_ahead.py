"""What was noted while the clock was ahead lasts no longer than its rule when the clock is right again."""

from datetime import timedelta

import httpx2

from app.adapters.mail import Mail
from app.services.guessing import FREE_ATTEMPTS
from tests.api.test_guessing import guess
from tests.api.test_sessions import refresh
from tests.conftest import Join, SetClock
from tests.people import Person, grant, log_in, problem
from tests.web.conftest import Forms

YEAR = timedelta(days=365)
SLOT = "2027-12-08T10:00:00Z"


async def test_a_block_does_not_last_for_a_year(client: httpx2.AsyncClient, patient: Person, clock: SetClock) -> None:
    clock.time += YEAR
    for _ in range(FREE_ATTEMPTS + 10):
        await guess(client, patient.email)
        clock.advance(minutes=15)
    problem(await guess_until_refused(client, patient.email), 429, "too_many_attempts")
    clock.time -= YEAR
    answer = await guess_until_refused(client, patient.email)
    assert int(answer.headers["retry-after"]) <= 15 * 60
    clock.advance(minutes=15)
    assert await log_in(client, patient.email)


async def guess_until_refused(client: httpx2.AsyncClient, email: str) -> httpx2.Response:
    while (answer := await guess(client, email)).status_code != 429:
        pass
    return answer


async def test_a_session_does_not_last_for_a_year(client: httpx2.AsyncClient, patient: Person, clock: SetClock) -> None:
    clock.time += YEAR
    granted = await grant(client, patient.email)
    await Forms(client).sign_in(patient)
    assert (await client.get("/my/account")).status_code == 200
    clock.time -= YEAR
    problem(await refresh(client, granted["refresh_token"]), 401, "invalid_refresh_token")
    asked = await client.get("/my/account")
    assert asked.headers["location"].startswith("/sign-in")


async def test_a_log_in_is_not_fresh_for_a_year(client: httpx2.AsyncClient, patient: Person, clock: SetClock) -> None:
    """An access token of the future is refused; one that was refreshed since tells of the same log-in."""
    clock.time += timedelta(seconds=31)
    granted = await grant(client, patient.email)
    clock.time -= timedelta(seconds=10)
    renewed = (await refresh(client, granted["refresh_token"])).json()
    clock.time -= timedelta(seconds=21)
    headers = {"Authorization": f"Bearer {renewed['access_token']}"}
    problem(await client.get("/auth/me/export", headers=headers), 403, "log_in_again")


async def test_a_reset_token_does_not_last_for_a_year(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail], clock: SetClock
) -> None:
    clock.time += YEAR
    for _ in range(5):
        await client.post("/auth/forgot-password", json={"email": patient.email})
    clock.time -= YEAR
    body = {"token": mails[-1].text.split("\n\n")[1], "new_password": "another horse battery"}
    problem(await client.post("/auth/reset-password", json=body), 422, "invalid_reset_token")
    await client.post("/auth/forgot-password", json={"email": patient.email})
    assert len(mails) == 6, "those that cannot be used are in the way of no other"
    body["token"] = mails[-1].text.split("\n\n")[1]
    assert (await client.post("/auth/reset-password", json=body)).status_code == 204


async def test_a_hold_does_not_keep_others_out_for_a_year(
    doctor: Person, patient: Person, join: Join, clock: SetClock
) -> None:
    await doctor.open("2027-12-08T09:00:00Z", "2027-12-08T12:00:00Z")
    other = await join("patient")
    clock.time += YEAR
    patient = await patient.again()
    body = {"doctor_id": doctor.id, "start_time": SLOT}
    assert (await patient.post("/holds", body)).status_code == 201
    clock.time -= YEAR
    listed = await other.get(f"/doctors/{doctor.id}/slots", params={"from": SLOT, "to": "2027-12-08T11:00:00Z"})
    assert SLOT in {slot["start_time"] for slot in listed.json()}
    assert (await other.book(doctor, SLOT))["start_time"] == SLOT


async def test_a_key_is_not_taken_for_a_year(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, clock: SetClock
) -> None:
    await doctor.open("2027-12-08T09:00:00Z", "2027-12-08T12:00:00Z")
    clock.time += timedelta(days=30)
    patient = await patient.again()
    headers = patient.headers | {"Idempotency-Key": "a-key"}
    first = {"doctor_id": doctor.id, "start_time": SLOT}
    assert (await client.post("/appointments", json=first, headers=headers)).status_code == 201
    clock.time -= timedelta(days=30)
    patient = await patient.again()
    headers = patient.headers | {"Idempotency-Key": "a-key"}
    second = first | {"start_time": "2027-12-08T11:00:00Z"}
    assert (await client.post("/appointments", json=second, headers=headers)).status_code == 201
