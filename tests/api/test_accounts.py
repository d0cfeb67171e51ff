import json

import httpx2

from app.adapters.mail import Mail
from tests.conftest import Register, SetClock
from tests.people import PASSWORD, Person, assert_problem, log_in

ANN = {"email": "Ann@example.com", "password": PASSWORD, "name": "Ann Lee", "role": "patient"}


async def test_registered_account_can_log_in(client: httpx2.AsyncClient) -> None:
    response = await client.post("/auth/register", json=ANN)
    assert response.status_code == 201
    user = response.json()
    assert user == {
        "id": user["id"],
        "email": "Ann@example.com",
        "name": "Ann Lee",
        "role": "patient",
        "created_at": "2026-12-01T08:00:00Z",
        "email_confirmed_at": None,
    }
    assert user["id"][14] == "7"  # UUIDv7
    response = await client.post("/auth/login", data={"username": "ann@EXAMPLE.com", "password": PASSWORD})
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    token = response.json()
    assert token == {
        "access_token": token["access_token"],
        "token_type": "bearer",
        "expires_in": 1800,
        "refresh_token": token["refresh_token"],
    }
    me = await client.get("/auth/me", headers={"Authorization": f"Bearer {token['access_token']}"})
    assert me.status_code == 200
    assert me.json() == user


async def test_role_is_read_in_any_letter_case(client: httpx2.AsyncClient) -> None:
    for number, role in enumerate(("doctor", "Doctor", "DOCTOR", "patient", "Patient")):
        body = ANN | {"role": role, "email": f"ann{number}@example.com"}
        response = await client.post("/auth/register", json=body)
        assert response.json()["role"] == role.lower()


