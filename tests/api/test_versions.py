"""Versions of resources that are edited as a whole: an outdated change is refused."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from app.core.versions import changed_fields, content_version
from tests.people import Person, assert_problem


@dataclass(frozen=True)
class Resource:
    """A resource that is read and changed at one path, and two changes of it."""

    method: str
    path: str
    one: dict[str, Any]
    other: dict[str, Any]


PRACTICE = Resource("PATCH", "/doctors/me", {"bio": "Skin"}, {"daily_limit": 4})
HOURS = Resource("PUT", "/doctors/me/hours", {"monday": [["09:00", "12:00"]]}, {"friday": [["09:00", "12:00"]]})
VISIT_TYPE = Resource("PATCH", "/doctors/me/visit-types/{visit_type}", {"daily_limit": 4}, {"duration_minutes": 40})
ACCOUNT = Resource("PATCH", "/auth/me", {"name": "Dr One"}, {"name": "Dr Other"})


@pytest.fixture(params=[PRACTICE, HOURS, VISIT_TYPE, ACCOUNT], ids=["practice", "hours", "visit_type", "account"])
async def resource(request: pytest.FixtureRequest, doctor: Person) -> Resource:
    found: Resource = request.param
    visit_type = (await doctor.add_visit_type())["id"]
    return Resource(found.method, found.path.format(visit_type=visit_type), found.one, found.other)


async def change(person: Person, resource: Resource, body: dict[str, Any], *tags: str) -> httpx2.Response:
    headers = person.headers | ({"If-Match": ", ".join(tags)} if tags else {})
    return await person.client.request(resource.method, resource.path, json=body, headers=headers)


async def test_change_of_an_outdated_version_is_refused(doctor: Person, resource: Resource) -> None:
    read = await doctor.get(resource.path)
    etag = read.headers["ETag"]
    first = await change(doctor, resource, resource.one, etag)
    assert first.status_code == 200, first.text
    assert first.headers["ETag"] != etag
    before = await doctor.get(resource.path)
    assert before.headers["ETag"] == first.headers["ETag"]
    for tags in ([etag], [f"W/{first.headers['ETag']}"], ['"7"'], ["never"], [""], ['"' + "0" * 300 + '"']):
        assert_problem(await change(doctor, resource, resource.other, *tags), 412, "version_mismatch")
    after = await doctor.get(resource.path)
    assert (after.json(), after.headers["ETag"]) == (before.json(), before.headers["ETag"])
    assert (await change(doctor, resource, resource.other, etag, first.headers["ETag"])).status_code == 200
    for tags in (["*"], []):
        assert (await change(doctor, resource, resource.one, *tags)).status_code == 200


async def test_change_to_the_same_content_keeps_the_version(doctor: Person, resource: Resource) -> None:
    first = await change(doctor, resource, resource.one)
    assert (await change(doctor, resource, resource.one, first.headers["ETag"])).headers["ETag"] == first.headers[
        "ETag"
    ]


async def test_one_of_several_concurrent_changes_is_made(doctor: Person, resource: Resource) -> None:
    etag = (await doctor.get(resource.path)).headers["ETag"]
    responses = await asyncio.gather(
        *(change(doctor, resource, body, etag) for body in (resource.one, resource.other) for _ in range(3))
    )
    succeeded = [response for response in responses if response.status_code == 200]
    assert {response.status_code for response in responses} == {200, 412}
    assert len(succeeded) == 1


async def test_one_of_several_concurrent_name_changes_is_made(patient: Person) -> None:
    etag = (await patient.get("/auth/me")).headers["ETag"]
    responses = await asyncio.gather(
        *(change(patient, ACCOUNT, {"name": f"Ann {number}"}, etag) for number in range(4))
    )
    assert sorted(response.status_code for response in responses) == [200, 412, 412, 412]


async def test_cancellation_of_outdated_planned_hours_is_refused(doctor: Person) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"]])
    await doctor.set_hours(monday=[["10:00", "12:00"]], valid_from="2027-07-01")
    outdated = (await doctor.get(HOURS.path)).headers["ETag"]
    await doctor.set_hours(monday=[["10:00", "14:00"]], valid_from="2027-07-01")
    planned = "/doctors/me/hours/2027-07-01"

    async def cancel(etag: str) -> httpx2.Response:
        return await doctor.client.delete(planned, headers=doctor.headers | {"If-Match": etag})

    assert_problem(await cancel(outdated), 412, "version_mismatch")
    current = (await doctor.get(f"{HOURS.path}?from=2030-01-01")).headers["ETag"]
    assert (await cancel(current)).status_code == 204


def test_version_reveals_the_changed_fields() -> None:
    content = {"name": "Ann", "languages": ["en"], "limit": None}
    version = content_version(content)
    assert changed_fields(content, version) == []
    assert changed_fields(content | {"limit": 0, "name": "Anne"}, version) == ["name", "limit"]
    for other in ("", "0", f"{version}-0", "name"):
        assert changed_fields(content, other) == list(content)
