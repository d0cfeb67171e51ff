"""The forms of a time that the patient has already booked lead to that visit."""

import pytest

from tests.conftest import Register, SetClock
from tests.people import Person
from tests.web.conftest import Forms

START = "2026-12-08T09:00:00Z"


@pytest.fixture
async def doctor(register: Register) -> Person:
    doctor = await register("doctor", name="Dr Amara Okafor")
    await doctor.set_hours(tuesday=[["09:00", "12:00"]])
    return doctor


@pytest.fixture
def slot_form(doctor: Person) -> dict[str, str]:
    """The fields that the form of a slot sends."""
    return {"doctor": doctor.id, "start": START}


async def book_on_pages(forms: Forms, patient: Person, slot_form: dict[str, str]) -> tuple[str, str]:
    """Book a slot, and return the addresses of the confirmation page and of the visit."""
    await forms.sign_in(patient)
    confirming = (await forms.send("/visit/pick", on="/my/account", **slot_form)).headers["Location"]
    booked = await forms.send(confirming, **slot_form, reason="A mole")
    return confirming, f"/my/appointments/{booked.headers['Location'].rpartition('/')[2]}"


async def test_picking_a_booked_time_again_leads_to_the_visit(
    forms: Forms, patient: Person, slot_form: dict[str, str]
) -> None:
    _, visit = await book_on_pages(forms, patient, slot_form)
    for start in (START, "2026-12-08T09:15:00Z"):
        again = await forms.send("/visit/pick", on="/my/account", **slot_form | {"start": start})
        assert (again.status_code, again.headers["Location"]) == (303, visit)
        shown = await forms.client.get(visit)
        assert "You already have an appointment with this doctor at this time." in shown.text
    assert len((await patient.get("/appointments")).json()) == 1


async def test_confirming_again_leads_to_the_visit_and_keeps_the_first_reason(
    forms: Forms, patient: Person, slot_form: dict[str, str]
) -> None:
    confirming, visit = await book_on_pages(forms, patient, slot_form)
    for reason, is_told in (("A mole again", True), (" A mole ", False), ("", False)):
        again = await forms.send(confirming, on="/my/account", **slot_form, reason=reason)
        assert (again.status_code, again.headers["Location"]) == (303, visit)
        shown = (await forms.client.get(visit)).text
        assert ("What you wrote now was not added." in shown) is is_told
        assert "You already have an appointment" not in shown
    assert (await patient.get("/appointments")).json()[0]["reason"] == "A mole"


@pytest.mark.parametrize("minutes", [0, 6])
async def test_page_of_a_booked_hold_leads_to_the_visit(
    forms: Forms, patient: Person, slot_form: dict[str, str], clock: SetClock, minutes: int
) -> None:
    await forms.sign_in(patient)
    confirming = (await forms.send("/visit/pick", on="/my/account", **slot_form)).headers["Location"]
    clock.advance(minutes=minutes)
    booked = await forms.send(confirming, on="/my/account", **slot_form)
    shown = await forms.client.get(confirming)
    assert (shown.status_code, shown.headers["Location"]) == (
        303,
        booked.headers["Location"].replace("/visit/done/", "/my/appointments/"),
    )


async def test_time_on_a_day_filled_by_the_patients_own_visit_leads_to_the_visit(
    forms: Forms, patient: Person, doctor: Person, slot_form: dict[str, str]
) -> None:
    await doctor.update_profile(daily_limit=1)
    _, visit = await book_on_pages(forms, patient, slot_form)
    again = await forms.send("/visit/pick", on="/my/account", **slot_form)
    assert (again.status_code, again.headers["Location"]) == (303, visit)


async def test_cancelled_visit_does_not_prevent_another_booking(
    forms: Forms, patient: Person, slot_form: dict[str, str]
) -> None:
    confirming, visit = await book_on_pages(forms, patient, slot_form)
    await patient.delete(visit.replace("/my", ""))
    again = await forms.send("/visit/pick", on="/my/account", **slot_form)
    assert again.status_code == 303
    assert again.headers["Location"] not in {visit, confirming}


async def test_hold_and_visit_of_another_patient_are_not_found(
    forms: Forms, patient: Person, register: Register, slot_form: dict[str, str]
) -> None:
    confirming, visit = await book_on_pages(forms, patient, slot_form)
    await forms.send("/sign-out", on="/my/account")
    await forms.sign_in(await register("patient"))
    assert (await forms.client.get(confirming)).status_code == 404
    assert (await forms.client.get(visit)).status_code == 404
    assert (await forms.send("/visit/pick", on="/my/account", **slot_form)).status_code == 409


async def test_booked_hold_becomes_an_appointment_with_the_same_id(patient: Person, doctor: Person) -> None:
    held = (await patient.post("/holds", {"doctor_id": doctor.id, "start_time": START})).json()
    other = await patient.try_to_book(doctor, "2026-12-08T11:00:00Z", hold_id=held["id"])
    assert other.json()["id"] != held["id"], "the hold is for another time"
    booked = await patient.try_to_book(doctor, START, hold_id=held["id"])
    assert booked.json()["id"] == held["id"]
    assert (await patient.try_to_book(doctor, START, hold_id=held["id"])).json()["code"] == "slot_taken"
