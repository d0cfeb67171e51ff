"""A held time of a doctor who can no longer be booked."""

from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from app.db.database import Database
from tests.conftest import Register
from tests.people import Person, assert_problem
from tests.web.conftest import Forms

TEN = "2026-12-08T15:00:00Z"
UNKNOWN = "019abcde-f012-7345-8678-9abcdef01234"
TITLE = "This doctor is not taking bookings at the moment"
SEARCH = 'href="/?specialty=Skin+%26+hair"'


@pytest.fixture
async def hold(doctor: Person, patient: Person) -> str:
    await doctor.update_profile(specialty="Skin & hair")
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    return await hold_time(patient, doctor)


async def hold_time(patient: Person, doctor: Person, **fields: Any) -> str:
    held = await patient.post("/holds", {"doctor_id": doctor.id, "start_time": TEN, **fields})
    assert held.status_code == 201, held.text
    return str(held.json()["id"])


@pytest.fixture(params=["suspended", "unapproved", "erased"])
async def unavailable(
    request: pytest.FixtureRequest, hold: str, doctor: Person, admin: Person, database: Database
) -> str:
    """A hold with a doctor who can no longer be booked."""
    reason = {"reason": "Has left the practice"}
    if request.param == "unapproved":
        async with database.write() as transaction:
            await transaction.execute(text("UPDATE doctors SET approved_at = NULL"))
    else:
        assert (await admin.post(f"/admin/users/{doctor.id}/suspend", reason)).status_code == 200
    if request.param == "erased":
        assert (await admin.post(f"/admin/users/{doctor.id}/erase", reason)).status_code == 200
    return hold


async def test_held_time_of_an_unavailable_doctor_cannot_be_booked(
    doctor: Person, patient: Person, register: Register, unavailable: str
) -> None:
    held = await patient.try_to_book(doctor, TEN, hold_id=unavailable)
    assert "Choose another doctor" in assert_problem(held, 409, "doctor_unavailable")["detail"]
    assert (await patient.get("/appointments")).json() == []
    # A patient without a hold does not learn whether the doctor exists.
    assert_problem(await patient.try_to_book(doctor, TEN), 404, "not_found")
    assert_problem(await (await register("patient")).try_to_book(doctor, TEN, hold_id=unavailable), 404, "not_found")
    assert (await patient.delete(f"/holds/{unavailable}")).status_code == 204


@pytest.mark.parametrize("unavailable", ["suspended", "unapproved"], indirect=True)
async def test_page_of_a_held_time_offers_the_search(
    doctor: Person, patient: Person, hold: str, unavailable: str, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await forms.sign_in(patient)
    shown = await client.get(f"/visit/{hold}")
    assert shown.status_code == 409
    assert TITLE in shown.text
    assert SEARCH in shown.text
    typed = {"doctor": doctor.id, "start": TEN}
    booked = await forms.send(f"/visit/{hold}", on="/preferences", **typed)
    assert booked.status_code == 409
    assert TITLE in booked.text
    assert SEARCH in booked.text
    for doctor_id, status in ((doctor.id, 409), (UNKNOWN, 404)):
        fields = {"doctor": doctor_id, "start": TEN, "reason": "A mole " * 100}
        refused = await forms.send(f"/visit/{hold}", on="/preferences", **fields)
        assert (refused.status_code, TITLE in refused.text, SEARCH in refused.text) == (status, True, status == 409)
    released = await forms.send(f"/visit/{unavailable}/release", on="/preferences", **typed)
    shown = await client.get(released.headers["location"])
    assert shown.status_code == 404
    assert TITLE in shown.text


async def test_page_of_a_held_time_does_not_show_an_erased_account(
    patient: Person, unavailable: str, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await forms.sign_in(patient)
    shown = await client.get(f"/visit/{unavailable}")
    assert shown.status_code == 409
    assert TITLE in shown.text
    assert "Erased account" not in shown.text


async def test_pages_without_a_hold_do_not_reveal_an_unavailable_doctor(
    doctor: Person, patient: Person, unavailable: str, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await patient.delete(f"/holds/{unavailable}")
    await forms.sign_in(patient)
    for path in ("/with/{}", "/with/{}?week=2026-12-07", "/visit/pick?doctor={}&start=" + TEN):
        known, unknown = [await client.get(path.format(each)) for each in (doctor.id, UNKNOWN)]
        assert (known.status_code, unknown.status_code) == (404, 404)
        assert TITLE in known.text
        assert TITLE in unknown.text
        assert "Skin" not in known.text
        assert 'href="/"' in known.text
    for each in (doctor.id, UNKNOWN):
        picked = await forms.send("/visit/pick", on="/preferences", doctor=each, start=TEN)
        assert (picked.status_code, TITLE in picked.text) == (404, True)


async def test_held_time_of_a_withdrawn_visit_type_cannot_be_booked(
    doctor: Person, patient: Person, forms: Forms
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    visit_type, _ = [(await doctor.add_visit_type(name=name))["id"] for name in ("Check-up", "Follow-up")]
    hold = await hold_time(patient, doctor, visit_type_id=visit_type)
    await forms.sign_in(patient)
    assert (await doctor.delete(f"/doctors/me/visit-types/{visit_type}")).status_code == 204
    for path in (f"/visit/{hold}", "/visit/pick"):
        refused = await forms.send(path, on="/preferences", doctor=doctor.id, type=visit_type, start=TEN)
        assert refused.status_code == 404
        assert "This visit type is no longer offered." in refused.text
        others = f'href="/with/{doctor.id}?week=2026-12-08"'
        assert others in refused.text.replace("&amp;", "&")
    assert_problem(await patient.try_to_book(doctor, TEN, hold_id=hold, visit_type_id=visit_type), 404, "not_found")


async def test_title_is_translated(client: httpx2.AsyncClient) -> None:
    for language, title in (
        ("de", "Diese Praxis nimmt zurzeit keine Termine an"),
        ("es", "Este médico no admite reservas por el momento"),
    ):
        shown = await client.get(f"/with/{UNKNOWN}", headers={"Accept-Language": language})
        assert f"<h1>{title}</h1>" in shown.text
