"""The page that a limit shows, and the collapsed list of cancelled visits."""

from datetime import datetime, timedelta

import pytest

from app.core.settings import Settings
from app.web.doctor import day
from tests.databases import settings_for
from tests.people import Person
from tests.web.conftest import Forms


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url, max_upcoming_visits_per_doctor=1, max_cancellations_per_day=3)


async def open_and_book(doctor: Person, patient: Person) -> str:
    await doctor.publish("2026-12-01T14:00:00Z", "2026-12-01T20:00:00Z")
    booked = await patient.book(doctor, "2026-12-01T14:00:00Z")
    return str(booked["id"])


async def test_page_of_a_limit_says_what_to_do(forms: Forms, doctor: Person, patient: Person) -> None:
    await open_and_book(doctor, patient)
    await forms.sign_in(patient)
    refused = await forms.send(
        "/visit/pick", f"/with/{doctor.id}", doctor=doctor.id, start="2026-12-01T15:00:00Z", type=""
    )
    assert refused.status_code == 409
    assert "Cancel one first." in refused.text
    assert 'href="/my/appointments"' in refused.text
    assert 'action="/visit/pick"' not in refused.text, "the limit refuses every time"


async def test_cancelled_visits_are_collapsed(
    forms: Forms, doctor: Person, patient: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = datetime.fromisoformat("2026-12-01T14:00:00Z")
    await patient.delete(f"/appointments/{await open_and_book(doctor, patient)}")
    for number in (1, 2):
        booked = await patient.book(doctor, (first + timedelta(minutes=30 * number)).isoformat())
        await patient.delete(f"/appointments/{booked['id']}")
    await forms.sign_in(doctor)
    shown = await forms.client.get("/practice/day")
    before, collapsed = shown.text.split("<details")
    assert "Ann Lee" not in before
    assert "3 cancelled visits" in collapsed
    assert collapsed.count("/practice/visits/") == 3
    monkeypatch.setattr(day, "MAX_CANCELLED", 2)
    shown = await forms.client.get("/practice/day")
    assert shown.text.count("/practice/visits/") == 2
    assert "1 more is not shown." in shown.text


async def test_day_without_cancelled_visits_collapses_nothing(forms: Forms, doctor: Person, patient: Person) -> None:
    await open_and_book(doctor, patient)
    await forms.sign_in(doctor)
    shown = await forms.client.get("/practice/day")
    assert "<details" not in shown.text
    assert "Ann Lee" in shown.text
