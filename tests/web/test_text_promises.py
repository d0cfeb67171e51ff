"""The texts of pages promise only what is true."""

import httpx2

from app.core.errors import ERRORS
from app.web.kit.error_texts import MESSAGES
from tests.conftest import SetClock
from tests.people import Person
from tests.web.conftest import Forms

KEPT = "Your entries are kept for 30 minutes."


def test_no_text_asks_to_call_the_practice() -> None:
    # The system stores no telephone numbers.
    texts = [*MESSAGES.values(), *(detail for _, detail in ERRORS.values())]
    assert not [sentence for sentence in texts if "call the practice" in sentence.lower()]


async def test_sign_in_page_says_how_long_entries_are_kept(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person
) -> None:
    redirect = await client.get("/my/appointments")
    assert KEPT not in (await client.get(redirect.headers["location"])).text
    picked = {"doctor": doctor.id, "start": "2026-12-07T09:00:00Z"}
    redirect = await forms.send("/visit/pick", on="/", **picked)
    shown = (await client.get(redirect.headers["location"])).text
    assert KEPT in shown
    assert "Sign in or create an account to continue." in shown
    registering = redirect.headers["location"].replace("/sign-in?", "/register?")
    assert KEPT in (await client.get(registering)).text
    assert KEPT not in (await client.get("/register")).text


async def test_form_too_long_for_a_draft_is_not_promised_to_be_kept(forms: Forms, client: httpx2.AsyncClient) -> None:
    start = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(2000))
    refused = await forms.send("/visit/pick", on="/", start=start)
    assert refused.status_code == 401
    assert KEPT not in (await client.get("/sign-in?next=/visit/pick")).text


async def test_pages_of_a_visit_past_its_cut_off_refer_to_the_practice(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, patient: Person, clock: SetClock
) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"]])
    await doctor.update_profile(cancel_cutoff_minutes=24 * 60)
    visit = await patient.book(doctor, "2026-12-07T15:00:00Z")
    clock.advance(days=6)
    await forms.sign_in(patient)
    for page in ("", "/cancel", "/move"):
        shown = (await client.get(f"/my/appointments/{visit['id']}{page}")).text
        assert "The practice can still cancel or move the visit." in shown, page
        assert "Call the practice" not in shown, page
