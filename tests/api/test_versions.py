"""What is edited as a whole has a version: of two who change the same, the second is told."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from app.core.versions import changed_fields, content_version
from tests.people import Person, assert_problem


@dataclass(frozen=True)
class Edited:
    """Something that is read and changed at one address."""

    method: str
    path: str
    one: dict[str, Any]
    other: dict[str, Any]


PRACTICE = Edited("PATCH", "/doctors/me", {"bio": "Skin"}, {"daily_limit": 4})
HOURS = Edited("PUT", "/doctors/me/hours", {"monday": [["09:00", "12:00"]]}, {"friday": [["09:00", "12:00"]]})
KIND = Edited("PATCH", "/doctors/me/visit-types/{kind}", {"daily_limit": 4}, {"duration_minutes": 40})
ACCOUNT = Edited("PATCH", "/auth/me", {"name": "Dr One"}, {"name": "Dr Other"})


@pytest.fixture(params=[PRACTICE, HOURS, KIND, ACCOUNT], ids=["practice", "hours", "kind", "account"])
async def edited(request: pytest.FixtureRequest, doctor: Person) -> Edited:
    found: Edited = request.param
    kind = (await doctor.add_visit_type())["id"]
    return Edited(found.method, found.path.format(kind=kind), found.one, found.other)


async def change(person: Person, edited: Edited, body: dict[str, Any], *tags: str) -> httpx2.Response:
    headers = person.headers | ({"If-Match": ", ".join(tags)} if tags else {})
    return await person.client.request(edited.method, edited.path, json=body, headers=headers)


async def test_change_of_an_outdated_version_is_refused(doctor: Person, edited: Edited) -> None:
    read = await doctor.get(edited.path)
    opened = read.headers["ETag"]
    first = await change(doctor, edited, edited.one, opened)
    assert first.status_code == 200, first.text
    assert first.headers["ETag"] != opened
    before = await doctor.get(edited.path)
    assert before.headers["ETag"] == first.headers["ETag"]
    for tags in ([opened], [f"W/{first.headers['ETag']}"], ['"7"'], ["never"], [""], ['"' + "0" * 300 + '"']):
        assert_problem(await change(doctor, edited, edited.other, *tags), 412, "version_mismatch")
    after = await doctor.get(edited.path)
    assert (after.json(), after.headers["ETag"]) == (before.json(), before.headers["ETag"])
    assert (await change(doctor, edited, edited.other, opened, first.headers["ETag"])).status_code == 200
    for tags in (["*"], []):
        assert (await change(doctor, edited, edited.one, *tags)).status_code == 200


async def test_change_to_the_same_content_keeps_the_version(doctor: Person, edited: Edited) -> None:
    first = await change(doctor, edited, edited.one)
    assert (await change(doctor, edited, edited.one, first.headers["ETag"])).headers["ETag"] == first.headers["ETag"]


async def test_one_of_several_concurrent_changes_is_made(doctor: Person, edited: Edited) -> None:
    opened = (await doctor.get(edited.path)).headers["ETag"]
    responses = await asyncio.gather(
        *(change(doctor, edited, body, opened) for body in (edited.one, edited.other) for _ in range(3))
    )
    made = [response for response in responses if response.status_code == 200]
    assert {response.status_code for response in responses} == {200, 412}
    assert len(made) == 1


async def test_one_of_several_concurrent_name_changes_is_made(patient: Person) -> None:
    opened = (await patient.get("/auth/me")).headers["ETag"]
    responses = await asyncio.gather(
        *(change(patient, ACCOUNT, {"name": f"Ann {number}"}, opened) for number in range(4))
    )
    assert sorted(response.status_code for response in responses) == [200, 412, 412, 412]


async def test_cancellation_of_outdated_planned_hours_is_refused(doctor: Person) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"]])
    opened = (
        await doctor.set_hours(monday=[["10:00", "12:00"]], valid_from="2027-07-01"),
        await doctor.get(HOURS.path),
    )[1]
    await doctor.set_hours(monday=[["10:00", "14:00"]], valid_from="2027-07-01")
    cancel = Edited("DELETE", "/doctors/me/hours/2027-07-01", {}, {})
    headers = doctor.headers | {"If-Match": opened.headers["ETag"]}
    assert_problem(await doctor.client.request("DELETE", cancel.path, headers=headers), 412, "version_mismatch")
    headers["If-Match"] = (await doctor.get(f"{HOURS.path}?from=2030-01-01")).headers["ETag"]
    assert (await doctor.client.request("DELETE", cancel.path, headers=headers)).status_code == 204


def test_version_reveals_the_changed_fields() -> None:
    content = {"name": "Ann", "languages": ["en"], "limit": None}
    version = content_version(content)
    assert changed_fields(content, version) == []
    assert changed_fields(content | {"limit": 0, "name": "Anne"}, version) == ["name", "limit"]
    for other in ("", "0", f"{version}-0", "name"):
        assert changed_fields(content, other) == list(content)
