import asyncio
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from app.db.database import Database
from app.models import VisitType
from app.scheduling.visits import VisitMode
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, next_page

UNKNOWN = "019abcde-f012-7345-8678-9abcdef01234"
PLAIN = {
    "buffer_before_minutes": 0,
    "buffer_after_minutes": 0,
    "slot_step_minutes": None,
    "mode": "in_person",
    "min_notice_minutes": 0,
    "max_advance_days": None,
    "daily_limit": None,
}
FULL = {
    "buffer_before_minutes": 5,
    "buffer_after_minutes": 10,
    "slot_step_minutes": 15,
    "mode": "video",
    "min_notice_minutes": 60,
    "max_advance_days": 30,
    "daily_limit": 3,
}


async def send(person: Person, method: str, path: str, body: str) -> httpx2.Response:
    """Sends a body as text, because a JSON library would not write all of the bodies."""
    headers = person.headers | {"Content-Type": "application/json"}
    return await person.client.request(method, path, content=body, headers=headers)


async def test_visit_types_are_created_and_listed(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, register: Register
) -> None:
    path = f"/doctors/{doctor.id}/visit-types"
    assert (await client.get(path)).json() == []
    plain = await doctor.add_visit_type(name="  Check-up ", duration_minutes=20)
    assert plain == {"id": plain["id"], "doctor_id": doctor.id, "name": "Check-up", "duration_minutes": 20} | PLAIN
    full = await doctor.add_visit_type(name="Call", duration_minutes=25, **FULL)
    assert full == {"id": full["id"], "doctor_id": doctor.id, "name": "Call", "duration_minutes": 25} | FULL
    for caller in (client, patient, doctor):
        assert (await caller.get(path)).json() == [plain, full]
    assert (await doctor.get("/doctors/me/visit-types")).json() == [plain, full]
    other = await register("doctor")
    assert (await other.get("/doctors/me/visit-types")).json() == []
    assert (await client.get(f"/doctors/{other.id}/visit-types")).json() == []
    for unknown in (UNKNOWN, patient.id):
        assert_problem(await client.get(f"/doctors/{unknown}/visit-types"), 404, "not_found")


async def test_fields_left_out_of_a_change_keep_their_values(doctor: Person) -> None:
    offered = await doctor.add_visit_type(name="Call", duration_minutes=25, **FULL)
    path = f"/doctors/me/visit-types/{offered['id']}"
    expected = dict(offered)
    for change in (
        {},
        {"name": "Video call"},
        {"duration_minutes": 5},
        {"duration_minutes": 720, "buffer_before_minutes": 240, "buffer_after_minutes": 0},
        {"slot_step_minutes": None},
        {"slot_step_minutes": 1440},
        {"daily_limit": None, "max_advance_days": None},
        {"max_advance_days": 0, "min_notice_minutes": 0},
        {"mode": "phone"},
    ):
        response = await doctor.patch(path, change)
        expected |= change
        assert (response.status_code, response.json()) == (200, expected), change
    assert (await doctor.get("/doctors/me/visit-types")).json() == [expected]


