"""``Idempotency-Key``: a repeated request gets the first response and has no further effect."""

import json
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from app.core.settings import Settings
from app.db.database import Database
from app.jobs.cleanup import clean_up
from app.main import create_app
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem

TEN, HALF_PAST, ELEVEN = "2026-12-08T15:00:00Z", "2026-12-08T15:30:00Z", "2026-12-08T16:00:00Z"


@pytest.fixture(autouse=True)
async def published_window(doctor: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")


async def post(person: Person, path: str, body: Any, key: str = "a-key") -> httpx2.Response:
    return await person.client.post(path, headers=person.headers | {"Idempotency-Key": key}, json=body)


def booking(doctor: Person, start: str = TEN) -> dict[str, str]:
    return {"doctor_id": doctor.id, "start_time": start}


async def count(database: Database, table: str) -> int:
    async with database.read() as transaction:
        counted: int = await transaction.scalar(text(f"SELECT count(*) FROM {table}"))
        return counted


async def test_repeated_request_gets_the_first_response(doctor: Person, patient: Person, clock: SetClock) -> None:
    first = await post(patient, "/appointments", booking(doctor))
    assert first.status_code == 201
    assert "idempotency-replayed" not in first.headers
    clock.advance(minutes=20)
    again = await post(patient, "/appointments", booking(doctor))
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["etag"] == first.headers["etag"] == '"1"'
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["idempotency-replayed"] == "true"
    assert len((await patient.get("/appointments")).json()) == 1


async def test_equal_bodies_in_another_spelling_are_the_same_request(doctor: Person, patient: Person) -> None:
    first = await post(patient, "/appointments", booking(doctor))
    headers = patient.headers | {"Idempotency-Key": "a-key", "Content-Type": "application/json"}
    reordered = json.dumps(dict(reversed(booking(doctor).items())), indent=2)
    again = await patient.client.post("/appointments", headers=headers, content=reordered)
    assert again.content == first.content


async def test_replayed_response_does_not_change_with_the_appointment(doctor: Person, patient: Person) -> None:
    first = (await post(patient, "/appointments", booking(doctor))).json()
    await patient.delete(f"/appointments/{first['id']}")
    assert (await post(patient, "/appointments", booking(doctor))).json() == first
    assert (await patient.get(f"/appointments/{first['id']}")).json()["status"] == "cancelled"


async def test_another_request_needs_another_key(doctor: Person, patient: Person) -> None:
    await post(patient, "/appointments", booking(doctor))
    for change in ({"start_time": ELEVEN}, {"reason": "A mole"}):
        assert_problem(await post(patient, "/appointments", booking(doctor) | change), 422, "key_reused")
    assert_problem(await post(patient, "/holds", booking(doctor)), 422, "key_reused")
    assert len((await patient.get("/appointments")).json()) == 1


async def test_callers_can_use_the_same_key(doctor: Person, patient: Person, register: Register) -> None:
    other = await register()
    first = (await post(patient, "/appointments", booking(doctor))).json()
    theirs = (await post(other, "/appointments", booking(doctor, ELEVEN))).json()
    assert first["patient_id"] == patient.id
    assert theirs["patient_id"] == other.id


async def test_key_is_kept_for_a_day(doctor: Person, patient: Person, clock: SetClock, database: Database) -> None:
    await post(patient, "/appointments", booking(doctor))
    clock.advance(hours=23, minutes=59, seconds=59)
    patient = await patient.log_in_again()
    assert_problem(await post(patient, "/appointments", booking(doctor, ELEVEN)), 422, "key_reused")
    clock.advance(seconds=1)
    assert (await post(patient, "/appointments", booking(doctor, ELEVEN))).status_code == 201
    assert await count(database, "idempotency_keys") == 1


async def test_key_of_a_failed_request_can_be_used_again(
    doctor: Person, patient: Person, register: Register, database: Database
) -> None:
    other = await register()
    taken = await other.book(doctor, TEN)
    assert_problem(await post(patient, "/appointments", booking(doctor)), 409, "slot_taken")
    assert_problem(await post(patient, "/appointments", booking(doctor) | {"x": "y"}), 422, "invalid_request")
    assert await count(database, "idempotency_keys") == 0
    await other.delete(f"/appointments/{taken['id']}")
    assert (await post(patient, "/appointments", booking(doctor))).status_code == 201


async def test_every_change_accepts_a_key(doctor: Person, patient: Person, clock: SetClock) -> None:
    window = {"start_time": "2026-12-09T14:00:00Z", "end_time": "2026-12-09T22:00:00Z"}
    booked = (await post(patient, "/appointments", booking(doctor), "1")).json()
    other = (await post(patient, "/appointments", booking(doctor, ELEVEN), "2")).json()
    path = f"/appointments/{booked['id']}"
    calls: list[tuple[Person, str, Any]] = [
        (patient, f"{path}/reschedule", {"start_time": HALF_PAST}),
        (patient, f"/appointments/{other['id']}/cancel", {"reason": "A cold"}),
        (patient, "/holds", booking(doctor, "2026-12-08T17:00:00Z")),
        (doctor, "/doctors/availability", window),
        (doctor, "/doctors/me/time-off", window),
        (doctor, "/doctors/me/visit-types", {"name": "Check-up", "duration_minutes": 20}),
    ]
    for number, (person, where, body) in enumerate(calls):
        first = await post(person, where, body, f"key-{number}")
        assert first.status_code in {200, 201}, first.text
        again = await post(person, where, body, f"key-{number}")
        assert (again.status_code, again.content) == (first.status_code, first.content), where
        assert again.headers["idempotency-replayed"] == "true"
    clock.advance(days=7, hours=7, minutes=40)
    doctor = await doctor.log_in_again()
    for action in ("arrive", "complete"):
        for replayed in (False, True):
            response = await doctor.client.post(
                f"{path}/{action}", headers=doctor.headers | {"Idempotency-Key": action}
            )
            assert response.status_code == 200
            assert ("idempotency-replayed" in response.headers) == replayed
    assert [each["version"] for each in (await doctor.get(f"{path}/history")).json()] == [1, 2, 3, 4]


async def test_invalid_key_is_refused(doctor: Person, patient: Person) -> None:
    authorization = (b"Authorization", patient.headers["Authorization"].encode())
    for key in ("", " ", "a b", "x" * 256, "ü", "a\tb"):
        headers = [authorization, (b"Idempotency-Key", key.encode())]
        response = await patient.client.post("/appointments", headers=headers, json=booking(doctor))
        assert assert_problem(response, 422, "invalid_request")["errors"][0]["field"] == "Idempotency-Key"
    assert (await patient.get("/appointments")).json() == []


async def test_unreadable_body_does_not_use_up_the_key(
    doctor: Person, patient: Person, database: Database, clock: SetClock
) -> None:
    booked = await patient.book(doctor, TEN)
    clock.advance(days=7, hours=7)
    doctor, patient = await doctor.log_in_again(), await patient.log_in_again()
    contents = [b"not json", b"\xff", b"[" * 30_000, b'{"a": 1, "a": 2}', b"1" * 5000]
    for content in contents:
        for path, media_type in (
            ("/appointments", "text/plain"),
            ("/appointments", "application/json"),
            (f"/appointments/{booked['id']}/reschedule", ""),
        ):
            headers = patient.headers | {"Idempotency-Key": "k", "Content-Type": media_type}
            response = await patient.client.post(path, headers=headers, content=content)
            assert_problem(response, 422, "invalid_request")
    assert await count(database, "idempotency_keys") == 0
    # A route without a body does not read it, but compares it with that of the first request.
    path = f"/appointments/{booked['id']}/arrive"
    for number, content in enumerate(contents):
        headers = doctor.headers | {"Idempotency-Key": f"k{number}"}
        first, repeated = [await doctor.client.post(path, headers=headers, content=content) for _ in range(2)]
        assert (first.status_code, repeated.status_code) == (200, 200)
        assert_problem(await doctor.client.post(path, headers=headers), 422, "key_reused")
        assert (await doctor.post(f"/appointments/{booked['id']}/undo", None)).status_code == 200


async def test_clean_up_deletes_expired_keys_of_all_callers(
    doctor: Person, patient: Person, register: Register, clock: SetClock, database: Database
) -> None:
    await post(patient, "/appointments", booking(doctor))
    clock.advance(seconds=1)
    await post(await register(), "/appointments", booking(doctor, ELEVEN))
    clock.advance(hours=24, seconds=-1)
    await clean_up(database, clock)
    assert await count(database, "idempotency_keys") == 1, "the key of the first caller is deleted"
    clock.advance(seconds=1)
    await clean_up(database, clock)
    assert await count(database, "idempotency_keys") == 0


async def test_expired_key_that_is_not_yet_deleted_can_be_used_again(
    doctor: Person, patient: Person, clock: SetClock, database: Database
) -> None:
    first = await post(patient, "/appointments", booking(doctor))
    clock.advance(hours=24)
    patient = await patient.log_in_again()
    second = await post(patient, "/appointments", booking(doctor, ELEVEN))
    assert second.status_code == 201
    assert second.json()["id"] != first.json()["id"]
    assert await count(database, "idempotency_keys") == 1
    clock.advance(minutes=1)
    again = await post(patient, "/appointments", booking(doctor, ELEVEN))
    assert (again.json(), again.headers["idempotency-replayed"]) == (second.json(), "true")


async def test_key_of_an_unauthorized_request_is_not_stored(
    client: httpx2.AsyncClient, doctor: Person, database: Database
) -> None:
    response = await client.post("/appointments", headers={"Idempotency-Key": "k"}, json=booking(doctor))
    assert_problem(response, 401, "not_authenticated")
    assert_problem(await post(doctor, "/appointments", booking(doctor)), 403, "wrong_role")
    assert await count(database, "idempotency_keys") == 0


async def test_response_lost_after_the_commit_is_replayed(
    settings: Settings, clock: SetClock, doctor: Person, patient: Person
) -> None:
    """The connection is cut after the commit and before the first byte of the response."""
    cut = create_app(settings, clock=clock)
    sent: list[str] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message["type"])
        raise ConnectionResetError

    body = json.dumps(booking(doctor)).encode()
    headers = patient.headers | {"Content-Type": "application/json", "Idempotency-Key": "a-key"}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/appointments", "raw_path": b"/appointments", "query_string": b"", "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("testserver", 80), "state": {},
    }  # fmt: skip
    async with cut.router.lifespan_context(cut):
        with pytest.raises(ConnectionResetError):
            await cut(scope, receive, send)
    assert sent[0] == "http.response.start"
    [booked] = (await patient.get("/appointments")).json()
    again = await post(patient, "/appointments", booking(doctor))
    assert again.status_code == 201
    assert again.json() == booked
    assert len((await patient.get("/appointments")).json()) == 1
