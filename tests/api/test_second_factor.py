"""The second factor."""

from datetime import timedelta

import httpx2
import pyotp
import pytest
from sqlalchemy import text

from app.adapters.mail import Mail
from app.core.settings import Settings
from app.db.database import Database
from tests.api.account_requests import STEP_SECONDS, log_in_with_code, set_up_second_factor
from tests.conftest import ConfirmEmail, SetClock
from tests.people import PASSWORD, Person, assert_problem, get_tokens


@pytest.fixture
async def patient(patient: Person, confirm_email: ConfirmEmail) -> Person:
    return await confirm_email(patient)


@pytest.fixture
async def doctor(doctor: Person, confirm_email: ConfirmEmail) -> Person:
    return await confirm_email(doctor)


async def test_log_in_requires_a_code(client: httpx2.AsyncClient, patient: Person, clock: SetClock) -> None:
    assert (await patient.get("/auth/second-factor")).json() == {"enabled": False, "recovery_codes_left": 0}
    totp, _ = await set_up_second_factor(patient, clock)
    assert (await patient.get("/auth/second-factor")).json() == {"enabled": True, "recovery_codes_left": 10}
    response = await log_in_with_code(client, patient)
    assert_problem(response, 401, "second_factor_required")
    assert_problem(await log_in_with_code(client, patient, otp="000000"), 401, "invalid_second_factor")
    assert (await log_in_with_code(client, patient, otp=totp.at(clock.time))).status_code == 200
    [current, *_] = (await patient.get("/auth/sessions")).json()
    assert current["second_factor"]


async def test_code_works_once(client: httpx2.AsyncClient, patient: Person, clock: SetClock) -> None:
    totp, _ = await set_up_second_factor(patient, clock)
    code = totp.at(clock.time)
    assert (await log_in_with_code(client, patient, otp=code)).status_code == 200
    assert_problem(await log_in_with_code(client, patient, otp=code), 401, "invalid_second_factor")
    clock.advance(seconds=STEP_SECONDS)
    assert_problem(await log_in_with_code(client, patient, otp=code), 401, "invalid_second_factor")
    assert (await log_in_with_code(client, patient, otp=totp.at(clock.time))).status_code == 200


async def test_code_of_the_previous_or_next_step_is_accepted(
    client: httpx2.AsyncClient, patient: Person, clock: SetClock
) -> None:
    totp, _ = await set_up_second_factor(patient, clock)
    for steps, status in ((-2, 401), (-1, 200), (0, 200), (1, 200), (2, 401)):
        clock.advance(minutes=5)
        code = totp.at(clock.time + timedelta(seconds=STEP_SECONDS * steps))
        assert (await log_in_with_code(client, patient, otp=code)).status_code == status, steps


async def test_recovery_code_works_once(client: httpx2.AsyncClient, patient: Person, clock: SetClock) -> None:
    _, codes = await set_up_second_factor(patient, clock)
    assert len(set(codes)) == 10
    assert (await log_in_with_code(client, patient, otp=codes[0])).status_code == 200
    assert_problem(await log_in_with_code(client, patient, otp=codes[0]), 401, "invalid_second_factor")
    assert (await log_in_with_code(client, patient, otp=codes[1].replace("-", "").lower())).status_code == 200
    assert (await patient.get("/auth/second-factor")).json()["recovery_codes_left"] == 8


async def test_recovery_code_of_another_account_is_refused(
    client: httpx2.AsyncClient, patient: Person, doctor: Person, clock: SetClock
) -> None:
    _, codes = await set_up_second_factor(patient, clock)
    await set_up_second_factor(doctor, clock)
    assert_problem(await log_in_with_code(client, doctor, otp=codes[0]), 401, "invalid_second_factor")
    assert (await log_in_with_code(client, patient, otp=codes[0])).status_code == 200


async def test_new_recovery_codes_replace_the_old_ones(
    client: httpx2.AsyncClient, patient: Person, clock: SetClock
) -> None:
    assert_problem(await patient.post("/auth/second-factor/recovery-codes", None), 404, "not_found")
    _, old = await set_up_second_factor(patient, clock)
    new = (await patient.post("/auth/second-factor/recovery-codes", None)).json()["recovery_codes"]
    assert_problem(await log_in_with_code(client, patient, otp=old[0]), 401, "invalid_second_factor")
    assert (await log_in_with_code(client, patient, otp=new[0])).status_code == 200


