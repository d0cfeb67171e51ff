"""The members of a clinic find, add and edit its patients."""

import asyncio
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from app.core.clinic_permissions import MemberRole
from app.db.database import Database
from app.models import Clinic, ClinicDoctor, Member
from tests.conftest import CountStatements, Register
from tests.people import Person, assert_problem

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
NINE, TEN, FIVE = (f"2026-12-08T{hour}:00:00Z" for hour in (14, 15, 22))
ANN = {"name": "Ann Lee-Cohen", "birth_date": "1990-05-17", "phone": "020 7183 8750", "file_number": "A-4711"}


async def make_clinic(database: Database, *members: tuple[Person, MemberRole], country: str = "GB") -> str:
    clinic_id = uuid4()
    async with database.write() as transaction:
        await transaction.execute(
            insert(Clinic).values(
                id=clinic_id, name="C", public_name="C", time_zone="UTC", country=country, locale="en", created_at=NOW
            )
        )
        for person, role in members:
            values = {"clinic_id": clinic_id, "user_id": UUID(person.id), "role": role, "created_at": NOW}
            await transaction.execute(insert(Member).values(values))
    return str(clinic_id)


@pytest.fixture
async def desk(register: Register) -> Person:
    """A receptionist."""
    return await register("patient")


@pytest.fixture
async def path(database: Database, desk: Person) -> str:
    """The path of the patients of the receptionist's clinic."""
    return f"/clinics/{await make_clinic(database, (desk, MemberRole.RECEPTIONIST))}/patients"


async def add_doctor(database: Database, path: str, doctor: Person, **days: date) -> None:
    values = {"clinic_id": UUID(path.split("/")[2]), "doctor_id": UUID(doctor.id), "created_at": NOW, **days}
    async with database.write() as transaction:
        await transaction.execute(insert(ClinicDoctor).values(values))


async def add(desk: Person, path: str, **fields: Any) -> dict[str, Any]:
    response = await desk.post(path, ANN | fields)
    assert response.status_code == 201, response.text
    added: dict[str, Any] = response.json()
    return added


async def find(desk: Person, path: str, q: str) -> list[str]:
    response = await desk.get(path, params={"q": q})
    assert response.status_code == 200, response.text
    return [each["patient"]["name"] for each in response.json()]


async def test_patient_needs_only_a_name_and_is_found_by_every_part(desk: Person, path: str) -> None:
    added = await add(desk, path)
    assert added == {
        "patient": {
            "id": added["patient"]["id"],
            "name": "Ann Lee-Cohen",
            "birth_date": "1990-05-17",
            "phone": "+442071838750",
            "email": None,
            "locale": None,
            "time_zone": None,
            "created_at": "2026-12-01T08:00:00Z",
        },
        "has_account": False,
        "file_number": "A-4711",
        "note": None,
        "next_visit": None,
        "last_visit": None,
    }
    other = (await desk.post(path, {"name": "\N{LATIN CAPITAL LETTER O WITH STROKE}ystein Lee"})).json()
    found = (
        "cohen ann",
        "LEE ann",
        "cohen l",
        "1990-05-17",
        "17.05.1990",
        "17/5/1990",
        "5/17/1990",
        "8750",
        "38750 ann",
        "020 7183 8750",
        "+44 20 7183 8750",
        "0044 (20) 7183-8750",
        "a-4711",
        "a-471 lee",
        "ann 17.05.1990 8750",
    )
    for q in found:
        assert await find(desk, path, q) == ["Ann Lee-Cohen"], q
    assert await find(desk, path, "oystein") == [other["patient"]["name"]]
    assert await find(desk, path, "lee") == ["Ann Lee-Cohen", other["patient"]["name"]]
    for q in ("bob", "ann 18.05.1990", "8751", "7183", "cohe 1111", "a-4712"):
        assert await find(desk, path, q) == [], q


async def test_short_searches_and_searches_without_letters_are_refused(desk: Person, path: str) -> None:
    await add(desk, path)
    for q in ("", "an", "a n l", "875", "+4", "--- ...", "%%%"):
        answer = await desk.get(path, params={"q": q})
        assert_problem(answer, 422, "invalid_request")
        assert answer.json()["errors"][0]["field"] == "q", q
    assert_problem(await desk.get(path), 422, "invalid_request")


async def test_search_gives_ten_patients_by_name(desk: Person, path: str) -> None:
    for number in reversed(range(12)):
        await add(desk, path, name=f"Ann {'abcdefghijkl'[number]}", birth_date=None, phone=None, file_number=None)
    assert await find(desk, path, "ann") == [f"Ann {letter}" for letter in "abcdefghij"]


async def test_other_clinics_neither_find_nor_see_the_patient(
    desk: Person, path: str, database: Database, register: Register
) -> None:
    added = (await add(desk, path))["patient"]["id"]
    other = await register("patient")
    other_path = f"/clinics/{await make_clinic(database, (other, MemberRole.MANAGER))}/patients"
    assert await find(other, other_path, "ann lee") == []
    assert_problem(await other.get(f"{other_path}/{added}"), 404, "not_found")
    assert_problem(await other.patch(f"{other_path}/{added}", {"note": "x"}), 404, "not_found")
    assert_problem(await other.get(f"{path}/{added}"), 404, "not_found")
    # The same person can be a patient of both; nothing is compared across clinics.
    assert (await add(other, other_path))["patient"]["id"] != added


