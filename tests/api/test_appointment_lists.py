"""Lists of appointments: order, pages and filters."""

import base64
from datetime import UTC, datetime

from tests.conftest import SetClock
from tests.people import Person, next_page


async def book_a_week(doctor: Person, patient: Person) -> list[str]:
    """Five visits, at 15:00 UTC from 7 to 11 December; the ids in that order."""
    await doctor.publish("2026-12-07T00:00:00Z", "2026-12-12T00:00:00Z")
    booked = {day: await patient.book(doctor, f"2026-12-{day:02}T15:00:00Z") for day in (9, 7, 11, 8, 10)}
    return [booked[day]["id"] for day in sorted(booked)]


async def test_list_has_upcoming_appointments_first_and_then_past_ones_backwards(
    doctor: Person, patient: Person, clock: SetClock
) -> None:
    mon, tue, wed, thu, fri = await book_a_week(doctor, patient)
    clock.time = datetime(2026, 12, 9, 15, 10, tzinfo=UTC)  # Wednesday's appointment is running
    doctor, patient = await doctor.log_in_again(), await patient.log_in_again()
    all_of_the_doctor = "/doctors/me/appointments?from=2026-12-01T00:00:00Z"
    for person, path in ((doctor, all_of_the_doctor), (doctor, "/appointments"), (patient, "/appointments")):
        listed = [appointment["id"] for appointment in (await person.get(path)).json()]
        assert listed == [wed, thu, fri, tue, mon]


async def test_doctor_lists_upcoming_appointments_unless_filtered(
    doctor: Person, patient: Person, clock: SetClock
) -> None:
    mon, tue, wed, thu, fri = await book_a_week(doctor, patient)
    await patient.delete(f"/appointments/{thu}")
    clock.time = datetime(2026, 12, 8, 15, tzinfo=UTC)
    doctor = await doctor.log_in_again()
    await doctor.post(f"/appointments/{tue}/arrive", None)
    await doctor.post(f"/appointments/{mon}/no-show", None)
    for limit in (1, 2, 50):
        listed: list[str] = []
        path: str | None = f"/doctors/me/appointments?limit={limit}"
        while path:
            response = await doctor.get(path)
            listed += [appointment["id"] for appointment in response.json()]
            path = next_page(response)
        assert listed == [tue, wed, fri], limit
    await doctor.post(f"/appointments/{tue}/complete", None)
    assert [each["id"] for each in (await doctor.get("/doctors/me/appointments")).json()] == [wed, fri]
    for query, expected in {
        "from=2026-12-07T00:00:00Z": [tue, wed, thu, fri, mon],
        "to=2026-12-09T00:00:00Z": [tue, mon],
        "status=cancelled": [thu],
        "status=noshow": [mon],
        "from=2026-12-07T00:00:00Z&status=fulfilled&status=booked": [tue, wed, fri],
    }.items():
        filtered = (await doctor.get(f"/doctors/me/appointments?{query}")).json()
        assert [each["id"] for each in filtered] == expected, query
    assert len((await doctor.get("/appointments")).json()) == 5


async def test_appointments_are_paged_while_time_passes(doctor: Person, patient: Person, clock: SetClock) -> None:
    mon, tue, wed, thu, fri = await book_a_week(doctor, patient)
    for limit in (1, 2, 3, 4, 5):
        clock.time = datetime(2026, 12, 9, 15, 10, tzinfo=UTC)
        patient = await patient.log_in_again()
        listed: list[str] = []
        path: str | None = f"/appointments?limit={limit}"
        while path:
            response = await patient.get(path)
            assert len(response.json()) <= limit
            listed += [appointment["id"] for appointment in response.json()]
            path = next_page(response)
            clock.advance(minutes=5)  # Wednesday's appointment ends between two pages
        assert listed == [wed, thu, fri, tue, mon], limit


async def test_appointments_are_filtered_by_status_and_time(doctor: Person, patient: Person) -> None:
    mon, tue, wed, thu, fri = await book_a_week(doctor, patient)
    await patient.delete(f"/appointments/{tue}")
    await doctor.delete(f"/appointments/{fri}")

    async def listed(**query: object) -> list[str]:
        response = await doctor.get("/doctors/me/appointments", params=query)
        assert response.status_code == 200, response.text
        return [appointment["id"] for appointment in response.json()]

    assert await listed(status="booked") == [mon, wed, thu]
    assert await listed(status=["booked", "cancelled"]) == [mon, tue, wed, thu, fri]
    assert await listed(status="cancelled", limit=1) == [tue]
    assert await listed(**{"from": "2026-12-08T15:30:00Z"}) == [wed, thu, fri]
    assert await listed(**{"from": "2026-12-08T15:29:59Z"}) == [tue, wed, thu, fri]
    assert await listed(to="2026-12-08T15:00:00Z") == [mon]
    assert await listed(to="2026-12-08T15:00:01Z") == [mon, tue]
    assert await listed(**{"from": "2026-12-08T00:00:00Z", "to": "2026-12-10T00:00:00Z", "status": "booked"}) == [wed]


async def test_invalid_query_of_the_list_is_refused(patient: Person) -> None:
    failures = []
    for query in (
        "limit=0", "limit=-1", "limit=101", "limit=x", "limit=1e2", "cursor=x", "cursor=", "cursor=bnVsbA", "status=x",
        "status=", "from=2026-12-08", "from=1796724000", "from=2026-12-08T10:00:00", "to=yesterday", "sort=id",
        "patient_id=1", "limit=9999999999999999999999999",
    ):  # fmt: skip
        response = await patient.get(f"/appointments?{query}")
        named = [error["field"] for error in response.json()["errors"]] if response.status_code == 422 else []
        if not named or not named[0].startswith(query.partition("=")[0]):
            failures.append((query, response.text))
    assert not failures


async def test_forged_cursor_of_the_list_is_refused(patient: Person) -> None:
    failures = []
    for key in (
        '["0001-01-01T00:00:00Z",false,"2026-12-08T15:00:00Z","019abcde-f012-7345-8678-9abcdef01234"]',
        '["2026-12-08T15:00:00Z",false,1796724000,"019abcde-f012-7345-8678-9abcdef01234"]',
        '["2026-12-08T15:00:00Z",false,"2026-12-08T15:00:00Z","x"]',
        '["2026-12-08T15:00:00Z"]',
        "{}",
        "[" * 300,
    ):
        cursor = base64.urlsafe_b64encode(key.encode()).decode()
        response = await patient.get(f"/appointments?cursor={cursor}")
        if response.status_code != 422:
            failures.append((key, response.text))
    assert not failures
