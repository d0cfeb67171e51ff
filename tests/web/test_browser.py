"""Behaviour that only a browser shows."""

import signal

import httpx2

from tests.people import PASSWORD, Person
from tests.web.conftest import OpenTab


async def test_signing_in_goes_on_where_somebody_wanted_to(open_tab: OpenTab, patient: Person) -> None:
    tab = await open_tab()
    await tab.go("/my/account/sessions")
    assert "Sign in or create an account" in await tab.text()
    await tab.fill(username=patient.email, password="not it")
    await tab.page.locator("main").get_by_role("button", name="Sign in").click()
    assert "the password is wrong" in await tab.text()
    assert await tab.page.locator("#username").input_value() == patient.email
    await tab.fill(password=PASSWORD)
    await tab.page.locator("main").get_by_role("button", name="Sign in").click()
    assert tab.path == "/my/account/sessions"
    assert "this session" in await tab.text()


async def test_server_of_the_tests_handles_no_signals(address: str) -> None:
    async with httpx2.AsyncClient() as client:
        assert (await client.get(f"{address}/livez")).status_code == 200
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