async def test_twin_is_made_only_on_purpose(desk: Person, path: str, admin: Person) -> None:
    first = (await add(desk, path))["patient"]["id"]
    for twin in (
        {"name": "ann lee cohen", "birth_date": "1990-05-17"},
        {"name": "Ann Lee-Cohen"},
        {"name": "Anna Levy", "phone": "+44 20 7183 8750"},
    ):
        answer = await desk.post(path, twin)
        assert_problem(answer, 409, "maybe_known")
        assert answer.json()["candidates"] == [
            {"id": first, "name": "Ann Lee-Cohen", "birth_date": "1990-05-17", "phone": "+442071838750"}
        ]
    assert await find(desk, path, "anna") == [], "nothing was added"
    events = (await admin.get("/admin/audit", params={"patient_id": first, "actor_id": desk.id})).json()
    assert events[0]["action"] == "find_patients"
    for other in (
        {"name": "Ann Lee-Cohen", "birth_date": "1991-05-17"},
        {"name": "Mia Lee", "phone": "+44 20 7183 8750"},
        {"name": "Ann Lee-Cohen", "birth_date": "1990-05-17", "new": True},
    ):
        assert (await desk.post(path, other)).status_code == 201


async def test_name_without_words_can_be_added(desk: Person, path: str) -> None:
    name = "\N{MODIFIER LETTER APOSTROPHE}"
    added = (await desk.post(path, {"name": name, "phone": "020 7183 8750", "note": "Said nothing"})).json()
    assert (added["patient"]["name"], added["note"]) == (name, "Said nothing")
    assert await find(desk, path, "8750") == [name]


async def test_patient_who_books_online_is_known_to_the_clinic(
    desk: Person, path: str, database: Database, doctor: Person, patient: Person
) -> None:
    await add_doctor(database, path, doctor)
    await doctor.publish(NINE, FIVE)
    name = (await patient.get("/auth/me")).json()["name"]
    assert await find(desk, path, name) == []
    await patient.book(doctor, TEN)
    found = (await desk.get(path, params={"q": name})).json()
    assert [(each["patient"]["id"], each["has_account"], each["next_visit"]) for each in found] == [
        (patient.id, True, TEN)
    ]
    await patient.patch("/patients/me", {"name": "Zoe Newname", "phone": "+49 30 901820"})
    assert await find(desk, path, name) == []
    for q in ("newname", "901820"):
        assert await find(desk, path, q) == ["Zoe Newname"]
    assert_problem(await desk.patch(f"{path}/{patient.id}", {"name": "Other"}), 409, "has_account")
    assert (await desk.patch(f"{path}/{patient.id}", {"note": "Rings twice"})).json()["note"] == "Rings twice"
    assert (await patient.delete("/auth/me")).status_code == 204
    assert await find(desk, path, "newname") == []
    assert_problem(await desk.get(f"{path}/{patient.id}"), 404, "not_found")


@pytest.mark.parametrize("days", [{"valid_until": date(2026, 11, 30)}, {"valid_from": date(2026, 12, 2)}])
async def test_clinic_does_not_learn_of_bookings_before_or_after_the_doctors_term(
    desk: Person, path: str, database: Database, doctor: Person, patient: Person, days: dict[str, date]
) -> None:
    await add_doctor(database, path, doctor, **days)
    await doctor.publish(NINE, FIVE)
    await patient.book(doctor, TEN)
    assert await find(desk, path, (await patient.get("/auth/me")).json()["name"]) == []


async def test_first_bookings_at_the_same_time_make_the_patient_known_once(
    desk: Person, path: str, database: Database, doctor: Person, patient: Person, register: Register
) -> None:
    other = await register("doctor")
    for each in (doctor, other):
        await add_doctor(database, path, each)
        await each.publish(NINE, FIVE)
    answers = await asyncio.gather(
        *(patient.try_to_book(each, start) for each, start in ((doctor, NINE), (other, TEN)))
    )
    assert [answer.status_code for answer in answers] == [201, 201]
    name = (await patient.get("/auth/me")).json()["name"]
    assert await find(desk, path, name) == [name]


async def test_details_are_changed_and_found(desk: Person, path: str) -> None:
    added = await add(desk, path)
    own = f"{path}/{added['patient']['id']}"
    tag = (await desk.get(own)).headers["ETag"]
    changed = await desk.patch(own, {"name": "Ann Levy", "phone": "07700 900123", "file_number": "B 1", "note": "n"})
    assert changed.json()["patient"]["phone"] == "+447700900123"
    assert await find(desk, path, "cohen") == []
    for q in ("levy", "900123", "b levy"):
        assert await find(desk, path, q) == ["Ann Levy"], q
    outdated = await desk.client.patch(own, json={"note": "m"}, headers=desk.headers | {"If-Match": tag})
    assert_problem(outdated, 412, "version_mismatch")
    await add(desk, path, name="Bob", file_number="B 2", phone=None, birth_date=None)
    assert_problem(await desk.patch(own, {"file_number": "B 2"}), 409, "file_number_taken")
    assert_problem(await desk.post(path, {"name": "Cy", "file_number": "B 2"}), 409, "file_number_taken")
    for wrong in ({"phone": "12"}, {"birth_date": "2990-01-01"}, {"name": ""}, {"name": None}):
        assert_problem(await desk.patch(own, wrong), 422, "invalid_request")
    assert (await desk.get(own)).json()["file_number"] == "B 1"


async def test_search_takes_few_statements(desk: Person, path: str, count_statements: CountStatements) -> None:
    for number in range(10):
        await add(desk, path, name=f"Ann {number}", birth_date=None, phone=None, file_number=None)
    count_statements()
    assert len(await find(desk, path, "ann")) == 10
    # The caller with roles and scope, the patients, and the audit trail.
    assert count_statements() <= 4
