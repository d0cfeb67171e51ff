"""The search for slots across all doctors, and the list of doctors with their next slots."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx2
import pytest
from sqlalchemy import text

from app.db.database import Database
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, next_page
from tests.search.searching import find_doctors, find_starts, open_doctor, search_slots


async def test_slot_names_its_doctor_and_its_visit_type(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T15:00:00Z")
    check_up = await doctor.add_visit_type(name="Check-up", duration_minutes=30, mode="video")
    found = await search_slots(client)
    assert found == [
        {
            "start_time": f"2026-12-08T14:{minute}:00Z",
            "end_time": end,
            "local_start": f"2026-12-08T09:{minute}:00-05:00",
            "doctor": {
                "id": doctor.id,
                "name": "Dr Amara Okafor",
                "specialty": "Dermatology",
                "time_zone": "America/New_York",
            },
            "visit_type": {"id": check_up["id"], "name": "Check-up", "mode": "video", "duration_minutes": 30},
        }
        for minute, end in (("00", "2026-12-08T14:30:00Z"), ("30", "2026-12-08T15:00:00Z"))
    ]


async def test_doctor_without_visit_types_is_found_with_the_default_visit(
    client: httpx2.AsyncClient, register: Register
) -> None:
    doctor = await open_doctor(register, "Dr A")
    await doctor.update_profile(default_visit_minutes=60)
    found = await search_slots(client, visit="60")
    assert [each["start_time"][11:16] for each in found] == ["09:00", "10:00", "11:00"]
    assert {each["visit_type"] for each in found} == {None}
    assert await find_starts(client, visit="30") == []


@pytest.fixture
async def three_doctors(register: Register) -> None:
    """Ana, Bo and Cy, who differ in specialty, languages and visit types."""
    ana = await open_doctor(register, "Ana", specialty="Dermatology")
    await ana.update_profile(languages=["es", "pt-BR"])
    await ana.add_visit_type(name="Check-up", duration_minutes=20)
    await ana.add_visit_type(name="Second opinion", duration_minutes=45, mode="video")
    bo = await open_doctor(register, "Bo", specialty="Dermatology")
    await bo.update_profile(languages=["en"])
    await bo.add_visit_type(name="check-up", duration_minutes=45, mode="phone")
    await open_doctor(register, "Cy", specialty="Cardiology")


SEARCH_CRITERIA: list[tuple[dict[str, str], set[str]]] = [
    ({}, {"Ana", "Bo", "Cy"}),
    ({"specialty": "dermatology"}, {"Ana", "Bo"}),
    ({"specialty": "derma"}, set()),
    ({"language": "es"}, {"Ana"}),
    ({"language": "pt"}, {"Ana"}),
    ({"language": "PT-br"}, {"Ana"}),
    ({"language": "pt-PT"}, set()),
    ({"mode": "video"}, {"Ana"}),
    ({"mode": "in_person"}, {"Ana", "Cy"}),
    ({"visit": "CHECK-UP"}, {"Ana", "Bo"}),
    ({"visit": "45"}, {"Ana", "Bo"}),
    ({"visit": "20"}, {"Ana"}),
    ({"visit": "9999"}, set()),
    ({"specialty": "Dermatology", "language": "en", "mode": "phone", "visit": "check-up"}, {"Bo"}),
    ({"specialty": "Dermatology", "language": "en", "mode": "video"}, set()),
]


@pytest.mark.usefixtures("three_doctors")
async def test_search_finds_only_matching_doctors(client: httpx2.AsyncClient) -> None:
    failures = []
    for query, expected in SEARCH_CRITERIA:
        found = await find_doctors(client, **query)
        if found != expected:
            failures.append(f"{query}: {found} instead of {expected}")
    assert not failures


DOCTOR_CRITERIA: list[tuple[dict[str, str], list[str]]] = [
    ({"language": "es"}, ["Ana"]),
    ({"language": "pt", "mode": "video"}, ["Ana"]),
    ({"mode": "in_person"}, ["Ana", "Cy"]),
    ({"mode": "phone"}, ["Bo"]),
    ({"specialty": "dermatology", "language": "en"}, ["Bo"]),
    ({"q": "y", "language": "en"}, []),
]


@pytest.mark.usefixtures("three_doctors")
async def test_list_of_doctors_has_only_matching_doctors(client: httpx2.AsyncClient) -> None:
    failures = []
    for query, expected in DOCTOR_CRITERIA:
        listed = [each["name"] for each in (await client.get("/doctors", params=query)).json()]
        if listed != expected:
            failures.append(f"{query}: {listed} instead of {expected}")
    assert not failures


async def test_changes_of_a_profile_are_searched_at_once(client: httpx2.AsyncClient, register: Register) -> None:
    doctor = await open_doctor(register, "Dr A", specialty="Dermatology")
    assert await find_doctors(client, specialty="dermatology") == {"Dr A"}
    await doctor.update_profile(specialty="Cardiology", languages=["de"])
    assert await find_doctors(client, specialty="dermatology") == set()
    assert await find_doctors(client, specialty="cardiology", language="de") == {"Dr A"}
    offered = await doctor.add_visit_type(name="Call", mode="phone")
    assert await find_doctors(client, visit="call") == {"Dr A"}
    await doctor.patch(f"/doctors/me/visit-types/{offered['id']}", {"name": "Talk", "mode": "video"})
    assert await find_doctors(client, visit="call") == set()
    assert await find_doctors(client, visit="talk", mode="video") == {"Dr A"}
    await doctor.delete(f"/doctors/me/visit-types/{offered['id']}")
    assert await find_doctors(client, mode="video") == set()
    assert await find_doctors(client, mode="in_person") == {"Dr A"}


async def test_suspended_doctor_is_not_found(client: httpx2.AsyncClient, register: Register, admin: Person) -> None:
    doctor = await open_doctor(register, "Dr A")
    assert await find_doctors(client) == {"Dr A"}
    reason = {"reason": "Left the practice"}
    assert (await admin.post(f"/admin/users/{doctor.id}/suspend", reason)).status_code == 200
    assert await find_doctors(client) == set()
    assert (await admin.post(f"/admin/users/{doctor.id}/reinstate", reason)).status_code == 200
    assert await find_doctors(client) == {"Dr A"}


# Of a doctor who is open from 14:00 to 22:00 UTC on Tuesday, 8 December.
DAYS_AND_HOURS: list[tuple[dict[str, str], list[str]]] = [
    # In New York it is five hours earlier.
    ({"between": "09:00-10:00", "time_zone": "America/New_York"}, ["14:00", "14:30"]),
    ({"between": "16:30-24:00", "time_zone": "America/New_York"}, ["21:30"]),
    (
        {"between": "16:00-24:00", "time_zone": "Asia/Kolkata", "limit": "5"},
        ["14:00", "14:30", "15:00", "15:30", "16:00"],
    ),
    ({"between": "22:00-03:00", "time_zone": "Asia/Kolkata", "limit": "3"}, ["16:30", "17:00", "17:30"]),
    ({"days": "tuesday", "limit": "1"}, ["14:00"]),
    ({"days": "MONDAY,Tuesday", "limit": "1"}, ["14:00"]),
    ({"days": "monday"}, []),
    # In Auckland it is Wednesday already.
    ({"days": "wednesday", "time_zone": "Pacific/Auckland", "limit": "2"}, ["14:00", "14:30"]),
    ({"days": "wednesday", "between": "10:00-11:00", "time_zone": "Pacific/Auckland"}, ["21:00", "21:30"]),
    # The hours of Monday evening continue into Tuesday.
    ({"days": "monday", "between": "23:00-14:30"}, ["14:00"]),
    ({"from_": "2026-12-08T20:31:00Z"}, ["21:00", "21:30"]),
    ({"from_": "2026-12-08T20:30:00Z", "to": "2026-12-08T21:30:00Z"}, ["20:30", "21:00"]),
    ({"to": "2026-12-08T14:30:00Z"}, ["14:00"]),
]


async def test_days_and_hours_are_those_of_the_time_zone_in_the_query(
    client: httpx2.AsyncClient, doctor: Person
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    failures = []
    for query, times in DAYS_AND_HOURS:
        found = await find_starts(client, **query)
        if found != [f"2026-12-08T{time}:00Z" for time in times]:
            failures.append(f"{query}: {found} instead of {times}")
    assert not failures


HOURS_ON_DAYS_OF_A_CHANGE = [
    # Clocks go forward: 02:00 to 03:00 does not occur.
    ("America/New_York", "2027-03-14", "02:15-02:45", []),
    ("America/New_York", "2027-03-14", "02:30-03:15", ["03:00"]),
    ("America/New_York", "2027-03-14", "01:45-03:15", ["01:45", "03:00"]),
    # Clocks go back: 01:00 to 02:00 occurs twice.
    ("America/New_York", "2027-11-07", "01:15-01:45", ["01:15", "01:30", "01:15", "01:30"]),
    ("America/New_York", "2027-11-07", "01:45-02:15", ["01:45", "01:45", "02:00"]),
    # At midnight.
    ("America/Santiago", "2027-09-05", "00:15-00:45", []),
    ("America/Santiago", "2027-09-05", "00:30-01:15", ["01:00"]),
    ("Asia/Beirut", "2027-03-28", "00:00-01:00", []),
    ("Asia/Beirut", "2027-03-28", "23:45-01:15", ["01:00"]),
    ("America/Havana", "2027-11-07", "00:45-01:15", ["00:45", "00:45", "01:00"]),
]


async def test_hours_are_compared_with_the_wall_time_when_clocks_change(
    client: httpx2.AsyncClient, register: Register, clock: SetClock
) -> None:
    doctors: dict[tuple[str, str], str] = {}
    failures = []
    for zone, day, between, expected in sorted(HOURS_ON_DAYS_OF_A_CHANGE, key=lambda each: each[1]):
        morning = datetime.fromisoformat(f"{day}T06:00").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        clock.time = morning - timedelta(days=2)
        if (zone, day) not in doctors:
            doctors[zone, day] = f"Specialty {len(doctors)}"
            doctor = await register("doctor", time_zone=zone, specialty=doctors[zone, day])
            await doctor.update_profile(default_visit_minutes=15)
            midnight = morning - timedelta(hours=7)
            await doctor.publish(f"{midnight:%Y-%m-%dT%H:%M:%SZ}", f"{morning:%Y-%m-%dT%H:%M:%SZ}")
        found = await search_slots(client, between=between, time_zone=zone, specialty=doctors[zone, day])
        shown = [each["local_start"][11:16] for each in found if each["local_start"].startswith(day)]
        if shown != expected:
            failures.append(f"{zone} {day} {between}: {shown} instead of {expected}")
    assert not failures


async def test_hour_that_occurs_twice_is_found_twice_on_the_day_clocks_go_back(
    client: httpx2.AsyncClient, register: Register, clock: SetClock
) -> None:
    clock.time = clock.time.replace(month=10, day=31)
    doctor = await register("doctor")
    await doctor.publish("2026-11-01T04:00:00Z", "2026-11-01T10:00:00Z")
    failures = []
    for zone, between, times in (
        ("America/New_York", "01:00-02:00", ["05:00", "05:30", "06:00", "06:30"]),
        ("America/New_York", "02:00-03:00", ["07:00", "07:30"]),
        ("Europe/Berlin", "07:00-08:00", ["06:00", "06:30"]),
    ):
        found = await find_starts(client, days="sunday", between=between, time_zone=zone)
        if found != [f"2026-11-01T{time}:00Z" for time in times]:
            failures.append(f"{zone} {between}: {found} instead of {times}")
    assert not failures


async def test_empty_page_says_how_far_the_search_went(client: httpx2.AsyncClient, register: Register) -> None:
    await register("doctor")
    response = await client.get("/search/slots")
    assert response.json() == []
    assert response.headers["Searched-Until"] == "2027-02-01T08:00:00Z"
    response = await client.get("/search/slots", params={"to": "2026-12-02T00:00:00Z", "days": "monday"})
    assert response.json() == []
    assert response.headers["Searched-Until"] == "2026-12-02T00:00:00Z"
    response = await client.get("/search/slots", params={"from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z"})
    assert (response.json(), response.headers["Searched-Until"]) == ([], "2026-11-02T00:00:00Z")


INVALID_QUERIES = [
    ("days=someday", "days"),
    ("days=", "days"),
    ("days=monday,,friday", "days"),
    ("between=9-12", "between"),
    ("between=09:00-09:00", "between"),
    ("between=09:00-25:00", "between"),
    ("time_zone=Mars/Olympus", "time_zone"),
    ("language=%25", "language"),
    ("mode=telepathy", "mode"),
    ("visit=%00", "visit"),
    ("specialty=" + "a" * 101, "specialty"),
    ("from=2026-12-01", "from"),
    ("to=2026-11-30T00:00:00Z", "to"),
    ("to=2027-03-01T00:00:00Z", "to"),
    ("from=9999-12-31T23:59:59Z", "from"),
    ("limit=0", "limit"),
    ("limit=101", "limit"),
    ("cursor=AAAA", "cursor"),
    ("cursor=WyIyMDI2LTEyLTAxVDA5OjAwOjAwWiIsLTEsIjAxOWFiY2RlLWYwMTItNzM0NS04Njc4LTlhYmNkZWYwMTIzNCJd", "cursor"),
    ("sort=id", "sort"),
]


async def test_invalid_query_is_refused(client: httpx2.AsyncClient) -> None:
    failures = []
    for query, field in INVALID_QUERIES:
        response = await client.get(f"/search/slots?{query}")
        if response.status_code != 422:
            failures.append(f"{query}: {response.status_code}")
            continue
        errors = assert_problem(response, 422, "invalid_request")["errors"]
        if [error["field"] for error in errors] != [field]:
            failures.append(f"{query}: {errors}")
    assert not failures


async def test_pages_keep_the_order_of_doctors_with_the_same_start(
    client: httpx2.AsyncClient, register: Register
) -> None:
    doctors = {(await open_doctor(register, f"Dr {number}")).id for number in range(8)}
    by_start: dict[str, list[str]] = {}
    for each in await search_slots(client, limit="100"):
        by_start.setdefault(each["start_time"], []).append(each["doctor"]["id"])
    assert len(by_start) == 6
    assert all(set(order) == doctors for order in by_start.values())
    # Smaller pages have the same order, although the first search has saved bounds.
    paged: list[tuple[str, str]] = []
    path: str | None = "/search/slots?limit=5"
    while path:
        page = await client.get(path)
        paged += [(each["start_time"], each["doctor"]["id"]) for each in page.json()]
        path = next_page(page)
    assert paged == [(start, doctor) for start, order in by_start.items() for doctor in order]


async def test_pages_of_one_start_follow_the_ring(client: httpx2.AsyncClient, register: Register) -> None:
    for number in range(12):
        await open_doctor(register, f"Dr {number}")
    whole = [(each["start_time"], each["doctor"]["id"]) for each in await search_slots(client, between="10:00-10:30")]
    assert {start for start, _ in whole} == {"2026-12-01T10:00:00Z"}
    assert len(set(whole)) == 12
    paged: list[tuple[str, str]] = []
    path: str | None = "/search/slots?limit=1&between=10:00-10:30"
    while path:
        page = await client.get(path)
        paged += [(each["start_time"], each["doctor"]["id"]) for each in page.json()]
        path = next_page(page)
    assert paged == whole


async def test_list_of_doctors_has_their_next_slots(
    client: httpx2.AsyncClient, register: Register, patient: Person
) -> None:
    ann = await open_doctor(register, "Ann")
    await ann.add_visit_type(name="Long", duration_minutes=60, min_notice_minutes=90)
    await ann.add_visit_type(name="Short", duration_minutes=15, min_notice_minutes=120)
    bob = await open_doctor(register, "Bob")
    await register("doctor", name="Cleo")
    await patient.book(bob, "2026-12-01T09:00:00Z", "2026-12-01T11:00:00Z")

    async def list_next_slots(**query: str) -> dict[str, str | None]:
        response = await client.get("/doctors", params=query)
        return {each["name"]: each["next_available"] for each in response.json()}

    for _ in range(2):  # the second time with saved bounds
        assert await list_next_slots() == {"Ann": "2026-12-01T10:00:00Z", "Bob": "2026-12-01T11:00:00Z", "Cleo": None}
    assert await list_next_slots(q="o", limit="1") == {"Bob": "2026-12-01T11:00:00Z"}


async def test_doctor_with_an_unknown_time_zone_is_not_found(
    client: httpx2.AsyncClient, register: Register, database: Database
) -> None:
    unknown = await open_doctor(register, "Dr Unknown")
    await open_doctor(register, "Dr Known")
    async with database.write() as transaction:
        await transaction.execute(
            text(
                "UPDATE doctors SET time_zone = 'Mars/Olympus' WHERE id = (SELECT id FROM users WHERE email = :email)"
            ),
            {"email": unknown.email},
        )
    assert await find_doctors(client) == {"Dr Known"}


async def test_page_finds_nothing_from_a_day_beyond_the_furthest_bookable_one(
    client: httpx2.AsyncClient, register: Register
) -> None:
    await open_doctor(register, "Dr A")
    page = await client.get("/", params={"day": "2030-01-01"})
    assert page.status_code == 200
    assert 'name="start"' not in page.text