async def test_invalid_visit_type_is_refused(doctor: Person) -> None:
    offered = await doctor.add_visit_type(name="Call", duration_minutes=25, **FULL)
    path = f"/doctors/me/visit-types/{offered['id']}"
    wrong = ["true", '"20"', "20.0", "20.5", "-1", "9223372036854775808", "99999999999999999999999", "[20]", "{}"]
    bounds = {
        "duration_minutes": ["0", "4", "721", "null"],
        "buffer_before_minutes": ["241", "null"],
        "buffer_after_minutes": ["241", "null"],
        "slot_step_minutes": ["0", "4", "1441"],
        "min_notice_minutes": ["86401", "null"],
        "max_advance_days": ["3651"],
        "daily_limit": ["0", "501"],
        "name": ["null", '""', '" "', '"."', '"a\\u0000"', '"\\u202ea"', '"\\ud800"', f'"{"x" * 101}"', "5"],
        "mode": ["null", '"fax"', '"VIDEO"', "1", '""'],
        "id": [f'"{UNKNOWN}"'],
        "doctor_id": [f'"{UNKNOWN}"'],
        "withdrawn_at": ["null"],
        "created_at": ['"2026-12-01T08:00:00Z"'],
    }
    for field, values in bounds.items():
        for value in values + (wrong if "minutes" in field or field in {"max_advance_days", "daily_limit"} else []):
            whole = {"name": '"Call"', "duration_minutes": "20"} | {field: value}
            body = "{" + ",".join(f'"{name}": {each}' for name, each in whole.items()) + "}"
            change = f'{{"{field}": {value}}}'
            for method, where, content in (("POST", "/doctors/me/visit-types", body), ("PATCH", path, change)):
                response = await send(doctor, method, where, content)
                assert [each["field"] for each in assert_problem(response, 422, "invalid_request")["errors"]] == [
                    field
                ], content
    for content in ('{"duration_minutes": 1e999}', '{"duration_minutes": NaN}', '{"name": "a", "name": "b"}'):
        assert_problem(await send(doctor, "PATCH", path, content), 422, "invalid_request")
    for given, missing in (({"name": "Call"}, "duration_minutes"), ({"mode": "phone", "duration_minutes": 20}, "name")):
        response = await doctor.post("/doctors/me/visit-types", given)
        assert assert_problem(response, 422, "invalid_request")["errors"][0]["field"] == missing
    assert (await doctor.get("/doctors/me/visit-types")).json() == [offered]


async def test_visit_type_of_another_doctor_is_not_found(doctor: Person, patient: Person, register: Register) -> None:
    offered = await doctor.add_visit_type()
    other = await register("doctor")
    for visit_type_id in (offered["id"], UNKNOWN):
        path = f"/doctors/me/visit-types/{visit_type_id}"
        assert_problem(await other.patch(path, {"name": "Mine"}), 404, "not_found")
        assert_problem(await other.patch(path, {}), 404, "not_found")
        assert_problem(await other.delete(path), 404, "not_found")
        assert_problem(await patient.delete(path), 403, "wrong_role")
    assert (await doctor.get("/doctors/me/visit-types")).json() == [offered]


async def test_visit_types_are_paged_and_bounded(
    client: httpx2.AsyncClient, doctor: Person, database: Database
) -> None:
    offered = [await doctor.add_visit_type(name=name) for name in ("C", "A", "B")]
    for listed in (f"/doctors/{doctor.id}/visit-types", "/doctors/me/visit-types"):
        paged: list[object] = []
        path: str | None = f"{listed}?limit=2"
        while path:
            response = await doctor.get(path)
            paged += response.json()
            path = next_page(response)
        assert paged == offered
    row = {"doctor_id": UUID(doctor.id), "name": "X", "duration_minutes": 20, "mode": VisitMode.PHONE}
    buffers = dict.fromkeys(("buffer_before_minutes", "buffer_after_minutes", "min_notice_minutes"), 0)
    async with database.read() as transaction:
        created_at = await transaction.scalar(VisitType.__table__.select().with_only_columns(VisitType.created_at))
    async with database.write() as transaction:
        rows = [row | buffers | {"id": uuid7(), "created_at": created_at} for _ in range(96)]
        await transaction.execute(insert(VisitType), rows)
    last = await doctor.add_visit_type(name="The hundredth")
    one_more = {"name": "One more", "duration_minutes": 20}
    assert_problem(await doctor.post("/doctors/me/visit-types", one_more), 409, "too_many")
    await doctor.delete(f"/doctors/me/visit-types/{last['id']}")
    assert (await doctor.post("/doctors/me/visit-types", one_more)).status_code == 201
    assert len((await client.get(f"/doctors/{doctor.id}/visit-types?limit=100")).json()) == 100


