"""A time that the patient has already booked leads to that visit, from another tab and by the back button."""

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
def asked(doctor: Person) -> dict[str, str]:
    """Return the fields that the form of a slot sends."""
    return {"doctor": doctor.id, "start": START}


async def book(forms: Forms, patient: Person, asked: dict[str, str]) -> tuple[str, str]:
    """Return the addresses of the confirmation page and of the visit."""
    await forms.sign_in(patient)
    confirming = (await forms.send("/visit/pick", on="/my/account", **asked)).headers["Location"]
    booked = await forms.send(confirming, **asked, reason="A mole")
    return confirming, f"/my/appointments/{booked.headers['Location'].rpartition('/')[2]}"


async def test_the_same_time_in_another_tab(forms: Forms, patient: Person, asked: dict[str, str]) -> None:
    _, visit = await book(forms, patient, asked)
    for start in (START, "2026-12-08T09:15:00Z"):
        again = await forms.send("/visit/pick", on="/my/account", **asked | {"start": start})
        assert (again.status_code, again.headers["Location"]) == (303, visit)
        shown = await forms.client.get(visit)
        assert "You already have an appointment with this doctor at this time." in shown.text
    assert len((await patient.get("/appointments")).json()) == 1


async def test_the_same_confirmation_in_another_tab(forms: Forms, patient: Person, asked: dict[str, str]) -> None:
    confirming, visit = await book(forms, patient, asked)
    for reason, is_told in (("A mole again", True), (" A mole ", False), ("", False)):
        again = await forms.send(confirming, on="/my/account", **asked, reason=reason)
        assert (again.status_code, again.headers["Location"]) == (303, visit)
        shown = (await forms.client.get(visit)).text
        assert ("What you wrote now was not added." in shown) is is_told
        assert "You already have an appointment" not in shown
    assert (await patient.get("/appointments")).json()[0]["reason"] == "A mole"


@pytest.mark.parametrize("minutes", [0, 6])
async def test_the_hold_that_was_booked_leads_to_the_visit(
    forms: Forms, patient: Person, asked: dict[str, str], clock: SetClock, minutes: int
) -> None:
    await forms.sign_in(patient)
    confirming = (await forms.send("/visit/pick", on="/my/account", **asked)).headers["Location"]
    clock.advance(minutes=minutes)
    booked = await forms.send(confirming, on="/my/account", **asked)
    shown = await forms.client.get(confirming)
    assert (shown.status_code, shown.headers["Location"]) == (
        303,
        booked.headers["Location"].replace("/visit/done/", "/my/appointments/"),
    )


async def test_a_day_that_the_own_visit_has_filled(
    forms: Forms, patient: Person, doctor: Person, asked: dict[str, str]
) -> None:
    await doctor.update_profile(daily_limit=1)
    _, visit = await book(forms, patient, asked)
    again = await forms.send("/visit/pick", on="/my/account", **asked)
    assert (again.status_code, again.headers["Location"]) == (303, visit)


async def test_a_cancelled_visit_is_not_in_the_way(forms: Forms, patient: Person, asked: dict[str, str]) -> None:
    confirming, visit = await book(forms, patient, asked)
    await patient.delete(visit.replace("/my", ""))
    again = await forms.send("/visit/pick", on="/my/account", **asked)
    assert again.status_code == 303
    assert again.headers["Location"] not in {visit, confirming}


async def test_somebody_elses_hold_and_visit_stay_theirs(
    forms: Forms, patient: Person, register: Register, asked: dict[str, str]
) -> None:
    confirming, visit = await book(forms, patient, asked)
    await forms.send("/sign-out", on="/my/account")
    await forms.sign_in(await register("patient"))
    assert (await forms.client.get(confirming)).status_code == 404
    assert (await forms.client.get(visit)).status_code == 404
    assert (await forms.send("/visit/pick", on="/my/account", **asked)).status_code == 409


async def test_a_hold_becomes_the_appointment_with_its_id(patient: Person, doctor: Person) -> None:
    held = (await patient.post("/holds", {"doctor_id": doctor.id, "start_time": START})).json()
    other = await patient.try_to_book(doctor, "2026-12-08T11:00:00Z", hold_id=held["id"])
    assert other.json()["id"] != held["id"], "the hold is for another time"
    booked = await patient.try_to_book(doctor, START, hold_id=held["id"])
    assert booked.json()["id"] == held["id"]
    assert (await patient.try_to_book(doctor, START, hold_id=held["id"])).json()["code"] == "slot_taken"