async def test_public_profile_of_a_new_doctor_has_defaults(client: httpx2.AsyncClient, register: Register) -> None:
    doctor = await register("doctor", name="Dr Amara Okafor", specialty="Dermatology", time_zone="America/New_York")
    response = await client.get(f"/doctors/{doctor.id}")
    assert response.json() == {
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


async def test_address_that_looks_like_a_registered_one_is_refused(client: httpx2.AsyncClient) -> None:
    await client.post("/auth/register", json=ANN)
    for lookalike in ("ann@example.com", "ANN@EXAMPLE.COM", "аnn@example.com", "ａｎｎ@example.com"):
        response = await client.post("/auth/register", json=ANN | {"email": lookalike})
        assert_problem(response, 409, "email_taken")
    assert await log_in(client, ANN["email"])


async def test_invalid_registration_is_refused(client: httpx2.AsyncClient) -> None:
    failures = []
    cases: list[tuple[dict[str, object], str]] = [
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
    ]
    for change, field in cases:
        response = await client.post("/auth/register", json=ANN | change)
        named = [error["field"] for error in response.json().get("errors", [])]
        if (response.status_code, named) != (422, [field]) or PASSWORD in response.text:
            failures.append((change, response.text))
    assert not failures
    log_in_form = {"username": ANN["email"], "password": PASSWORD}
    assert_problem(await client.post("/auth/login", data=log_in_form), 401, "invalid_credentials")


async def test_missing_field_is_named_and_no_input_is_echoed(client: httpx2.AsyncClient) -> None:
    for missing in ANN:
        response = await client.post(
            "/auth/register", json={name: value for name, value in ANN.items() if name != missing}
        )
        body = assert_problem(response, 422, "invalid_request")
        assert [error["field"] for error in body["errors"]] == [missing]
        assert PASSWORD not in response.text
        assert "Ann Lee" not in response.text


async def test_long_and_non_latin_passwords_work_in_full(client: httpx2.AsyncClient) -> None:
    for number, password in enumerate(("x" * 73, "x" * 128, "pass wörd 密码 🔑")):
        email = f"ann{number}@example.com"
        await client.post("/auth/register", json=ANN | {"email": email, "password": password})
        assert await log_in(client, email, password)
        response = await client.post("/auth/login", data={"username": email, "password": password[:-1] + "z"})
        assert_problem(response, 401, "invalid_credentials")


async def test_failed_log_in_does_not_reveal_the_reason(client: httpx2.AsyncClient) -> None:
    await client.post("/auth/register", json=ANN)
    problems = []
    for username, password in (
        ("ann@example.com", "wrong"),
        ("x", PASSWORD),
        ("nobody@example.com", "whatever"),
    ):
        response = await client.post("/auth/login", data={"username": username, "password": password})
        problems.append(assert_problem(response, 401, "invalid_credentials"))
        assert response.headers["www-authenticate"] == "Bearer"
    assert problems[0] == problems[1] == problems[2]


async def test_log_in_accepts_the_form_fields_of_oauth2(client: httpx2.AsyncClient) -> None:
    await client.post("/auth/register", json=ANN)
    form = {"grant_type": "password", "username": ANN["email"], "password": PASSWORD, "scope": "", "client_id": "x"}
    assert (await client.post("/auth/login", data=form)).status_code == 200
    assert_problem(await client.post("/auth/login", data=form | {"grant_type": "refresh"}), 422, "invalid_request")
    assert_problem(await client.post("/auth/login", json=form), 422, "invalid_request")


async def test_invalid_log_in_form_is_refused(client: httpx2.AsyncClient) -> None:
    for form in (
        *({"username": name, "password": PASSWORD} for name in ("", "a\x00b", "a\u202eb", "\x7f", "x" * 255)),
        *({"username": "ann@example.com", "password": password} for password in ("", "x" * 129)),
    ):
        assert_problem(await client.post("/auth/login", data=form), 422, "invalid_request")


async def test_unusual_address_logs_in_as_it_was_registered(client: httpx2.AsyncClient) -> None:
    for email in ("ann@xn--bcher-kva.example.com", "bob@example。com", "ＣＡＲＬ@example.com"):
        assert (await client.post("/auth/register", json=ANN | {"email": email})).status_code == 201
        assert await log_in(client, email)


async def test_lone_surrogate_in_a_secret_is_refused(client: httpx2.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    for path, field in (("register", "password"), ("reset-password", "token"), ("reset-password", "new_password")):
        body = (ANN if path == "register" else {"token": "x", "new_password": PASSWORD}) | {field: "\ud800" * 8}
        response = await client.post(f"/auth/{path}", content=json.dumps(body), headers=headers)
        assert assert_problem(response, 422, "invalid_request")["errors"][0]["field"] == field


async def test_account_of_every_role_changes_its_own_name_only(
    client: httpx2.AsyncClient, patient: Person, doctor: Person, admin: Person
) -> None:
    people = (patient, doctor, admin)
    for person in people:
        others = [other for other in people if other is not person]
        before = [(await other.get("/auth/me")).json() for other in others]
        renamed = (await person.get("/auth/me")).json() | {"name": "Zoë Ångström"}
        response = await person.patch("/auth/me", {"name": "  Zoe\u0308 A\u030angström "})
        assert (response.status_code, response.json()) == (200, renamed)
        assert (await person.get("/auth/me")).json() == renamed
        assert [(await other.get("/auth/me")).json() for other in others] == before
        found = [each["id"] for each in (await client.get("/doctors?q=angstrom")).json()]
        assert found == ([] if person is patient else [doctor.id])


async def test_booked_appointment_shows_the_new_name_of_the_patient(doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    booked = await patient.book(doctor, "2026-12-08T14:00:00Z")
    await patient.patch("/auth/me", {"name": "Ann Lee-Moss"})
    appointment = (await doctor.get(f"/appointments/{booked['id']}")).json()
    assert appointment["patient"] == {"id": patient.id, "name": "Ann Lee-Moss"}


async def test_invalid_new_name_is_refused(patient: Person) -> None:
    bodies: list[dict[str, str | None]] = [
        {},
        {"name": " "},
        {"name": None},
        {"name": "Ann", "email": "ann@example.com"},
    ]
    for body in bodies:
        assert_problem(await patient.patch("/auth/me", body), 422, "invalid_request")
    assert (await patient.get("/auth/me")).json()["name"] == "Ann Lee"


async def test_repeated_form_field_is_refused(client: httpx2.AsyncClient, patient: Person) -> None:
    form = f"username=nobody&username={patient.email}&password={PASSWORD}"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert_problem(await client.post("/auth/login", content=form, headers=headers), 422, "invalid_request")


async def request_reset_token(client: httpx2.AsyncClient, mails: list[Mail], email: str) -> str:
    response = await client.post("/auth/forgot-password", json={"email": email})
    assert response.status_code == 200, response.text
    return mails[-1].text.split("\n\n")[1]


async def test_reset_replaces_the_password_and_ends_sessions(
    client: httpx2.AsyncClient, mails: list[Mail], patient: Person
) -> None:
    token = await request_reset_token(client, mails, patient.email)
    assert mails[-1].to == patient.email
    response = await client.post("/auth/reset-password", json={"token": token, "new_password": "another horse"})
    assert response.status_code == 204
    assert response.content == b""
    assert_problem(
        await client.post("/auth/login", data={"username": patient.email, "password": PASSWORD}),
        401,
        "invalid_credentials",
    )
    assert_problem(await patient.get("/auth/me"), 401, "not_authenticated")  # the reset ends all sessions
    assert await log_in(client, patient.email, "another horse")


async def test_reset_token_works_once(client: httpx2.AsyncClient, mails: list[Mail], patient: Person) -> None:
    token = await request_reset_token(client, mails, patient.email)
    other = await request_reset_token(client, mails, patient.email)
    body = {"token": token, "new_password": "another horse"}
    assert (await client.post("/auth/reset-password", json=body)).status_code == 204
    assert_problem(await client.post("/auth/reset-password", json=body), 422, "invalid_reset_token")
    assert_problem(await client.post("/auth/reset-password", json=body | {"token": other}), 422, "invalid_reset_token")


async def test_reset_token_works_for_half_an_hour(
    client: httpx2.AsyncClient, mails: list[Mail], patient: Person, clock: SetClock
) -> None:
    for minutes, status in ((29, 204), (30, 422)):
        token = await request_reset_token(client, mails, patient.email)
        clock.advance(minutes=minutes)
        response = await client.post("/auth/reset-password", json={"token": token, "new_password": "another horse"})
        assert response.status_code == status, minutes


async def test_refused_password_does_not_use_up_the_reset_token(
    client: httpx2.AsyncClient, mails: list[Mail], patient: Person
) -> None:
    token = await request_reset_token(client, mails, patient.email)
    assert_problem(
        await client.post("/auth/reset-password", json={"token": token, "new_password": "short"}),
        422,
        "invalid_request",
    )
    response = await client.post("/auth/reset-password", json={"token": token, "new_password": "another horse"})
    assert response.status_code == 204


async def test_forgotten_password_gets_the_same_response_for_every_address(
    client: httpx2.AsyncClient, mails: list[Mail], patient: Person
) -> None:
    known = await client.post("/auth/forgot-password", json={"email": patient.email})
    unknown = await client.post("/auth/forgot-password", json={"email": "nobody@example.com"})
    assert known.json() == unknown.json()
    assert list(known.headers) == list(unknown.headers)
    assert [mail.to for mail in mails] == [patient.email]


async def test_reset_token_goes_to_the_address_as_registered(client: httpx2.AsyncClient, mails: list[Mail]) -> None:
    await client.post("/auth/register", json=ANN)
    await request_reset_token(client, mails, "аnn@example.com")
    assert mails[-1].to == ANN["email"]


async def test_known_and_unknown_addresses_send_the_same_statements(
    client: httpx2.AsyncClient, patient: Person, statements: list[str]
) -> None:
    async def log_in_with(address: str) -> None:
        await client.post("/auth/login", data={"username": address, "password": "a wrong one"})

    async def forget(address: str) -> None:
        await client.post("/auth/forgot-password", json={"email": address})

    for send in (log_in_with, forget):
        sent = {}
        for address in (patient.email, "nobody@example.com"):
            statements.clear()
            await send(address)
            sent[address] = list(statements)
        assert sent[patient.email] == sent["nobody@example.com"], send.__name__
        assert sent[patient.email]


async def test_invalid_access_token_is_refused(client: httpx2.AsyncClient) -> None:
    for token in ("", "x", "Bearer", "a.b.c", "é"):
        response = await client.get("/auth/me", headers=[(b"Authorization", f"Bearer {token}".encode())])
        assert_problem(response, 401, "not_authenticated")
        assert response.headers["www-authenticate"] == "Bearer"


async def test_request_without_a_token_is_refused(client: httpx2.AsyncClient) -> None:
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}):
        assert_problem(await client.get("/auth/me", headers=headers), 401, "not_authenticated")


async def test_access_token_expires(patient: Person, clock: SetClock) -> None:
    clock.advance(minutes=29)
    assert (await patient.get("/auth/me")).status_code == 200
    clock.advance(minutes=1)
    assert_problem(await patient.get("/auth/me"), 401, "not_authenticated")


async def test_reset_and_access_tokens_are_not_interchangeable(
    client: httpx2.AsyncClient, mails: list[Mail], patient: Person
) -> None:
    token = await request_reset_token(client, mails, patient.email)
    assert_problem(await client.get("/auth/me", headers={"Authorization": f"Bearer {token}"}), 401, "not_authenticated")
    response = await client.post("/auth/reset-password", json={"token": patient.token[:200], "new_password": PASSWORD})
    assert_problem(response, 422, "invalid_reset_token")
