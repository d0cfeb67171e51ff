"""Lists that are longer than a page: each row appears once, and every page stays light."""

import re
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from app.core.settings import Settings
from app.web.kit.lists import MAX_LISTED
from tests.conftest import Register, SetClock
from tests.people import Person, log_in
from tests.web.conftest import Forms, on_both_databases
from tests.web.doctor import MAX_NAME, open_practice
from tests.web.long_lists import collect_rows
from tests.web.table import MAX_BYTES, weigh

MANY = 25
MAX_A_DAY = 48  # eight hours of ten minutes each
FIRST = datetime(2026, 12, 7, 8, tzinfo=UTC)


@pytest.fixture
async def doctor(register: Register, forms: Forms) -> Person:
    doctor = await open_practice(register)
    await forms.sign_in(doctor)
    return doctor


async def test_page_of_many_planned_hours_stays_light(doctor: Person, client: httpx2.AsyncClient) -> None:
    for number in range(MANY):
        first = FIRST + timedelta(weeks=number)
        windows = [[f"{hour:02}:{number:02}", f"{hour:02}:45"] for hour in range(7)]
        week = {day: windows[index:] for index, day in enumerate(("monday", "tuesday", "thursday", "sunday"))}
        await doctor.set_hours(**week, valid_from=f"{first:%Y-%m-%d}", valid_to=f"{first + timedelta(days=6):%Y-%m-%d}")
    shown = await client.get("/practice/hours?day=2026-12-07")
    assert await weigh(client, shown) < MAX_BYTES
    assert f"And {MANY + 2 - MAX_LISTED} later changes." in shown.text


@on_both_databases
async def test_lists_of_windows_time_off_and_visit_types_are_complete(
    doctor: Person, client: httpx2.AsyncClient
) -> None:
    for number in range(MANY):
        day = FIRST + timedelta(days=7 * number)
        hours = [(day + timedelta(hours=each)).isoformat() for each in (12, 14)]
        await doctor.publish(*hours)
        await doctor.take_time_off(hours[0], hours[1], MAX_NAME * 8)
        await doctor.add_visit_type(name=f"{number} {MAX_NAME}"[: len(MAX_NAME)], duration_minutes=20 + number)
    for page in ("/practice/hours/extra", "/practice/hours/time-off", "/practice/profile/visit-types"):
        found = await collect_rows(client, page, rf'action="{page}/([^/]+)/(?:remove|withdraw)"')
        assert len(found) == len(set(found)) == MANY, page
        assert (await client.get(page, params={"after": "abc"})).status_code == 422


async def test_past_windows_and_time_off_are_not_listed(
    doctor: Person, forms: Forms, client: httpx2.AsyncClient, clock: SetClock
) -> None:
    hours = "2026-12-07T18:00:00Z", "2026-12-07T20:00:00Z"
    await doctor.publish(*hours)
    await doctor.take_time_off(*hours)
    for minutes, listed in (-1, 1), (1, 0):
        clock.time = datetime(2026, 12, 7, 20, tzinfo=UTC) + timedelta(minutes=minutes)
        await forms.sign_in(doctor)
        for page in ("/practice/hours/extra", "/practice/hours/time-off"):
            assert (await client.get(page)).text.count("/remove") == listed


@on_both_databases
async def test_lists_of_visits_are_complete(
    doctor: Person, admin: Person, register: Register, forms: Forms, client: httpx2.AsyncClient
) -> None:
    patient = await register("patient", name=MAX_NAME)
    for number in range(MANY):
        start = FIRST + timedelta(days=number // 5, minutes=30 * (number % 5))
        await patient.book(doctor, start.isoformat(), (start + timedelta(minutes=30)).isoformat(), reason=MAX_NAME * 8)
    preview = (await client.get("/practice/hours/time-off/preview?first=2026-12-07&last=2026-12-11")).text
    assert "25 visits are booked during this time." in preview
    assert preview.count('class="entry far"') == MAX_LISTED
    assert f"And {MANY - MAX_LISTED} more visits." in preview

    await doctor.set_hours()
    found = await collect_rows(client, "/practice/hours/conflicts", r'href="/practice/visits/([^/"]+)/move"')
    assert len(found) == len(set(found)) == MANY

    await forms.sign_in(admin)
    account = f"/office/users/{patient.id}"
    await forms.send(f"{account}/break-glass", on=f"{account}?decision=break-glass", reason="An emergency")
    found = await collect_rows(client, f"{account}/visits", r'class="row visit-row">\s+<.+>\s+<.+datetime="([^"]+)"')
    assert len(found) == len(set(found)) == MANY


async def test_day_with_visits_of_ten_minutes_stays_light(
    doctor: Person, register: Register, client: httpx2.AsyncClient
) -> None:
    await doctor.set_hours(monday=[["09:00", "17:00"]])
    patient = await register("patient", name=MAX_NAME)
    for number in range(MAX_A_DAY):
        start = FIRST + timedelta(minutes=10 * number)
        end = start + timedelta(minutes=10)
        await patient.book(doctor, start.isoformat(), end.isoformat(), reason=MAX_NAME)
    shown = await client.get("/practice/day?day=2026-12-07")
    assert len(set(re.findall(r'href="/practice/visits/([^/"]+)"', shown.text))) == MAX_A_DAY
    assert await weigh(client, shown) < MAX_BYTES


@on_both_databases
async def test_list_of_sessions_is_complete(doctor: Person, client: httpx2.AsyncClient) -> None:
    for _ in range(MANY):
        await log_in(client, doctor.email)
    found = await collect_rows(client, "/my/account/sessions", r'action="/my/account/sessions/([0-9a-f-]{36})/end"')
    # The log-in after the registration made one more session. The current session has no button.
    assert len(found) == len(set(found)) == MANY + 1


class TestAdministration:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"doctor_approval": "required"})

    @on_both_databases
    async def test_lists_of_accounts_and_audit_events_are_complete(
        self, forms: Forms, admin: Person, register: Register, client: httpx2.AsyncClient
    ) -> None:
        for _ in range(12):
            await register("doctor", name=MAX_NAME, specialty="Cardiology")
        patients = {(await register("patient", name=MAX_NAME)).id for _ in range(30)}
        await forms.sign_in(admin)
        first = (await client.get("/office/users")).text
        assert "More than 10 doctors are waiting for approval" in first
        assert 'href="/office/users?role=doctor&amp;status=unapproved"' in first
        row = r'class="row account-row" href="/office/users/([^"]+)"'
        listed = await collect_rows(client, "/office/users", row)
        assert len(listed) - 10 == len(set(listed)) == 43
        assert patients < set(listed)
        assert len(await collect_rows(client, "/office/trail", 'class="row trail-row"')) > 43
