"""Sessions: refresh, expiry, log-out and the list of sessions."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

from app.adapters.mail import Mail
from app.core.settings import Settings
from app.db.database import Database
from app.jobs.cleanup import clean_up
from app.main import open_resources
from tests.api.account_requests import refresh
from tests.conftest import CountStatements, Register, SetClock
from tests.people import PASSWORD, Person, assert_problem, get_tokens, log_in


async def get_account(client: httpx2.AsyncClient, access_token: str) -> httpx2.Response:
    return await client.get("/auth/me", headers={"Authorization": f"Bearer {access_token}"})


async def test_refresh_token_continues_the_session(
    client: httpx2.AsyncClient, patient: Person, clock: SetClock
) -> None:
    granted = await get_tokens(client, patient.email)
    for _ in range(3):
        clock.advance(minutes=45)
        assert_problem(await get_account(client, granted["access_token"]), 401, "not_authenticated")
        response = await refresh(client, granted["refresh_token"])
        assert response.status_code == 200, response.text
        assert response.headers["cache-control"] == "no-store"
        assert response.json()["expires_in"] == 1800
        assert response.json()["refresh_token"] != granted["refresh_token"]
        granted = response.json()
        assert (await get_account(client, granted["access_token"])).json()["id"] == patient.id


async def test_reused_refresh_token_ends_the_session(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail], clock: SetClock
) -> None:
    stolen = await get_tokens(client, patient.email)
    renewed = (await refresh(client, stolen["refresh_token"])).json()
    clock.advance(seconds=10.5)
    assert_problem(await refresh(client, stolen["refresh_token"]), 401, "invalid_refresh_token")
    assert_problem(await refresh(client, renewed["refresh_token"]), 401, "invalid_refresh_token")
    assert_problem(await get_account(client, renewed["access_token"]), 401, "not_authenticated")
    assert (await patient.get("/auth/me")).status_code == 200, "the other session continues"
    assert [(mail.to, mail.subject) for mail in mails] == [(patient.email, "A session was ended")]


async def test_client_may_repeat_a_refresh_within_ten_seconds(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail], clock: SetClock
) -> None:
    granted = await get_tokens(client, patient.email)
    for _ in range(3):
        responses = await asyncio.gather(*(refresh(client, granted["refresh_token"]) for _ in range(4)))
        assert {response.status_code for response in responses} == {200}
        [renewed] = {response.json()["refresh_token"] for response in responses}
        for response in responses:
            assert (await get_account(client, response.json()["access_token"])).status_code == 200
        clock.advance(seconds=10)
        again = (await refresh(client, granted["refresh_token"])).json()
        assert again["refresh_token"] == renewed
        granted = again
    assert mails == []


@pytest.mark.parametrize(("address", "agent"), [("203.0.113.9", "A phone"), ("127.0.0.1", "A thief's phone")])
@pytest.mark.parametrize("thief_first", [True, False])
async def test_refresh_token_reused_by_another_client_ends_the_session_at_once(
    app: FastAPI,
    client: httpx2.AsyncClient,
    patient: Person,
    mails: list[Mail],
    address: str,
    agent: str,
    thief_first: bool,
) -> None:
    client.headers["User-Agent"] = "A phone"
    granted = await get_tokens(client, patient.email)
    transport = httpx2.ASGITransport(app, client=(address, 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as thief:
        thief.headers["User-Agent"] = agent
        first, second = (thief, client) if thief_first else (client, thief)
        renewed = (await refresh(first, granted["refresh_token"])).json()
        assert_problem(await refresh(second, granted["refresh_token"]), 401, "invalid_refresh_token")
        assert_problem(await refresh(first, renewed["refresh_token"]), 401, "invalid_refresh_token")
    assert_problem(await get_account(client, renewed["access_token"]), 401, "not_authenticated")
    assert [mail.subject for mail in mails] == ["A session was ended"]


async def test_next_refresh_token_cannot_be_computed_without_the_key(
    client: httpx2.AsyncClient, patient: Person
) -> None:
    granted = await get_tokens(client, patient.email)
    renewed = (await refresh(client, granted["refresh_token"])).json()["refresh_token"]
    assert len(renewed) == 64
    assert renewed != hashlib.sha256(granted["refresh_token"].encode()).hexdigest()
    assert renewed != hmac.digest(b"", granted["refresh_token"].encode(), "sha256").hex()


async def test_idle_session_ends(client: httpx2.AsyncClient, patient: Person, clock: SetClock) -> None:
    granted = await get_tokens(client, patient.email)
    clock.advance(minutes=60)
    assert_problem(await refresh(client, granted["refresh_token"]), 401, "invalid_refresh_token")
    assert (await (await patient.log_in_again()).get("/auth/sessions")).json()[1:] == []


async def test_session_ends_after_a_day(client: httpx2.AsyncClient, patient: Person, clock: SetClock) -> None:
    granted = await get_tokens(client, patient.email)
    for _ in range(31):
        clock.advance(minutes=46)
        granted = (await refresh(client, granted["refresh_token"])).json()
    clock.advance(minutes=9)  # 23:55 after the log-in
    granted = (await refresh(client, granted["refresh_token"])).json()
    assert granted["expires_in"] == 300
    clock.advance(minutes=5)
    assert_problem(await get_account(client, granted["access_token"]), 401, "not_authenticated")
    assert_problem(await refresh(client, granted["refresh_token"]), 401, "invalid_refresh_token")


async def test_forged_refresh_token_is_refused(client: httpx2.AsyncClient, patient: Person) -> None:
    for token in ("x", "x" * 43, "\u00e9", patient.token[:200]):
        assert_problem(await refresh(client, token), 401, "invalid_refresh_token")


async def test_refresh_token_is_not_an_access_token(client: httpx2.AsyncClient, patient: Person) -> None:
    granted = await get_tokens(client, patient.email)
    assert_problem(await get_account(client, granted["refresh_token"]), 401, "not_authenticated")


async def test_refresh_tokens_are_stored_hashed(
    client: httpx2.AsyncClient, patient: Person, database: Database
) -> None:
    granted = await get_tokens(client, patient.email)
    async with database.read() as transaction:
        hashes = (await transaction.execute(text("SELECT token_hash FROM refresh_tokens"))).scalars().all()
    assert len(hashes) == 2
    assert granted["refresh_token"] not in hashes


async def test_changed_secret_key_ends_all_sessions(
    app: FastAPI, client: httpx2.AsyncClient, patient: Person, settings: Settings, clock: SetClock
) -> None:
    granted = await get_tokens(client, patient.email)
    changed = settings.model_copy(update={"secret_key": SecretStr("another secret, which is long enough")})
    async with open_resources(changed, clock, None) as app.state.resources:
        assert_problem(await refresh(client, granted["refresh_token"]), 401, "invalid_refresh_token")
        assert_problem(await get_account(client, granted["access_token"]), 401, "not_authenticated")
        granted = await get_tokens(client, patient.email)
        assert (await refresh(client, granted["refresh_token"])).status_code == 200


async def test_log_out_ends_the_session(client: httpx2.AsyncClient, patient: Person) -> None:
    granted = await get_tokens(client, patient.email)
    other = Person(client, patient.id, patient.email, patient.name, granted["access_token"])
    response = await other.client.post("/auth/logout", headers=other.headers)
    assert response.status_code == 204
    assert_problem(await other.get("/auth/me"), 401, "not_authenticated")
    assert_problem(await refresh(client, granted["refresh_token"]), 401, "invalid_refresh_token")
    assert (await patient.get("/auth/me")).status_code == 200


async def test_ended_session_clears_the_site_data(client: httpx2.AsyncClient, register: Register) -> None:
    for method, path in (("POST", "/auth/logout"), ("DELETE", "/auth/sessions"), ("DELETE", "/auth/me")):
        patient = await register()
        response = await client.request(method, path, headers=patient.headers)
        assert response.status_code == 204
        assert response.headers["clear-site-data"] == '"cache", "storage"', path
        refused = await client.request(method, path, headers=patient.headers)
        assert "clear-site-data" not in refused.headers, path


async def test_sessions_are_listed_and_ended(client: httpx2.AsyncClient, patient: Person, clock: SetClock) -> None:
    clock.advance(minutes=1)
    response = await client.post(
        "/auth/login",
        data={"username": patient.email, "password": PASSWORD},
        headers={"User-Agent": "A phone\x07" * 99},
    )
    assert response.status_code == 200
    listed = (await patient.get("/auth/sessions")).json()
    assert [each["current"] for each in listed] == [False, True]
    assert listed[0] == {
        "id": listed[0]["id"],
        "created_at": "2026-12-01T08:01:00Z",
        "refreshed_at": "2026-12-01T08:01:00Z",
        "expires_at": "2026-12-01T09:01:00Z",
        "ends_at": "2026-12-02T08:01:00Z",
        "client_address": "127.0.0.1",
        "user_agent": ("A phone" * 99)[:200],
        "second_factor": False,
        "current": False,
    }
    assert (await patient.delete(f"/auth/sessions/{listed[0]['id']}")).status_code == 204
    assert_problem(await get_account(client, response.json()["access_token"]), 401, "not_authenticated")
    assert_problem(await patient.delete(f"/auth/sessions/{listed[0]['id']}"), 404, "not_found")
    assert len((await patient.get("/auth/sessions")).json()) == 1


async def test_session_of_another_account_cannot_be_ended(patient: Person, doctor: Person) -> None:
    [own] = (await doctor.get("/auth/sessions")).json()
    assert_problem(await patient.delete(f"/auth/sessions/{own['id']}"), 404, "not_found")
    assert (await patient.delete("/auth/sessions")).status_code == 204
    assert_problem(await patient.get("/auth/me"), 401, "not_authenticated")
    assert (await doctor.get("/auth/me")).status_code == 200


async def test_password_change_ends_the_other_sessions(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail]
) -> None:
    other = await get_tokens(client, patient.email)
    body = {"current_password": PASSWORD, "new_password": "another horse"}
    assert (await patient.post("/auth/change-password", body)).status_code == 204
    assert (await patient.get("/auth/me")).status_code == 200
    assert_problem(await get_account(client, other["access_token"]), 401, "not_authenticated")
    assert_problem(await refresh(client, other["refresh_token"]), 401, "invalid_refresh_token")
    assert await log_in(client, patient.email, "another horse")
    assert [(mail.to, mail.subject) for mail in mails] == [(patient.email, "Your password was changed")]


async def test_password_change_with_a_wrong_password_is_refused(client: httpx2.AsyncClient, patient: Person) -> None:
    body = {"current_password": "a wrong one", "new_password": "another horse"}
    refused = assert_problem(await patient.post("/auth/change-password", body), 422, "invalid_request")
    assert refused["errors"] == [{"field": "current_password", "message": "is not your password"}]
    assert await log_in(client, patient.email)


async def test_owner_is_notified_of_a_password_reset(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail]
) -> None:
    await client.post("/auth/forgot-password", json={"email": patient.email})
    token = mails[-1].text.split("\n\n")[1]
    body = {"token": token, "new_password": "another horse"}
    assert (await client.post("/auth/reset-password", json=body)).status_code == 204
    assert [mail.subject for mail in mails] == ["Choose a new password", "Your password was changed"]
    assert {mail.to for mail in mails} == {patient.email}


async def test_account_has_at_most_five_reset_tokens(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail], clock: SetClock
) -> None:
    for _ in range(8):
        assert (await client.post("/auth/forgot-password", json={"email": patient.email})).status_code == 200
    assert len(mails) == 5
    clock.advance(minutes=30)
    await client.post("/auth/forgot-password", json={"email": patient.email})
    assert len(mails) == 6


async def test_expired_sessions_tokens_and_attempts_are_deleted(
    client: httpx2.AsyncClient, patient: Person, doctor: Person, database: Database, clock: SetClock
) -> None:
    async def rows() -> dict[str, int]:
        tables = ("login_sessions", "refresh_tokens", "login_attempts", "known_devices")
        async with database.read() as transaction:
            return {table: await transaction.scalar(text(f"SELECT count(*) FROM {table}")) or 0 for table in tables}

    await client.post("/auth/login", data={"username": doctor.email, "password": "a wrong one"})
    clock.advance(days=89)
    await log_in(client, patient.email)
    await client.post("/auth/login", data={"username": patient.email, "password": "a wrong one"})
    assert await rows() == {"login_sessions": 3, "refresh_tokens": 3, "login_attempts": 4, "known_devices": 2}
    await clean_up(database, clock)
    assert await rows() == {"login_sessions": 1, "refresh_tokens": 1, "login_attempts": 2, "known_devices": 2}
    clock.advance(days=1)
    await clean_up(database, clock)
    assert await rows() == {"login_sessions": 0, "refresh_tokens": 0, "login_attempts": 0, "known_devices": 1}
    assert await log_in(client, patient.email)


class TestWithMoreExpensiveHashing:
    @pytest.fixture
    async def account_with_old_hash(
        self, app: FastAPI, patient: Person, settings: Settings, clock: SetClock
    ) -> AsyncIterator[Person]:
        """An account whose password was hashed with fewer passes."""
        changed = settings.model_copy(update={"password_passes": settings.password_passes + 1})
        async with open_resources(changed, clock, None) as app.state.resources:
            yield patient

    async def find_hash(self, database: Database, person: Person) -> str:
        async with database.read() as transaction:
            stored = await transaction.scalar(
                text("SELECT password_hash FROM users WHERE email = :email"), vars(person)
            )
        return str(stored)

    async def test_log_in_renews_the_hash_once(
        self,
        client: httpx2.AsyncClient,
        account_with_old_hash: Person,
        database: Database,
        count_statements: CountStatements,
    ) -> None:
        before = await self.find_hash(database, account_with_old_hash)
        response = await client.post(
            "/auth/login", data={"username": account_with_old_hash.email, "password": "a wrong one"}
        )
        assert_problem(response, 401, "invalid_credentials")
        assert await self.find_hash(database, account_with_old_hash) == before
        count_statements()
        await log_in(client, account_with_old_hash.email)
        renewing = count_statements()
        after = await self.find_hash(database, account_with_old_hash)
        assert (before.split("$")[3], after.split("$")[3]) == ("m=8,t=1,p=1", "m=8,t=2,p=1")
        count_statements()
        await log_in(client, account_with_old_hash.email)
        assert count_statements() == renewing - 1
        assert await self.find_hash(database, account_with_old_hash) == after

    async def test_concurrent_log_ins_all_renew_the_hash(
        self, client: httpx2.AsyncClient, account_with_old_hash: Person
    ) -> None:
        tokens = await asyncio.gather(*(log_in(client, account_with_old_hash.email) for _ in range(4)))
        for token in tokens:
            assert (await get_account(client, token)).status_code == 200


class TestWithSessionsOfOneHour:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"session_hours": 1, "session_idle_minutes": 60, "access_token_minutes": 60})

    async def test_access_token_ends_with_its_session(
        self, client: httpx2.AsyncClient, patient: Person, clock: SetClock
    ) -> None:
        granted = await get_tokens(client, patient.email)
        clock.advance(minutes=40)
        assert (await refresh(client, granted["refresh_token"])).json()["expires_in"] == 20 * 60
