"""Behaviour that only a browser shows."""

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
