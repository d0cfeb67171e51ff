"""Forms: only those of this site are accepted, and what was typed is not lost."""

import httpx2
import pytest

from tests.people import PASSWORD, Person
from tests.web.conftest import Forms


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_a_form_of_another_site_is_refused(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, headers: dict[str, str]
) -> None:
    client.headers.update(headers)
    answer = await forms.send("/sign-in", username=patient.email, password=PASSWORD)
    assert answer.status_code == 403
    assert "session" not in client.cookies


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("clinic.lan:80", "http://clinic.lan"),
        ("clinic.lan", "http://clinic.lan"),
        ("clinic.lan:443", "https://clinic.lan"),
        ("clinic.lan", "https://clinic.lan"),
        ("CLINIC.lan:8000", "http://clinic.lan:8000"),
        ("[::1]:80", "http://[::1]"),
        ("[0:0::1]:8000", "http://[::1]:8000"),
    ],
)
async def test_a_form_of_ours_is_taken_however_the_host_is_written(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, host: str, origin: str
) -> None:
    client.headers.update({"Host": host, "Origin": origin})
    answer = await forms.send("/sign-in", username=patient.email, password=PASSWORD)
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("clinic.lan:443", "http://clinic.lan"),
        ("clinic.lan:8000", "http://clinic.lan"),
        ("clinic.lan", "http://clinic.lan:8000"),
        ("clinic.lan", "http://clinic.lan@evil.example"),
        ("evil.example@clinic.lan", "http://clinic.lan"),
        ("clinic.lan", "ftp://clinic.lan"),
        ("clinic.lan", "http://clinic.lan/x"),
        ("", "http://"),
        ("[::1", "http://[::1"),
    ],
)
async def test_a_form_of_another_origin_is_refused(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, host: str, origin: str
) -> None:
    client.headers.update({"Host": host, "Origin": origin})
    answer = await forms.send("/sign-in", username=patient.email, password=PASSWORD)
    assert answer.status_code == 403


async def test_a_form_without_our_token_or_with_somebody_elses_is_refused(
    client: httpx2.AsyncClient, patient: Person
) -> None:
    typed = {"username": patient.email, "password": PASSWORD}
    for token in ("", "a.b", "\u20ac"):
        await client.get("/sign-in")
        assert (await client.post("/sign-in", data={**typed, "form_token": token})).status_code == 403
    shown = await client.get("/sign-in")
    client.cookies.clear()
    token = shown.text.partition('name="form_token" value="')[2].partition('"')[0]
    assert (await client.post("/sign-in", data={**typed, "form_token": token})).status_code == 403
    await client.get("/sign-in")
    assert (await client.post("/sign-in", data={**typed, "form_token": token})).status_code == 403


async def test_what_was_typed_stays_but_for_secrets(forms: Forms) -> None:
    answer = await forms.send("/register", name="Ann <b>Lee", email="ann", password="short")
    assert answer.status_code == 422
    assert 'value="Ann &lt;b&gt;Lee"' in answer.text
    assert "Enter an e-mail address, like ann@example.com." in answer.text
    assert "Must have at least 8 characters." in answer.text
    assert 'aria-describedby="email-error"' in answer.text
    assert "short" not in answer.text


async def test_what_cannot_be_read_is_refused_and_not_kept(
    forms: Forms, client: httpx2.AsyncClient, patient: Person
) -> None:
    large = await client.post("/visit/pick", data={"doctor": "a" * 70_000})
    assert large.headers["location"] == "/sign-in?next=%2Fvisit%2Fpick"
    assert "draft" not in client.cookies
    await forms.sign_in(patient)
    secret = {"secret": "A" * 10_000, "otp": "123456"}
    answer = await forms.send("/my/account/second-factor/confirm", on="/my/account", **secret)
    assert answer.status_code == 422


async def test_problems_are_pages_for_people_and_problems_for_programs(client: httpx2.AsyncClient) -> None:
    person = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language": "de"}
    shown = await client.get("/nowhere", headers=person)
    assert shown.status_code == 404
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert '<html lang="de">' in shown.text
    assert (await client.get("/nowhere")).json()["code"] == "no_such_path"
    assert (await client.get("/appointments", headers=person)).json()["code"] == "not_authenticated"
    too_large = await client.post("/sign-in", data={"username": "a" * 70_000}, headers=person)
    assert too_large.status_code == 413
    assert "<h1>" in too_large.text
