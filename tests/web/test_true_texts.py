"""Promises in the texts of pages are true."""

import httpx2
import pytest

from app.core.errors import ERRORS
from app.web.kit.error_texts import MESSAGES
from tests.conftest import SetClock
from tests.people import Person
from tests.web.conftest import Forms

KEPT = "Your entries are kept for 30 minutes."


def test_no_sentence_asks_for_a_call_that_cannot_be_made() -> None:
    texts = [*MESSAGES.values(), *(detail for _, detail in ERRORS.values())]
    assert not [sentence for sentence in texts if "call the practice" in sentence.lower()]


async def test_a_page_that_asks_to_sign_in_says_what_is_kept(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person
) -> None:
    asked = await client.get("/my/appointments")
    assert KEPT not in (await client.get(asked.headers["location"])).text
    picked = {"doctor": doctor.id, "start": "2026-12-07T09:00:00Z"}
    asked = await forms.send("/visit/pick", on="/", **picked)
    shown = (await client.get(asked.headers["location"])).text
    assert KEPT in shown
    assert "Sign in or create an account to continue." in shown
    registering = asked.headers["location"].replace("/sign-in?", "/register?")
    assert KEPT in (await client.get(registering)).text
    assert KEPT not in (await client.get("/register")).text


async def test_a_form_that_is_too_long_to_keep_is_not_said_to_be_kept(forms: Forms, client: httpx2.AsyncClient) -> None:
    start = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(2000))
    asked = await forms.send("/visit/pick", on="/", start=start)
    assert asked.status_code == 401
    assert KEPT not in (await client.get("/sign-in?next=/visit/pick")).text


@pytest.mark.parametrize("page", ["", "/cancel", "/move"])
async def test_a_visit_that_cannot_be_changed_online_names_the_practice(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, patient: Person, clock: SetClock, page: str
) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"]])
    await doctor.update_profile(cancel_cutoff_minutes=24 * 60)
    visit = await patient.book(doctor, "2026-12-07T15:00:00Z")
    clock.advance(days=6)
    await forms.sign_in(patient)
    shown = (await client.get(f"/my/appointments/{visit['id']}{page}")).text
    assert "The practice can still cancel or move the visit." in shown
    assert "Call the practice" not in shown
