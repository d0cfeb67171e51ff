"""Pages that confirm an email address."""

from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from app.adapters.mail import Mail
from app.core.settings import Settings
from tests.conftest import ConfirmEmail, read_token
from tests.people import PASSWORD, Person
from tests.web.conftest import Forms

PAGE = "/confirm-email"


async def test_account_page_asks_for_the_code_until_the_address_is_confirmed(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, confirmations: list[Mail]
) -> None:
    await forms.sign_in(patient)
    assert "Your email address is not confirmed yet." in (await client.get("/my/account")).text
    refused = await forms.send(PAGE, token="not it", next="/my/account")
    assert refused.status_code == 422
    assert "This code is wrong" in refused.text
    confirmed = await forms.send(PAGE, token=read_token(confirmations[0]), next="/my/account")
    assert confirmed.headers["location"] == "/my/account"
    shown = (await client.get("/my/account")).text
    assert "Your email address has been confirmed." in shown
    assert "not confirmed yet" not in shown
    assert (await client.get(PAGE)).headers["location"] == "/my/account"


async def test_opening_the_page_with_a_code_confirms_nothing(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, confirmations: list[Mail]
) -> None:
    token = read_token(confirmations[0])
    address = f"{PAGE}?{urlencode({'token': token})}"
    assert (await client.get(address)).headers["location"].startswith("/sign-in?next=%2Fconfirm-email")
    await forms.sign_in(patient)
    assert f'value="{token}"' in (await client.get(address)).text
    assert (await patient.get("/auth/me")).json()["email_confirmed_at"] is None


async def test_repeated_confirmation_redirects_to_the_same_page(
    forms: Forms, patient: Person, confirmations: list[Mail]
) -> None:
    await forms.sign_in(patient)
    fields = {"token": read_token(confirmations[0]), "next": "/my/appointments"}
    for _ in range(2):
        confirmed = await forms.send(PAGE, on="/my/account", **fields)
        assert confirmed.headers["location"] == "/my/appointments"
    again = await forms.send(f"{PAGE}/resend", on="/my/account", next="https://example.com/")
    assert again.headers["location"] == "/my/account"
    assert len(confirmations) == 1


async def test_code_is_sent_again_up_to_a_limit(forms: Forms, patient: Person, confirmations: list[Mail]) -> None:
    await forms.sign_in(patient)
    for _ in range(4):
        sent = await forms.send(f"{PAGE}/resend", on=PAGE, next="/my/account")
        assert sent.headers["location"] == f"{PAGE}?next=%2Fmy%2Faccount"
    refused = await forms.send(f"{PAGE}/resend", on=PAGE)
    assert refused.status_code == 429
    assert "Several messages have already been sent to this address." in refused.text
    assert refused.headers["Retry-After"] == "3600"
    assert len(confirmations) == 5


async def test_second_factor_needs_a_confirmed_address(forms: Forms, patient: Person) -> None:
    await forms.sign_in(patient)
    assert "Confirm your email address first." in (await forms.client.get("/my/account/second-factor")).text
    redirect = await forms.send("/my/account/second-factor", on="/my/account")
    assert redirect.headers["location"] == f"{PAGE}?next=%2Fmy%2Faccount%2Fsecond-factor"


class TestRequiredConfirmation:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"email_confirmation": "required"})

    async def test_picked_time_is_held_after_the_address_is_confirmed(
        self,
        forms: Forms,
        client: httpx2.AsyncClient,
        doctor: Person,
        confirm_email: ConfirmEmail,
        confirmations: list[Mail],
    ) -> None:
        await confirm_email(doctor)
        await doctor.set_hours(monday=[["09:00", "12:00"]])
        picked = {"doctor": doctor.id, "start": "2026-12-07T15:00:00Z"}
        redirect = await forms.send("/visit/pick", on=f"/with/{doctor.id}", **picked)
        [pick] = parse_qs(urlsplit(redirect.headers["location"]).query)["next"]
        assert pick.startswith("/visit/pick?draft=")
        typed = {"name": "Ann Lee", "email": "ann@example.com", "password": PASSWORD}
        registered = await forms.send("/register", **typed, next=pick)
        assert registered.headers["location"] == pick
        redirect = await client.get(pick)
        assert redirect.headers["location"] == f"{PAGE}?{urlencode({'next': pick})}"
        shown = await client.get(redirect.headers["location"])
        assert "First confirm your email address" in shown.text
        token = read_token(confirmations[-1])
        confirmed = await forms.send(PAGE, on=redirect.headers["location"], token=token, next=pick)
        assert confirmed.headers["location"] == pick
        assert "Dr Amara Okafor" in (await client.get(pick)).text
        held = await forms.send("/visit/pick", **picked)
        assert held.headers["location"].startswith("/visit/")

    async def test_every_page_asks_for_the_confirmation(
        self, forms: Forms, client: httpx2.AsyncClient, patient: Person, confirm_email: ConfirmEmail
    ) -> None:
        await forms.sign_in(patient)
        assert "Confirm your email address to continue." in (await client.get("/my/appointments")).text
        assert "Confirm your email address to continue" not in (await client.get(PAGE)).text
        await confirm_email(patient)
        assert "Confirm your email address to continue" not in (await client.get("/my/appointments")).text