async def test_owner_is_notified_of_every_change(
    client: httpx2.AsyncClient, patient: Person, clock: SetClock, mails: list[Mail]
) -> None:
    assert (await patient.delete("/auth/second-factor")).status_code == 204
    await patient.post("/auth/second-factor", None)
    await patient.post("/auth/second-factor/confirm", {"otp": "000000"})
    assert mails == [], "nothing has changed"
    totp, _ = await set_up_second_factor(patient, clock)
    await log_in_with_code(client, patient, otp=totp.at(clock.time))
    [code, *_] = (await patient.post("/auth/second-factor/recovery-codes", None)).json()["recovery_codes"]
    await log_in_with_code(client, patient, otp=code)
    await log_in_with_code(client, patient, otp=code)
    await patient.delete("/auth/second-factor")
    assert [mail.subject for mail in mails] == [
        "A second factor was set up",
        "Your recovery codes were renewed",
        "A recovery code was used",
        "Your second factor was removed",
    ]
    assert {mail.to for mail in mails} == {patient.email}
    assert not any(code in mail.text for mail in mails)


async def test_password_reset_does_not_bypass_the_second_factor(
    client: httpx2.AsyncClient, patient: Person, clock: SetClock, mails: list[Mail]
) -> None:
    totp, _ = await set_up_second_factor(patient, clock)
    await client.post("/auth/forgot-password", json={"email": patient.email})
    body = {"token": mails[-1].text.split("\n\n")[1], "new_password": PASSWORD}
    assert (await client.post("/auth/reset-password", json=body)).status_code == 204
    assert_problem(await log_in_with_code(client, patient), 401, "second_factor_required")
    assert (await log_in_with_code(client, patient, otp=totp.at(clock.time))).status_code == 200


async def test_wrong_codes_are_throttled(client: httpx2.AsyncClient, patient: Person, clock: SetClock) -> None:
    await set_up_second_factor(patient, clock)
    for _ in range(10):
        assert_problem(await log_in_with_code(client, patient, otp="000000"), 401, "invalid_second_factor")
    assert_problem(await log_in_with_code(client, patient, otp="000000"), 429, "too_many_attempts")


async def test_wrong_password_does_not_reveal_the_second_factor(
    client: httpx2.AsyncClient, patient: Person, clock: SetClock
) -> None:
    totp, _ = await set_up_second_factor(patient, clock)
    form = {"username": patient.email, "password": "a wrong one"}
    assert_problem(await client.post("/auth/login", data=form), 401, "invalid_credentials")
    assert_problem(
        await client.post("/auth/login", data=form | {"otp": totp.at(clock.time)}), 401, "invalid_credentials"
    )


async def test_confirmation_ends_the_other_sessions(patient: Person, clock: SetClock) -> None:
    other = await patient.log_in_again()
    await set_up_second_factor(patient, clock)
    assert_problem(await other.get("/auth/me"), 401, "not_authenticated")
    assert (await patient.get("/auth/me")).status_code == 200


async def test_unconfirmed_second_factor_changes_nothing(
    client: httpx2.AsyncClient, patient: Person, clock: SetClock
) -> None:
    assert_problem(await patient.post("/auth/second-factor/confirm", {"otp": "000000"}), 404, "not_found")
    first = (await patient.post("/auth/second-factor", None)).json()["secret"]
    second = (await patient.post("/auth/second-factor", None)).json()["secret"]
    assert (await log_in_with_code(client, patient)).status_code == 200
    for code in ("000000", pyotp.TOTP(first).at(clock.time)):
        refused = assert_problem(
            await patient.post("/auth/second-factor/confirm", {"otp": code}), 422, "invalid_request"
        )
        assert refused["errors"][0]["field"] == "otp"
    code = pyotp.TOTP(second).at(clock.time)
    assert (await patient.post("/auth/second-factor/confirm", {"otp": code})).status_code == 200
    assert_problem(await patient.post("/auth/second-factor", None), 409, "second_factor_exists")
    assert_problem(await patient.post("/auth/second-factor/confirm", {"otp": code}), 409, "second_factor_exists")


