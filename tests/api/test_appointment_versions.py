"""The versions of an appointment: history, `ETag` and `If-Match`."""

import base64
from datetime import UTC, datetime
from typing import Any

from tests.api.appointment_actions import act, path
from tests.conftest import SetClock
from tests.people import Person, assert_problem, next_page

TEN, HALF_PAST, ELEVEN = "2026-12-08T15:00:00Z", "2026-12-08T15:30:00Z", "2026-12-08T16:00:00Z"


async def test_history_lists_every_version(
    doctor: Person, patient: Person, booked: dict[str, Any], clock: SetClock
) -> None:
    clock.advance(minutes=5)
    await act(doctor, booked, "reschedule", {"start_time": ELEVEN})
    clock.advance(minutes=5)
    await act(patient, booked, "cancel", {"reason": "A cold"})
    first = {
        "version": 1,
        "status": "booked",
        "start_time": TEN,
        "end_time": HALF_PAST,
        "visit_type_id": None,
        "changed_at": "2026-12-01T08:00:00Z",
        "changed_by": patient.id,
    }
    second = first | {
        "version": 2,
        "start_time": ELEVEN,
        "end_time": "2026-12-08T16:30:00Z",
        "changed_at": "2026-12-01T08:05:00Z",
        "changed_by": doctor.id,
    }
    third = second | {
        "version": 3,
        "status": "cancelled",
        "changed_at": "2026-12-01T08:10:00Z",
        "changed_by": patient.id,
    }
    for person in (doctor, patient):
        assert (await person.get(path(booked, "history"))).json() == [first, second, third]


async def test_history_is_paged(patient: Person, booked: dict[str, Any]) -> None:
    for start in (HALF_PAST, ELEVEN, TEN):
        await act(patient, booked, "reschedule", {"start_time": start})
    for limit in (1, 2, 3, 4):
        versions: list[int] = []
        page: str | None = f"{path(booked, 'history')}?limit={limit}"
        while page:
            response = await patient.get(page)
            assert len(response.json()) <= limit
            versions += [each["version"] for each in response.json()]
            page = next_page(response)
        assert versions == [1, 2, 3, 4], limit


async def test_forged_history_cursor_is_refused(patient: Person, booked: dict[str, Any]) -> None:
    failures = []
    for key in ("0", "-1", "true", "1.0", "2147483648", "9223372036854775808", "null", '"1"', "[1]"):
        cursor = base64.urlsafe_b64encode(key.encode()).decode()
        response = await patient.get(f"{path(booked, 'history')}?cursor={cursor}")
        if response.status_code != 422:
            failures.append((key, response.text))
    assert not failures


async def test_responses_carry_the_version_of_the_appointment(doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    booked = await patient.try_to_book(doctor, TEN)
    assert booked.headers["etag"] == '"1"'
    assert (await patient.get(path(booked.json()))).headers["etag"] == '"1"'
    moved = await act(patient, booked.json(), "reschedule", {"start_time": ELEVEN})
    assert moved.headers["etag"] == '"2"'
    assert (await patient.delete(path(booked.json()))).headers["etag"] == '"3"'


async def test_change_of_another_version_is_refused(doctor: Person, booked: dict[str, Any], clock: SetClock) -> None:
    clock.time = datetime(2026, 12, 8, 14, tzinfo=UTC)
    doctor = await doctor.log_in_again()
    authorization = (b"Authorization", doctor.headers["Authorization"].encode())
    failures = []
    for action in ("reschedule", "cancel", "arrive", "DELETE"):
        for tag in ('"2"', '"0"', 'W/"1"', '"01"x', "1", "", '"x"', '"99999999999"', '"é"'):
            headers = [authorization, (b"If-Match", tag.encode())]
            if action == "DELETE":
                response = await doctor.client.delete(path(booked), headers=headers)
            else:
                body = {"reschedule": {"start_time": ELEVEN}, "cancel": {}}.get(action)
                response = await doctor.client.post(path(booked, action), headers=headers, json=body)
            if (response.status_code, response.json().get("code")) != (412, "version_mismatch"):
                failures.append((action, tag, response.text))
    assert not failures
    assert (await doctor.get(path(booked))).json() == booked


async def test_change_of_the_current_version_is_made(patient: Person, booked: dict[str, Any]) -> None:
    for version, (tag, start) in enumerate(
        [("{}", ELEVEN), ("*", HALF_PAST), ('"77", {}', ELEVEN), (" {} ", HALF_PAST)], start=1
    ):
        current = tag.format(f'"{version}"')
        response = await act(patient, booked, "reschedule", {"start_time": start}, **{"If-Match": current})
        assert response.json()["version"] == version + 1, current
    assert_problem(await act(patient, booked, "cancel", **{"If-Match": '"1"'}), 412, "version_mismatch")
