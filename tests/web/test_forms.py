"""Forms of other sites are refused, and a refused form keeps the typed values."""

import httpx2

from tests.people import PASSWORD, Person
from tests.web.conftest import Forms
from tests.web.markup import read_hidden


async def test_form_of_another_site_is_refused(forms: Forms, client: httpx2.AsyncClient, patient: Person) -> None:
    for header, value in (
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", "none"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
    ):
        client.headers[header] = value
        response = await forms.send("/sign-in", username=patient.email, password=PASSWORD)
        del client.headers[header]
        assert response.status_code == 403, (header, value)
        assert "session" not in client.cookies, (header, value)
    assert (await forms.send("/sign-in", username=patient.email, password=PASSWORD)).status_code == 303


async def test_form_of_this_site_is_accepted_however_the_host_is_written(
    forms: Forms, client: httpx2.AsyncClient, patient: Person
) -> None:
    for host, origin in (
        ("clinic.lan:80", "http://clinic.lan"),
        ("clinic.lan", "http://clinic.lan"),
        ("clinic.lan:443", "https://clinic.lan"),
        ("clinic.lan", "https://clinic.lan"),
        ("CLINIC.lan:8000", "http://clinic.lan:8000"),
        ("[::1]:80", "http://[::1]"),
        ("[0:0::1]:8000", "http://[::1]:8000"),
    ):
        client.cookies.clear()
        client.headers.update({"Host": host, "Origin": origin})
        response = await forms.send("/sign-in", username=patient.email, password=PASSWORD)
        assert response.status_code == 303, (host, origin)


async def test_form_of_another_origin_is_refused(forms: Forms, client: httpx2.AsyncClient, patient: Person) -> None:
    for host, origin in (
        ("clinic.lan:443", "http://clinic.lan"),
        ("clinic.lan:8000", "http://clinic.lan"),
        ("clinic.lan", "http://clinic.lan:8000"),
        ("clinic.lan", "http://clinic.lan@evil.example"),
        ("evil.example@clinic.lan", "http://clinic.lan"),
        ("clinic.lan", "ftp://clinic.lan"),
        ("clinic.lan", "http://clinic.lan/x"),
        ("", "http://"),
        ("[::1", "http://[::1"),
    ):
        client.headers.update({"Host": host, "Origin": origin})
        response = await forms.send("/sign-in", username=patient.email, password=PASSWORD)
        assert response.status_code == 403, (host, origin)


async def test_form_without_a_token_of_this_browser_is_refused(client: httpx2.AsyncClient, patient: Person) -> None:
    typed = {"username": patient.email, "password": PASSWORD}
    for token in ("", "a.b", "\u20ac"):
        await client.get("/sign-in")
        assert (await client.post("/sign-in", data={**typed, "form_token": token})).status_code == 403
    shown = await client.get("/sign-in")
    client.cookies.clear()
    token = read_hidden(shown.text, "form_token")
    assert (await client.post("/sign-in", data={**typed, "form_token": token})).status_code == 403
    await client.get("/sign-in")
    assert (await client.post("/sign-in", data={**typed, "form_token": token})).status_code == 403


async def test_refused_form_keeps_typed_values_except_secrets(forms: Forms) -> None:
    response = await forms.send("/register", name="Ann <b>Lee", email="ann", password="short")
    assert response.status_code == 422
    assert 'value="Ann &lt;b&gt;Lee"' in response.text
    assert "Enter an email address, like ann@example.com." in response.text
    assert "Must have at least 8 characters." in response.text
    assert 'aria-describedby="email-error"' in response.text
    assert "short" not in response.text


async def test_oversized_form_is_refused_and_not_stored(
    forms: Forms, client: httpx2.AsyncClient, patient: Person
) -> None:
    large = await client.post("/visit/pick", data={"doctor": "a" * 70_000})
    assert large.headers["location"] == "/sign-in?next=%2Fvisit%2Fpick"
    assert "draft" not in client.cookies
    await forms.sign_in(patient)
    secret = {"secret": "A" * 10_000, "otp": "123456"}
    response = await forms.send("/my/account/second-factor/confirm", on="/my/account", **secret)
    assert response.status_code == 422


async def test_errors_are_pages_for_browsers_and_problems_for_programs(client: httpx2.AsyncClient) -> None:
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
