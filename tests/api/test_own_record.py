import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import httpx2

from app.db.database import Database
from app.repositories.erasure import ERASED
from app.repositories.patients import get_patient
from tests.conftest import SetClock
from tests.people import Person, assert_problem

EMPTY = {"birth_date": None, "phone": None, "locale": None, "time_zone": None}
FILLED = {"birth_date": "1990-05-17", "phone": "+442071838750", "locale": "en-GB", "time_zone": "Europe/London"}


async def test_new_patient_has_a_record_with_the_id_of_the_account(patient: Person) -> None:
    account = (await patient.get("/auth/me")).json()
    record = (await patient.get("/patients/me")).json()
    assert record == EMPTY | {name: account[name] for name in ("id", "name", "email", "created_at")}


async def test_record_is_changed_field_by_field(patient: Person) -> None:
    expected = (await patient.get("/patients/me")).json()
    for name, value in FILLED.items():
        expected |= {name: value}
        assert (await patient.patch("/patients/me", json={name: value})).json() == expected
    assert (await patient.patch("/patients/me", json={})).json() == expected
    for name in FILLED:
        expected |= {name: None}
        assert (await patient.patch("/patients/me", json={name: None})).json() == expected


async def test_name_of_account_and_record_stay_equal(patient: Person, booked: dict[str, Any]) -> None:
    for path, name in (("/patients/me", "Ann Lee-Cohen"), ("/auth/me", "Ann Cohen")):
        assert (await patient.patch(path, json={"name": name})).json()["name"] == name
        assert [(await patient.get(each)).json()["name"] for each in ("/auth/me", "/patients/me")] == [name, name]
    assert (await patient.get(f"/appointments/{booked['id']}")).json()["patient"]["name"] == "Ann Cohen"


async def test_telephone_numbers_are_stored_in_one_format(patient: Person) -> None:
    for written in ("+44 (0)20 7183-8750", "+44.20.7183.8750", "tel:+44-20-7183-8750", " +442071838750 "):
        answer = await patient.patch("/patients/me", json={"phone": written})
        assert answer.json()["phone"] == "+442071838750", written
    for wrong in (
        "020 7183 8750",
        "+44 20",
        "+44 20 7183 8750 ext. 12",
        "ann@example.com",
        "",
        "+999 1234567",
        "1" * 41,
    ):
        answer = await patient.patch("/patients/me", json={"phone": wrong})
        assert_problem(answer, 422, "invalid_request")
        assert [each["field"] for each in answer.json()["errors"]] == ["phone"], wrong
    assert (await patient.get("/patients/me")).json()["phone"] == "+442071838750"


async def test_birth_date_in_the_future_is_refused(patient: Person, clock: SetClock) -> None:
    today = clock.time.date()
    assert (await patient.patch("/patients/me", json={"birth_date": f"{today}"})).status_code == 200
    answer = await patient.patch("/patients/me", json={"birth_date": f"{today.replace(year=today.year + 1)}"})
    assert_problem(answer, 422, "invalid_request")
    assert answer.json()["errors"][0]["field"] == "birth_date"
    answer = await patient.patch("/patients/me", json={"birth_date": "1899-12-31"})
    assert_problem(answer, 422, "invalid_request")


async def change_version(patient: Person, tag: str, changes: Mapping[str, str | None]) -> httpx2.Response:
    return await patient.client.patch("/patients/me", json=changes, headers=patient.headers | {"If-Match": tag})


async def test_outdated_version_changes_nothing(patient: Person) -> None:
    tag = (await patient.get("/patients/me")).headers["ETag"]
    first = await change_version(patient, tag, FILLED)
    assert first.status_code == 200
    answer = await change_version(patient, tag, {"phone": None})
    assert_problem(answer, 412, "version_mismatch")
    assert (await patient.get("/patients/me")).json()["phone"] == FILLED["phone"]
    answer = await change_version(patient, first.headers["ETag"], {"phone": None})
    assert answer.status_code == 200


async def test_of_two_changes_of_one_version_one_is_refused(patient: Person) -> None:
    tag = (await patient.get("/patients/me")).headers["ETag"]
    changes = [{"name": "Ann One"}, {"phone": "+442071838750"}, {"birth_date": "1990-05-17"}]
    answers = await asyncio.gather(*(change_version(patient, tag, each) for each in changes))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]


async def test_record_is_exported_and_erased(patient: Person, database: Database) -> None:
    await patient.patch("/patients/me", json=FILLED)
    record = (await patient.get("/patients/me")).json()
    assert (await patient.get("/auth/me/export")).json()["record"] == record
    assert (await patient.delete("/auth/me")).status_code == 204
    async with database.read() as transaction:
        erased = await get_patient(transaction, UUID(patient.id))
    assert erased.content == EMPTY | {"name": ERASED}


async def test_reading_and_changing_the_record_is_audited(patient: Person, admin: Person) -> None:
    await patient.get("/patients/me")
    await patient.patch("/patients/me", json={"phone": "+442071838750"})
    events = (await admin.get("/admin/audit", params={"patient_id": patient.id})).json()
    assert [(each["action"], each["actor_id"]) for each in events[:2]] == [
        ("change_own_record", patient.id),
        ("get_own_record", patient.id),
    ]
