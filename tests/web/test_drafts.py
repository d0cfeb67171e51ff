"""A form that is sent after the session has ended is restored after signing in, for the same account only."""

from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
import pytest
from fastapi import FastAPI

from tests.conftest import Register, SetClock
from tests.people import PASSWORD, Person
from tests.web.conftest import Forms
from tests.web.table import ADMIN, DOCTOR, PAGES, PATIENT, World

SECRET_TYPES = {"hidden", "password"}
NEVER_KEPT = {"token", "otp", "sure"}
"""Codes, and the consent to delete an account."""
CHANGED = {"date": "2027-03-04", "time": "09:45", "checkbox": "yes", "textarea": "What I typed\nin two lines"}


class PostForms(HTMLParser):
    """The POST forms of a page, with their hidden and their visible fields."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str], dict[str, tuple[str, str]]]] = []
        self.unchecked: dict[str, str] = {}
        """The value of a radio button that is not checked, by its name."""
        self._inside = False
        self._select = self._textarea = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = given.get("method") == "post"
            if self._inside:
                self.found.append((given["action"], {}, {}))
        if not self._inside:
            return
        _, hidden, visible = self.found[-1]
        name = given.get("name", "")
        input_type = "number" if given.get("inputmode") == "numeric" else given.get("type", "text")
        if tag == "input" and input_type == "hidden":
            hidden[name] = given["value"]
        elif tag == "input" and input_type == "radio" and "checked" not in given:
            self.unchecked[name] = given["value"]
        elif tag == "input" and input_type not in SECRET_TYPES and name not in NEVER_KEPT:
            value = given.get("value", "") if input_type != "checkbox" or "checked" in given else ""
            visible[name] = input_type, value
        elif tag == "textarea":
            self._textarea = name
            visible[name] = tag, ""
        elif tag == "select":
            self._select = name
            visible[name] = tag, ""
        elif tag == "option" and self._select and ("selected" in given or not visible[self._select][1]):
            visible[self._select] = "select", given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"form", "select", "textarea"}:
            self._inside = self._inside and tag != "form"
            self._select = self._textarea = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            field_type, value = self.found[-1][2][self._textarea]
            self.found[-1][2][self._textarea] = field_type, value + data

    def typed(self, action: str) -> dict[str, str]:
        """Return the values of the fields of one of the forms. Others with the same address have only buttons."""
        return next(
            {name: value for name, (_, value) in visible.items()}
            for sent_to, _, visible in self.found
            if sent_to == action and visible
        )


def change_value(name: str, field_type: str, before: str) -> str:
    """Return a value that differs from the current value of a field."""
    if field_type == "select":
        changed = {
            "time_zone": "Europe/Vienna",
            "locale": "es",
            "country": "AT",
            "repeats": "FREQ=DAILY",
            "mode": "video",
            "role": "nurse",
        }
        return changed[name]
    return CHANGED.get(field_type, f"{before}7")


def list_pages() -> Iterator[tuple[str, str]]:
    """Return the role and the path of every page that needs a session."""
    rows = [row for rows in PAGES.values() for row in rows]
    preview = (DOCTOR, "/practice/hours/time-off/preview?first=2026-12-24&last=2026-12-24")
    suspend = [
        (ADMIN, f"/office/users/{{doctor}}?decision={decision}") for decision in ("suspend", "reinstate", "approve")
    ]
    yield from ((role, path) for role, path in [*rows, preview, *suspend] if role in {PATIENT, DOCTOR, ADMIN})


@pytest.fixture
async def world(app: FastAPI, client: httpx2.AsyncClient, admin: Person, clock: SetClock) -> World:
    return await World.make(app.state.resources, client, admin, clock)


async def sign_in(client: httpx2.AsyncClient, shown_at: str, person: Person) -> httpx2.Response:
    """Sign in on the page to which a form has redirected."""
    shown = await client.get(shown_at)
    [(_, hidden, _)] = [form for form in PostForms(shown.text).found if form[0] == "/sign-in"]
    return await client.post("/sign-in", data={**hidden, "username": person.email, "password": PASSWORD})


async def end_page_sessions(person: Person) -> None:
    for session in (await person.get("/auth/sessions")).json():
        if not session["current"]:
            assert (await person.delete(f"/auth/sessions/{session['id']}")).status_code == 204


@pytest.mark.slow
async def test_every_form_is_restored_with_the_typed_values(
    world: World, client: httpx2.AsyncClient, forms: Forms
) -> None:
    sent: set[str] = set()
    for role, path in list_pages():
        page = world.address(path)
        await world.enter(forms, role)
        shown = await client.get(page)
        post_forms = PostForms(shown.text)
        for action, hidden, visible in post_forms.found:
            needs_session = action not in {"/preferences", "/invitation"}
            if not visible or not needs_session or action in sent:
                continue
            sent.add(action)
            typed = {name: change_value(name, field_type, before) for name, (field_type, before) in visible.items()}
            typed |= {name: value for name, value in post_forms.unchecked.items() if name in visible}
            await end_page_sessions(world.people[role])
            address = urljoin(page, action)
            referer = {"Referer": str(client.base_url.join(page))}
            refused = await client.post(address, data={**hidden, **typed}, headers=referer)
            assert refused.headers.get("location", "").startswith("/sign-in?"), action
            back = await sign_in(client, refused.headers["location"], world.people[role])
            again = await client.get(back.headers["location"])
            assert f'action="{action}"' in again.text, (action, back.headers["location"])
            assert PostForms(again.text).typed(action) == typed, action
            assert "Your entries have been restored. They have not been sent yet." in again.text
        client.cookies.clear()
    assert len(sent) >= 11, sent


@pytest.fixture
async def slot_form(register: Register) -> dict[str, str]:
    """The fields that the form of a slot sends."""
    doctor = await register("doctor")
    await doctor.set_hours(tuesday=[["09:00", "12:00"]])
    return {"doctor": doctor.id, "start": "2026-12-08T09:00:00Z"}


async def test_time_picked_while_signed_out_is_held_after_signing_in(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, slot_form: dict[str, str]
) -> None:
    picked = await forms.send("/visit/pick", on=f"/with/{slot_form['doctor']}", **slot_form)
    assert parse_qs(urlsplit(picked.headers["location"]).query)["next"][0].startswith("/visit/pick?draft=")
    held = await sign_in(client, picked.headers["location"], patient)
    assert held.headers["location"].startswith("/visit/")
    assert "Book this visit" in (await client.get(held.headers["location"])).text
    assert "draft" not in client.cookies


async def test_time_picked_by_an_earlier_visitor_is_not_held(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, slot_form: dict[str, str]
) -> None:
    for next_page in ("", "/visit/pick", "/visit/pick?draft=", "/my/appointments"):
        client.cookies.clear()
        picked = await forms.send("/visit/pick", on=f"/with/{slot_form['doctor']}", **slot_form)
        with_draft = parse_qs(urlsplit(picked.headers["location"]).query)["next"][0]
        response = await forms.send("/sign-in", username=patient.email, password=PASSWORD, next=next_page)
        assert response.headers["location"] == (next_page or "/start")
        assert "draft" not in client.cookies, next_page
        assert (await client.get(with_draft)).status_code == 422, next_page
    slots = (await client.get(f"/doctors/{slot_form['doctor']}/slots?from={slot_form['start']}")).json()
    assert slots[0]["start_time"] == slot_form["start"]


async def test_picked_time_is_forgotten_after_half_an_hour(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, slot_form: dict[str, str], clock: SetClock
) -> None:
    picked = await forms.send("/visit/pick", on=f"/with/{slot_form['doctor']}", **slot_form)
    clock.advance(minutes=31)
    response = await sign_in(client, picked.headers["location"], patient)
    assert response.headers["location"].startswith("/visit/pick?draft=")
    assert (await client.get(response.headers["location"])).status_code == 422


async def test_draft_of_an_ended_session_is_shown_only_to_its_account(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, register: Register, clock: SetClock
) -> None:
    other = await register("patient", name="Bob Ray")
    await forms.sign_in(patient)
    shown = await client.get("/my/account")
    [hidden] = [hidden for action, hidden, _ in PostForms(shown.text).found if action == "/my/account"]
    clock.advance(hours=2)
    sent = await client.post("/my/account", data={**hidden, "name": "Ann Secret"})
    back = await sign_in(client, sent.headers["location"], other)
    assert back.headers["location"] == "/my/account"
    shown = await client.get(back.headers["location"])
    assert "Ann Secret" not in shown.text
    assert "Your entries have been restored." not in shown.text
    assert "draft" not in client.cookies


async def test_signing_out_deletes_the_draft(forms: Forms, client: httpx2.AsyncClient, patient: Person) -> None:
    await forms.sign_in(patient)
    hidden = PostForms((await client.get("/my/account")).text).found[-1][1]
    client.cookies.delete("session")
    sent = await client.post("/my/account", data={**hidden, "name": "Ann Secret"})
    back = await sign_in(client, sent.headers["location"], patient)
    assert "Ann Secret" in (await client.get(back.headers["location"])).text
    await forms.send("/sign-out", on="/my/account")
    assert "draft" not in client.cookies
    await forms.sign_in(patient)
    assert "Ann Secret" not in (await client.get(back.headers["location"])).text


async def test_message_is_not_shown_without_the_session_it_belongs_to(
    forms: Forms, client: httpx2.AsyncClient, patient: Person
) -> None:
    await forms.sign_in(patient)
    await forms.send("/my/account", name="Ann Lee")
    client.cookies.delete("session")
    assert "Your name has been changed." not in (await client.get("/sign-in")).text


async def test_text_too_long_for_a_draft_is_shown_to_be_copied(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, clock: SetClock
) -> None:
    bio = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(2000))
    await forms.sign_in(doctor)
    shown = await client.get("/practice/profile")
    [hidden] = [hidden for action, hidden, _ in PostForms(shown.text).found if action == "/practice/profile"]
    clock.advance(hours=2)
    sent = await client.post("/practice/profile", data={**hidden, "bio": bio})
    assert sent.status_code == 401
    assert bio in sent.text
    assert "/sign-in?next=%2Fpractice%2Fprofile" in sent.text
    assert "draft" not in client.cookies