async def test_removed_second_factor_is_no_longer_required(
    client: httpx2.AsyncClient, patient: Person, clock: SetClock
) -> None:
    await set_up_second_factor(patient, clock)
    assert (await patient.delete("/auth/second-factor")).status_code == 204
    assert (await log_in_with_code(client, patient)).status_code == 200
    assert (await patient.get("/auth/second-factor")).json() == {"enabled": False, "recovery_codes_left": 0}


async def test_changes_of_the_second_factor_require_a_fresh_log_in(patient: Person, clock: SetClock) -> None:
    clock.advance(minutes=10)
    assert (await patient.post("/auth/second-factor", None)).status_code == 201
    clock.advance(seconds=1)
    assert_problem(await patient.post("/auth/second-factor", None), 403, "log_in_again")
    assert_problem(await patient.post("/auth/second-factor/confirm", {"otp": "000000"}), 403, "log_in_again")
    assert_problem(await patient.post("/auth/second-factor/recovery-codes", None), 403, "log_in_again")
    assert_problem(await patient.delete("/auth/second-factor"), 403, "log_in_again")


async def test_secret_and_codes_are_not_readable_in_the_database(
    patient: Person, clock: SetClock, database: Database
) -> None:
    totp, codes = await set_up_second_factor(patient, clock)
    async with database.read() as transaction:
        stored = await transaction.scalar(text("SELECT secret FROM second_factors"))
        hashes = (await transaction.execute(text("SELECT code_hash FROM recovery_codes"))).scalars().all()
    assert totp.secret not in stored
    assert not {code.replace("-", "") for code in codes} & set(hashes)


class TestAfterTheKeyChanged:
    async def test_recovery_codes_work_after_the_key_changes(
        self, client: httpx2.AsyncClient, patient: Person, clock: SetClock, database: Database
    ) -> None:
        totp, codes = await set_up_second_factor(patient, clock)
        async with database.write() as transaction:
            await transaction.execute(text("UPDATE second_factors SET secret = 'encrypted under another key'"))
        assert_problem(await log_in_with_code(client, patient, otp=totp.at(clock.time)), 401, "invalid_second_factor")
        assert (await log_in_with_code(client, patient, otp=codes[0])).status_code == 200


class TestWhenRequiredForStaff:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"require_second_factor": "staff"})

    async def test_doctor_must_set_up_a_second_factor(
        self, client: httpx2.AsyncClient, doctor: Person, clock: SetClock
    ) -> None:
        for path in ("/doctors/me", "/appointments", "/doctors/me/appointments"):
            assert_problem(await doctor.get(path), 403, "set_up_second_factor")
        for path in ("/auth/me", "/auth/sessions", "/auth/second-factor"):
            assert (await doctor.get(path)).status_code == 200
        totp, _ = await set_up_second_factor(doctor, clock)
        assert (await doctor.get("/doctors/me")).status_code == 200
        token = (await get_tokens(client, doctor.email, otp=totp.at(clock.time)))["access_token"]
        again = Person(client, doctor.id, doctor.email, doctor.name, token)
        assert (await again.get("/appointments")).status_code == 200

    async def test_doctor_without_a_second_factor_can_change_their_password(self, doctor: Person) -> None:
        body = {"current_password": PASSWORD, "new_password": "another horse"}
        assert (await doctor.post("/auth/change-password", body)).status_code == 204

    async def test_patient_does_not_need_a_second_factor(self, patient: Person) -> None:
        assert (await patient.get("/appointments")).status_code == 200

    async def test_doctor_who_removes_the_second_factor_must_set_up_another(
        self, doctor: Person, clock: SetClock
    ) -> None:
        await set_up_second_factor(doctor, clock)
        assert (await doctor.get("/doctors/me")).status_code == 200
        assert (await doctor.delete("/auth/second-factor")).status_code == 204
        for session in (doctor, await doctor.log_in_again()):
            assert_problem(await session.get("/doctors/me"), 403, "set_up_second_factor")


class TestWhenRequiredForEverybody:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"require_second_factor": "everybody"})

    async def test_patient_must_set_up_a_second_factor(self, patient: Person, clock: SetClock) -> None:
        for method, path in (("GET", "/appointments"), ("GET", "/auth/me/export"), ("DELETE", "/auth/me")):
            response = await patient.client.request(method, path, headers=patient.headers)
            assert_problem(response, 403, "set_up_second_factor")
        await set_up_second_factor(patient, clock)
        assert (await patient.get("/appointments")).status_code == 200
