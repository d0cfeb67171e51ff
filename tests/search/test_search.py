"""Searching the earliest visits across all doctors."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx2
import pytest
from sqlalchemy import text

from app.db.database import Database
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, next_page
from tests.search.asking import answer, find, names, open_doctor


async def test_each_visit_comes_with_its_doctor_and_its_kind(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T15:00:00Z")
    check_up = await doctor.add_visit_type(name="Check-up", duration_minutes=30, mode="video")
    found = await answer(client)
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


async def test_a_doctor_without_kinds_is_found_with_her_usual_visit(
    client: httpx2.AsyncClient, register: Register
) -> None:
    doctor = await open_doctor(register, "Dr A")
    await doctor.update_profile(default_visit_minutes=60)
    found = await answer(client, visit="60")
    assert [each["start_time"][11:16] for each in found] == ["09:00", "10:00", "11:00"]
    assert {each["visit_type"] for each in found} == {None}
    assert await find(client, visit="30") == []


@pytest.fixture
async def town(register: Register) -> None:
    ana = await open_doctor(register, "Ana", specialty="Dermatology")
    await ana.update_profile(languages=["es", "pt-BR"])
    await ana.add_visit_type(name="Check-up", duration_minutes=20)
    await ana.add_visit_type(name="Second opinion", duration_minutes=45, mode="video")
    bo = await open_doctor(register, "Bo", specialty="Dermatology")
    await bo.update_profile(languages=["en"])
    await bo.add_visit_type(name="check-up", duration_minutes=45, mode="phone")
    await open_doctor(register, "Cy", specialty="Cardiology")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
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
    ],
)
@pytest.mark.usefixtures("town")
async def test_what_is_looked_for_is_found_and_nothing_else(
    client: httpx2.AsyncClient, query: dict[str, str], expected: set[str]
) -> None:
    assert await names(client, **query) == expected


async def test_what_a_doctor_changes_of_herself_is_found_at_once(
    client: httpx2.AsyncClient, register: Register
) -> None:
    doctor = await open_doctor(register, "Dr A", specialty="Dermatology")
    assert await names(client, specialty="dermatology") == {"Dr A"}
    await doctor.update_profile(specialty="Cardiology", languages=["de"])
    assert await names(client, specialty="dermatology") == set()
    assert await names(client, specialty="cardiology", language="de") == {"Dr A"}
    offered = await doctor.add_visit_type(name="Call", mode="phone")
    assert await names(client, visit="call") == {"Dr A"}
    await doctor.patch(f"/doctors/me/visit-types/{offered['id']}", {"name": "Talk", "mode": "video"})
    assert await names(client, visit="call") == set()
    assert await names(client, visit="talk", mode="video") == {"Dr A"}
    await doctor.delete(f"/doctors/me/visit-types/{offered['id']}")
    assert await names(client, mode="video") == set()
    assert await names(client, mode="in_person") == {"Dr A"}
    assert (await doctor.client.request("DELETE", "/auth/me", headers=doctor.headers, json={})).status_code in {
        204,
        422,
    }


async def test_only_doctors_whom_patients_see_are_found(
    client: httpx2.AsyncClient, register: Register, admin: Person
) -> None:
    doctor = await open_doctor(register, "Dr A")
    assert await names(client) == {"Dr A"}
    why = {"reason": "Left the practice"}
    assert (await admin.post(f"/admin/users/{doctor.id}/suspend", why)).status_code == 200
    assert await names(client) == set()
    assert (await admin.post(f"/admin/users/{doctor.id}/reinstate", why)).status_code == 200
    assert await names(client) == {"Dr A"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
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
        # There it is Wednesday already.
        ({"days": "wednesday", "time_zone": "Pacific/Auckland", "limit": "2"}, ["14:00", "14:30"]),
        ({"days": "wednesday", "between": "10:00-11:00", "time_zone": "Pacific/Auckland"}, ["21:00", "21:30"]),
        # What begins on Monday evening goes on into Tuesday.
        ({"days": "monday", "between": "23:00-14:30"}, ["14:00"]),
        ({"from_": "2026-12-08T20:31:00Z"}, ["21:00", "21:30"]),
        ({"from_": "2026-12-08T20:30:00Z", "to": "2026-12-08T21:30:00Z"}, ["20:30", "21:00"]),
        ({"to": "2026-12-08T14:30:00Z"}, ["14:00"]),
    ],
)
async def test_days_and_hours_are_those_of_who_asks(
    client: httpx2.AsyncClient, doctor: Person, query: dict[str, str], expected: list[str]
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")  # a Tuesday
    found = await find(client, **query)
    assert [start[11:16] for start in found] == expected
    assert {start[:10] for start in found} <= {"2026-12-08"}


@pytest.mark.parametrize(
    ("zone", "between", "expected"),
    [
        # Clocks go back: 01:30 comes twice. At 02:00 the hour is over that begins with the first 01:00.
        ("America/New_York", "01:00-02:00", ["05:00", "05:30", "06:00", "06:30"]),
        ("America/New_York", "02:00-03:00", ["07:00", "07:30"]),
        ("Europe/Berlin", "07:00-08:00", ["06:00", "06:30"]),
    ],
)
async def test_the_day_on_which_clocks_go_back(
    client: httpx2.AsyncClient, register: Register, clock: SetClock, zone: str, between: str, expected: list[str]
) -> None:
    clock.time = clock.time.replace(month=10, day=31)
    doctor = await register("doctor")
    await doctor.publish("2026-11-01T04:00:00Z", "2026-11-01T10:00:00Z")
    found = await find(client, days="sunday", between=between, time_zone=zone)
    assert [start[11:16] for start in found] == expected


@pytest.mark.parametrize(
    ("zone", "day", "between", "expected"),
    [
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
    ],
)
async def test_the_hours_asked_for_are_those_that_the_clock_shows(
    client: httpx2.AsyncClient,
    register: Register,
    clock: SetClock,
    zone: str,
    day: str,
    between: str,
    expected: list[str],
) -> None:
    morning = datetime.fromisoformat(f"{day}T06:00").replace(tzinfo=ZoneInfo(zone))
    clock.time = morning.astimezone(UTC) - timedelta(days=2)
    doctor = await register("doctor", time_zone=zone)
    await doctor.update_profile(default_visit_minutes=15)
    midnight = morning.astimezone(UTC) - timedelta(hours=7)
    await doctor.publish(f"{midnight:%Y-%m-%dT%H:%M:%SZ}", f"{morning.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
    found = await answer(client, between=between, time_zone=zone)
    shown = [each["local_start"][11:16] for each in found if each["local_start"].startswith(day)]
    assert shown == expected


async def test_an_empty_answer_says_how_far_it_looked(client: httpx2.AsyncClient, register: Register) -> None:
    await register("doctor")
    answered = await client.get("/search/slots")
    assert answered.json() == []
    assert answered.headers["Searched-Until"] == "2027-02-01T08:00:00Z"
    answered = await client.get("/search/slots", params={"to": "2026-12-02T00:00:00Z", "days": "monday"})
    assert answered.json() == []
    assert answered.headers["Searched-Until"] == "2026-12-02T00:00:00Z"
    answered = await client.get("/search/slots", params={"from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z"})
    assert (answered.json(), answered.headers["Searched-Until"]) == ([], "2026-11-02T00:00:00Z")


@pytest.mark.parametrize(
    ("query", "field"),
    [
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
    ],
)
async def test_what_cannot_be_understood_is_refused(client: httpx2.AsyncClient, query: str, field: str) -> None:
    body = assert_problem(await client.get(f"/search/slots?{query}"), 422, "invalid_request")
    assert [error["field"] for error in body["errors"]] == [field]


async def test_those_who_start_together_take_turns(client: httpx2.AsyncClient, register: Register) -> None:
    doctors = {(await open_doctor(register, f"Dr {number}")).id for number in range(8)}
    by_start: dict[str, list[str]] = {}
    for each in await answer(client, limit="100"):
        by_start.setdefault(each["start_time"], []).append(each["doctor"]["id"])
    assert len(by_start) == 6
    assert all(set(order) == doctors for order in by_start.values())
    # The same order on smaller pages, and whatever is known of bounds by now.
    paged: list[tuple[str, str]] = []
    path: str | None = "/search/slots?limit=5"
    while path:
        page = await client.get(path)
        paged += [(each["start_time"], each["doctor"]["id"]) for each in page.json()]
        path = next_page(page)
    assert paged == [(start, doctor) for start, order in by_start.items() for doctor in order]


async def test_all_pages_along_the_ring_of_turns(client: httpx2.AsyncClient, register: Register) -> None:
    for number in range(12):
        await open_doctor(register, f"Dr {number}")
    whole = [(each["start_time"], each["doctor"]["id"]) for each in await answer(client, between="10:00-10:30")]
    assert {start for start, _ in whole} == {"2026-12-01T10:00:00Z"}
    assert len(set(whole)) == 12
    paged: list[tuple[str, str]] = []
    path: str | None = "/search/slots?limit=1&between=10:00-10:30"
    while path:
        page = await client.get(path)
        paged += [(each["start_time"], each["doctor"]["id"]) for each in page.json()]
        path = next_page(page)
    assert paged == whole


async def test_doctors_are_listed_with_the_next_time_they_can_be_seen(
    client: httpx2.AsyncClient, register: Register, patient: Person
) -> None:
    ann = await open_doctor(register, "Ann")
    await ann.add_visit_type(name="Long", duration_minutes=60, min_notice_minutes=90)
    await ann.add_visit_type(name="Short", duration_minutes=15, min_notice_minutes=120)
    bob = await open_doctor(register, "Bob")
    await register("doctor", name="Cleo")
    await patient.book(bob, "2026-12-01T09:00:00Z", "2026-12-01T11:00:00Z")

    async def listed(**query: str) -> dict[str, str | None]:
        answered = (await client.get("/doctors", params=query)).json()
        return {each["name"]: each["next_available"] for each in answered}

    assert await listed() == {"Ann": "2026-12-01T10:00:00Z", "Bob": "2026-12-01T11:00:00Z", "Cleo": None}
    assert await listed() == {"Ann": "2026-12-01T10:00:00Z", "Bob": "2026-12-01T11:00:00Z", "Cleo": None}
    assert await listed(q="o", limit="1") == {"Bob": "2026-12-01T11:00:00Z"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"language": "es"}, ["Ana"]),
        ({"language": "pt", "mode": "video"}, ["Ana"]),
        ({"mode": "in_person"}, ["Ana", "Cy"]),
        ({"mode": "phone"}, ["Bo"]),
        ({"specialty": "dermatology", "language": "en"}, ["Bo"]),
        ({"q": "y", "language": "en"}, []),
    ],
)
@pytest.mark.usefixtures("town")
async def test_doctors_are_listed_by_language_and_by_the_kind_of_their_visits(
    client: httpx2.AsyncClient, query: dict[str, str], expected: list[str]
) -> None:
    listed = await client.get("/doctors", params=query)
    assert [each["name"] for each in listed.json()] == expected


async def test_a_doctor_whose_time_zone_is_not_known_here_is_left_out(
    client: httpx2.AsyncClient, register: Register, database: Database
) -> None:
    lost = await open_doctor(register, "Dr Lost")
    await open_doctor(register, "Dr Found")
    async with database.write() as transaction:
        await transaction.execute(
            text(
                "UPDATE doctors SET time_zone = 'Mars/Olympus' WHERE id = (SELECT id FROM users WHERE email = :email)"
            ),
            {"email": lost.email},
        )
    assert await names(client) == {"Dr Found"}


async def test_nothing_is_found_from_a_day_on_that_is_further_ahead_than_visits_are_offered(
    client: httpx2.AsyncClient, register: Register
) -> None:
    await open_doctor(register, "Dr A")
    page = await client.get("/", params={"day": "2030-01-01"})
    assert page.status_code == 200
    assert 'name="start"' not in page.text