async def test_names_of_visit_types_are_unique(doctor: Person, register: Register) -> None:
    first = await doctor.add_visit_type(name="Check-up Anna")
    path = "/doctors/me/visit-types"
    for name in (
        "Check-up Anna",
        " check-up  ANNA ",
        "Check-up \N{CYRILLIC CAPITAL LETTER A}nna",
        "Check-up\u00a0Anna",
    ):
        assert_problem(await doctor.post(path, {"name": name, "duration_minutes": 20}), 409, "name_taken")
    other = await doctor.add_visit_type(name="Check-up Hanna")
    assert_problem(await doctor.patch(f"{path}/{other['id']}", {"name": "CHECK-UP ANNA"}), 409, "name_taken")
    assert (await doctor.get(path)).json() == [first, other]
    # A visit type can keep its own name in another spelling, and another doctor can use the name.
    changed = await doctor.patch(f"{path}/{first['id']}", {"name": "check-up Anna", "duration_minutes": 25})
    assert changed.json()["name"] == "check-up Anna"
    await (await register("doctor")).add_visit_type(name="Check-up Anna")
    # The name of a withdrawn visit type is free.
    assert (await doctor.delete(f"{path}/{first['id']}")).status_code == 204
    await doctor.add_visit_type(name="Check-up Anna")


async def test_name_of_a_visit_type_without_a_key_is_taken(doctor: Person, database: Database) -> None:
    """Before names were unique, the later of two equal names was saved without a key."""
    await doctor.add_visit_type(name="Check-up")
    other = await doctor.add_visit_type(name="Vaccination")
    async with database.write() as transaction:
        await transaction.execute(update(VisitType).where(VisitType.name == "Check-up").values(name_key=None))
    path = "/doctors/me/visit-types"
    assert_problem(await doctor.post(path, {"name": "CHECK-UP", "duration_minutes": 20}), 409, "name_taken")
    assert_problem(await doctor.patch(f"{path}/{other['id']}", {"name": "check-up"}), 409, "name_taken")


async def test_duplicates_without_a_key_can_be_changed(doctor: Person, database: Database) -> None:
    first, second = await doctor.add_visit_type(name="Check-up"), await doctor.add_visit_type(name="Vaccination")
    async with database.write() as transaction:
        later = update(VisitType).where(VisitType.name == "Vaccination")
        await transaction.execute(later.values(name="Check-up", name_key=None))
    path = "/doctors/me/visit-types"
    for each in (first, second):
        response = await doctor.patch(f"{path}/{each['id']}", {"name": "Check-up", "duration_minutes": 25})
        assert response.status_code == 200, response.text
    assert_problem(await doctor.patch(f"{path}/{second['id']}", {"name": "check-up"}), 409, "name_taken")


async def test_one_of_several_concurrent_equal_visit_types_is_created(doctor: Person) -> None:
    responses = await asyncio.gather(
        *(doctor.post("/doctors/me/visit-types", {"name": "Check-up", "duration_minutes": 20}) for _ in range(6))
    )
    assert sorted(response.status_code for response in responses) == [201, 409, 409, 409, 409, 409]


async def test_database_refuses_a_duplicate_name(doctor: Person, database: Database, clock: SetClock) -> None:
    await doctor.add_visit_type(name="Check-up")
    taken = PLAIN | {"mode": VisitMode.VIDEO, "doctor_id": UUID(doctor.id), "name": "CHECK-UP", "name_key": "check-up"}
    with pytest.raises(IntegrityError):
        async with database.write() as transaction:
            await transaction.execute(
                insert(VisitType).values(taken | {"id": uuid7(), "duration_minutes": 20, "created_at": clock()})
            )


async def test_single_visit_type_is_read_by_its_doctor_only(doctor: Person, register: Register) -> None:
    offered = await doctor.add_visit_type()
    path = f"/doctors/me/visit-types/{offered['id']}"
    assert (await doctor.get(path)).json() == offered
    assert_problem(await (await register("doctor")).get(path), 404, "not_found")
    await doctor.delete(path)
    assert_problem(await doctor.get(path), 404, "not_found")
