import json

import httpx2
import pytest

from app.adapters.mail import Mail
from tests.conftest import Register, SetClock
from tests.people import PASSWORD, Person, assert_problem, log_in

ANN = {"email": "Ann@example.com", "password": PASSWORD, "name": "Ann Lee", "role": "patient"}


async def test_registering_and_logging_in(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/auth/register", json=ANN)
    assert answer.status_code == 201
    user = answer.json()
    assert user == {
        "id": user["id"],
        "email": "Ann@example.com",
        "name": "Ann Lee",
        "role": "patient",
        "created_at": "2026-12-01T08:00:00Z",
        "email_confirmed_at": None,
    }
    assert user["id"][14] == "7"  # UUIDv7
    answer = await client.post("/auth/login", data={"username": "ann@EXAMPLE.com", "password": PASSWORD})
    assert answer.status_code == 200
    token = answer.json()
    assert token == {
        "access_token": token["access_token"],
        "token_type": "bearer",
        "expires_in": 1800,
        "refresh_token": token["refresh_token"],
    }
    me = await client.get("/auth/me", headers={"Authorization": f"Bearer {token['access_token']}"})
    assert me.status_code == 200
    assert me.json() == user


@pytest.mark.parametrize("role", ["doctor", "Doctor", "DOCTOR", "patient", "Patient"])
async def test_a_role_in_any_letter_case(client: httpx2.AsyncClient, role: str) -> None:
    answer = await client.post("/auth/register", json=ANN | {"role": role})
    assert answer.json()["role"] == role.lower()


async def test_a_doctor_has_a_specialty_and_a_zone(client: httpx2.AsyncClient, register: Register) -> None:
    doctor = await register("doctor", name="Dr Amara Okafor", specialty="Dermatology", time_zone="America/New_York")
    answer = await client.get(f"/doctors/{doctor.id}")
    assert answer.json() == {
        "id": doctor.id,
        "name": "Dr Amara Okafor",
        "specialty": "Dermatology",
        "time_zone": "America/New_York",
        "languages": [],
        "bio": None,
        "default_visit_minutes": 30,
        "min_notice_minutes": 0,
        "max_advance_days": None,
        "daily_limit": None,
        "cancel_cutoff_minutes": 0,
    }
    plain = await register("doctor")
    assert (await client.get(f"/doctors/{plain.id}")).json() | {"name": ""} == {
        "id": plain.id,
        "name": "",
        "specialty": None,
        "time_zone": "UTC",
        "languages": [],
        "bio": None,
        "default_visit_minutes": 30,
        "min_notice_minutes": 0,
        "max_advance_days": None,
        "daily_limit": None,
        "cancel_cutoff_minutes": 0,
    }


@pytest.mark.parametrize(
    "twin",
    [
        "ann@example.com",
        "ANN@EXAMPLE.COM",
        "аnn@example.com",
        "ａｎｎ@example.com",
    ],
)
async def test_a_twin_of_a_taken_address_is_taken(client: httpx2.AsyncClient, twin: str) -> None:
    await client.post("/auth/register", json=ANN)
    assert_problem(await client.post("/auth/register", json=ANN | {"email": twin}), 409, "email_taken")
    assert await log_in(client, ANN["email"])  # the first one is as it was


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": "a@b@c.com"}, "email"),
        ({"email": "ann@example.com."}, "email"),
        ({"email": f"{'a' * 250}@example.com"}, "email"),
        ({"email": "a\x00b@example.com"}, "email"),
        ({"email": f"{chr(0xFDFA) * 60}@example.com"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 129}, "password"),
        ({"password": "with\x00nul"}, "password"),
        ({"password": 12345678}, "password"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "\u200b"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"name": None}, "name"),
        ({"role": "admin"}, "role"),
        ({"role": "ADMIN"}, "role"),
        ({"role": ["doctor"]}, "role"),
        ({"role": "doctor", "time_zone": "Mars/Olympus"}, "time_zone"),
        ({"role": "doctor", "time_zone": "../../etc/passwd"}, "time_zone"),
        ({"role": "doctor", "time_zone": "+02:00"}, "time_zone"),
        ({"role": "doctor", "time_zone": "localtime"}, "time_zone"),
        ({"role": "patient", "specialty": "Dermatology"}, "body"),
        ({"is_active": True}, "is_active"),
        ({"id": "019abcde-f012-7345-8678-9abcdef01234"}, "id"),
        ({"password_hash": "x"}, "password_hash"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_is_refused_at_registration(
    client: httpx2.AsyncClient, change: dict[str, object], field: str
) -> None:
    answer = await client.post("/auth/register", json=ANN | change)
    body = assert_problem(answer, 422, "invalid_request")
    assert [error["field"] for error in body["errors"]] == [field]
    assert PASSWORD not in answer.text
    assert_problem(
        await client.post("/auth/login", data={"username": ANN["email"], "password": PASSWORD}),
        401,
        "invalid_credentials",
    )


@pytest.mark.parametrize("missing", sorted(ANN))
async def test_a_missing_field_is_named_and_nothing_is_echoed(client: httpx2.AsyncClient, missing: str) -> None:
    answer = await client.post("/auth/register", json={name: value for name, value in ANN.items() if name != missing})
    body = assert_problem(answer, 422, "invalid_request")
    assert [error["field"] for error in body["errors"]] == [missing]
    assert PASSWORD not in answer.text
    assert "Ann Lee" not in answer.text


@pytest.mark.parametrize("password", ["x" * 73, "x" * 128, "pass wörd 密码 🔑"])
async def test_long_and_foreign_passwords(client: httpx2.AsyncClient, password: str) -> None:
    await client.post("/auth/register", json=ANN | {"password": password})
    assert await log_in(client, ANN["email"], password)
    answer = await client.post("/auth/login", data={"username": ANN["email"], "password": password[:-1] + "z"})
    assert_problem(answer, 401, "invalid_credentials")


@pytest.mark.parametrize(
    "form", [{"username": "ann@example.com", "password": "wrong"}, {"username": "x", "password": PASSWORD}]
)
async def test_a_wrong_log_in_does_not_tell_what_was_wrong(client: httpx2.AsyncClient, form: dict[str, str]) -> None:
    await client.post("/auth/register", json=ANN)
    answer = await client.post("/auth/login", data=form)
    body = assert_problem(answer, 401, "invalid_credentials")
    assert answer.headers["www-authenticate"] == "Bearer"
    unknown = await client.post("/auth/login", data={"username": "nobody@example.com", "password": "whatever"})
    assert unknown.json() == body


async def test_oauth2_clients_may_send_what_the_standard_has(client: httpx2.AsyncClient) -> None:
    await client.post("/auth/register", json=ANN)
    form = {"grant_type": "password", "username": ANN["email"], "password": PASSWORD, "scope": "", "client_id": "x"}
    assert (await client.post("/auth/login", data=form)).status_code == 200
    assert_problem(await client.post("/auth/login", data=form | {"grant_type": "refresh"}), 422, "invalid_request")
    assert_problem(await client.post("/auth/login", json=form), 422, "invalid_request")


@pytest.mark.parametrize("username", ["", "a\x00b", "a\u202eb", "\x7f", "x" * 255])
@pytest.mark.parametrize("password", ["", "x" * 129])
async def test_a_log_in_that_cannot_be(client: httpx2.AsyncClient, username: str, password: str) -> None:
    for form in ({"username": username, "password": PASSWORD}, {"username": "ann@example.com", "password": password}):
        assert_problem(await client.post("/auth/login", data=form), 422, "invalid_request")


@pytest.mark.parametrize("email", ["ann@xn--bcher-kva.example.com", "bob@example。com", "ＢＯＢ@example.com"])
async def test_one_logs_in_with_what_one_registered(client: httpx2.AsyncClient, email: str) -> None:
    assert (await client.post("/auth/register", json=ANN | {"email": email})).status_code == 201
    assert await log_in(client, email)


@pytest.mark.parametrize(
    ("path", "field"), [("register", "password"), ("reset-password", "token"), ("reset-password", "new_password")]
)
async def test_a_lone_surrogate_in_a_secret(client: httpx2.AsyncClient, path: str, field: str) -> None:
    body = (ANN if path == "register" else {"token": "x", "new_password": PASSWORD}) | {field: "\ud800" * 8}
    answer = await client.post(f"/auth/{path}", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert assert_problem(answer, 422, "invalid_request")["errors"][0]["field"] == field


@pytest.mark.parametrize("who", ["patient", "doctor", "admin"])
async def test_everybody_changes_her_own_name(
    client: httpx2.AsyncClient, patient: Person, doctor: Person, admin: Person, who: str
) -> None:
    people = {"patient": patient, "doctor": doctor, "admin": admin}
    person = people.pop(who)
    before = {other.id: (await other.get("/auth/me")).json() for other in people.values()}
    renamed = (await person.get("/auth/me")).json() | {"name": "Zoë Ångström"}
    answer = await person.patch("/auth/me", {"name": "  Zoe\u0308 A\u030angström "})
    assert (answer.status_code, answer.json()) == (200, renamed)
    assert (await person.get("/auth/me")).json() == renamed
    assert {other.id: (await other.get("/auth/me")).json() for other in people.values()} == before
    found = [each["id"] for each in (await client.get("/doctors?q=angstrom")).json()]
    assert found == ([doctor.id] if who == "doctor" else [])


async def test_whom_a_doctor_expects_is_told_by_the_new_name(doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    booked = await patient.book(doctor, "2026-12-08T14:00:00Z")
    await patient.patch("/auth/me", {"name": "Ann Lee-Moss"})
    seen = (await doctor.get(f"/appointments/{booked['id']}")).json()
    assert seen["patient"] == {"id": patient.id, "name": "Ann Lee-Moss"}


@pytest.mark.parametrize("body", [{}, {"name": " "}, {"name": None}, {"name": "Ann", "email": "ann@example.com"}])
async def test_a_name_that_is_none_is_not_taken(patient: Person, body: dict[str, str | None]) -> None:
    assert_problem(await patient.patch("/auth/me", body), 422, "invalid_request")
    assert (await patient.get("/auth/me")).json()["name"] == "Ann Lee"


async def test_a_token_is_not_to_be_kept_by_a_cache(client: httpx2.AsyncClient, patient: Person) -> None:
    answer = await client.post("/auth/login", data={"username": patient.email, "password": PASSWORD})
    assert answer.headers["cache-control"] == "no-store"


async def test_a_doubled_field_is_refused(client: httpx2.AsyncClient, patient: Person) -> None:
    form = f"username=nobody&username={patient.email}&password={PASSWORD}"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert_problem(await client.post("/auth/login", content=form, headers=headers), 422, "invalid_request")


async def reset_token(client: httpx2.AsyncClient, mails: list[Mail], email: str) -> str:
    answer = await client.post("/auth/forgot-password", json={"email": email})
    assert answer.status_code == 200, answer.text
    return mails[-1].text.split("\n\n")[1]


async def test_a_forgotten_password_is_replaced(client: httpx2.AsyncClient, mails: list[Mail], patient: Person) -> None:
    token = await reset_token(client, mails, patient.email)
    assert mails[-1].to == patient.email
    answer = await client.post("/auth/reset-password", json={"token": token, "new_password": "another horse"})
    assert answer.status_code == 204
    assert answer.content == b""
    assert_problem(
        await client.post("/auth/login", data={"username": patient.email, "password": PASSWORD}),
        401,
        "invalid_credentials",
    )
    assert_problem(await patient.get("/auth/me"), 401, "not_authenticated")  # tokens from before are dead
    assert await log_in(client, patient.email, "another horse")


async def test_a_reset_token_works_once(client: httpx2.AsyncClient, mails: list[Mail], patient: Person) -> None:
    token = await reset_token(client, mails, patient.email)
    other = await reset_token(client, mails, patient.email)
    body = {"token": token, "new_password": "another horse"}
    assert (await client.post("/auth/reset-password", json=body)).status_code == 204
    assert_problem(await client.post("/auth/reset-password", json=body), 422, "invalid_reset_token")
    assert_problem(await client.post("/auth/reset-password", json=body | {"token": other}), 422, "invalid_reset_token")


@pytest.mark.parametrize(("minutes", "status"), [(29, 204), (30, 422)])
async def test_a_reset_token_works_for_half_an_hour(
    client: httpx2.AsyncClient, mails: list[Mail], patient: Person, clock: SetClock, minutes: int, status: int
) -> None:
    token = await reset_token(client, mails, patient.email)
    clock.advance(minutes=minutes)
    answer = await client.post("/auth/reset-password", json={"token": token, "new_password": "another horse"})
    assert answer.status_code == status


async def test_a_refused_password_does_not_use_up_the_token(
    client: httpx2.AsyncClient, mails: list[Mail], patient: Person
) -> None:
    token = await reset_token(client, mails, patient.email)
    assert_problem(
        await client.post("/auth/reset-password", json={"token": token, "new_password": "short"}),
        422,
        "invalid_request",
    )
    answer = await client.post("/auth/reset-password", json={"token": token, "new_password": "another horse"})
    assert answer.status_code == 204


async def test_the_answer_is_the_same_for_every_address(
    client: httpx2.AsyncClient, mails: list[Mail], patient: Person
) -> None:
    known = await client.post("/auth/forgot-password", json={"email": patient.email})
    unknown = await client.post("/auth/forgot-password", json={"email": "nobody@example.com"})
    assert known.json() == unknown.json()
    assert list(known.headers) == list(unknown.headers)
    assert [mail.to for mail in mails] == [patient.email]


async def test_the_token_goes_to_the_address_as_registered(client: httpx2.AsyncClient, mails: list[Mail]) -> None:
    await client.post("/auth/register", json=ANN)
    await reset_token(client, mails, "аnn@example.com")
    assert mails[-1].to == ANN["email"]


@pytest.mark.parametrize("path", ["/auth/login", "/auth/forgot-password"])
async def test_known_and_unknown_addresses_do_the_same_work(
    client: httpx2.AsyncClient, patient: Person, path: str, statements: list[str]
) -> None:
    done = {}
    for address in (patient.email, "nobody@example.com"):
        statements.clear()
        await post_address(client, path, address)
        done[address] = list(statements)
    assert done[patient.email] == done["nobody@example.com"]
    assert done[patient.email]


async def post_address(client: httpx2.AsyncClient, path: str, address: str) -> None:
    if path == "/auth/login":
        await client.post(path, data={"username": address, "password": "a wrong one"})
    else:
        await client.post(path, json={"email": address})


@pytest.mark.parametrize("token", ["", "x", "Bearer", "a.b.c", "é"])
async def test_a_bad_token(client: httpx2.AsyncClient, token: str) -> None:
    answer = await client.get("/auth/me", headers=[(b"Authorization", f"Bearer {token}".encode())])
    assert_problem(answer, 401, "not_authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("header", [{}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}])
async def test_no_token(client: httpx2.AsyncClient, header: dict[str, str]) -> None:
    assert_problem(await client.get("/auth/me", headers=header), 401, "not_authenticated")


async def test_a_token_ends(patient: Person, clock: SetClock) -> None:
    clock.advance(minutes=29)
    assert (await patient.get("/auth/me")).status_code == 200
    clock.advance(minutes=1)
    assert_problem(await patient.get("/auth/me"), 401, "not_authenticated")


async def test_a_reset_token_is_no_access_token(client: httpx2.AsyncClient, mails: list[Mail], patient: Person) -> None:
    token = await reset_token(client, mails, patient.email)
    assert_problem(await client.get("/auth/me", headers={"Authorization": f"Bearer {token}"}), 401, "not_authenticated")
    answer = await client.post("/auth/reset-password", json={"token": patient.token[:200], "new_password": PASSWORD})
    assert_problem(answer, 422, "invalid_reset_token")
