import json
from datetime import UTC, datetime

import httpx2
from sqlalchemy import text

from app.db.database import Database
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, get_slots, get_windows

NINE, FIVE = "2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z"
UNKNOWN = "019abcde-f012-7345-8678-9abcdef01234"

PRIVATE_FIELDS = {"approved_at": "2026-12-01T08:00:00Z", "pending_change": None}
"""The fields that only the doctor sees."""


async def test_public_profile_lacks_the_private_fields(client: httpx2.AsyncClient, doctor: Person) -> None:
    profile: dict[str, object] = {
        "id": doctor.id,
        "name": "Dr Amara Okafor",
        "specialty": "Dermatology",
        "time_zone": "America/New_York",
        "languages": [],
        "bio": None,
        "default_visit_minutes": 30,
        "min_notice_minutes": 0,
        "max_advance_days": None,
        "daily_limit": None,
        "cancel_cutoff_minutes": 0,
    }
    assert (await doctor.get("/doctors/me")).json() == profile | PRIVATE_FIELDS
    assert (await client.get(f"/doctors/{doctor.id}")).json() == profile
    assert (await client.get("/doctors")).json() == [profile | {"next_available": None}]


async def test_fields_left_out_of_a_change_keep_their_values(client: httpx2.AsyncClient, doctor: Person) -> None:
    expected = (await client.get(f"/doctors/{doctor.id}")).json()
    changes: tuple[dict[str, object], ...] = (
        {},
        {"name": "Dr Amara Okafor-Lee", "specialty": "Skin"},
        {"languages": ["en", "ig", "pt-BR", "zh-Hant-TW"], "bio": "Skin, hair and nails.\n\nFor children too."},
        {"default_visit_minutes": 5, "min_notice_minutes": 240, "max_advance_days": 90},
        {"daily_limit": 14, "cancel_cutoff_minutes": 1440},
        {"default_visit_minutes": 720, "min_notice_minutes": 86400, "max_advance_days": 3650, "daily_limit": 500},
        {"max_advance_days": 0, "min_notice_minutes": 0, "daily_limit": 1, "cancel_cutoff_minutes": 0},
        {"time_zone": "Africa/Cairo"},
        {"specialty": None},
        {"bio": None, "languages": []},
        {"max_advance_days": None},
        {"daily_limit": None},
    )
    for change in changes:
        expected |= change
        assert await doctor.update_profile(**change) == expected | PRIVATE_FIELDS | {
            "affected_count": 0,
            "affected": [],
        }, change
        assert (await client.get(f"/doctors/{doctor.id}")).json() == expected
    assert (await doctor.get("/doctors/me")).json() == expected | PRIVATE_FIELDS
    tidied = await doctor.update_profile(name="  Dr O  ", bio=" \n", languages=["en", "EN", "de", "en"])
    assert (tidied["name"], tidied["bio"], tidied["languages"]) == ("Dr O", None, ["en", "de"])


async def test_new_name_is_shown_in_appointments_and_search(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.publish(NINE, FIVE)
    booked = await patient.book(doctor, NINE)
    await doctor.update_profile(name="Dr Zoë Ångström", specialty="Cardiology")
    assert (await doctor.get("/auth/me")).json()["name"] == "Dr Zoë Ångström"
    renamed = booked | {"doctor": {"id": doctor.id, "name": "Dr Zoë Ångström"}}
    assert (await patient.get(f"/appointments/{booked['id']}")).json() == renamed
    assert (await patient.book(doctor, "2026-12-08T15:00:00Z"))["doctor"]["name"] == "Dr Zoë Ångström"
    for query, found in (
        ("q=angstrom", 1),
        ("q=okafor", 0),
        ("specialty=CARDIOLOGY", 1),
        ("specialty=Dermatology", 0),
    ):
        assert len((await client.get(f"/doctors?{query}")).json()) == found, query
    await doctor.update_profile(specialty=None)
    assert (await client.get("/doctors?specialty=Cardiology")).json() == []


async def test_new_limits_apply_at_once(client: httpx2.AsyncClient, doctor: Person, patient: Person) -> None:
    await doctor.set_hours(**{day: [["09:00", "11:00"]] for day in ("tuesday", "wednesday", "thursday")})

    async def listed() -> list[str]:
        return [
            start[5:16]
            for start, _, _ in await get_slots(client, doctor, "2026-12-01T08:00:00Z", "2026-12-08T00:00:00Z")
        ]

    await doctor.update_profile(default_visit_minutes=60)
    assert await listed() == ["12-01T14:00", "12-01T15:00", "12-02T14:00", "12-02T15:00", "12-03T14:00", "12-03T15:00"]
    await doctor.update_profile(min_notice_minutes=7 * 60)
    assert await listed() == ["12-01T15:00", "12-02T14:00", "12-02T15:00", "12-03T14:00", "12-03T15:00"]
    assert_problem(await patient.try_to_book(doctor, "2026-12-01T14:00:00Z"), 409, "too_soon")
    await doctor.update_profile(max_advance_days=1)
    assert await listed() == ["12-01T15:00", "12-02T14:00", "12-02T15:00"]
    assert_problem(await patient.try_to_book(doctor, "2026-12-03T14:00:00Z"), 409, "too_far_ahead")
    await patient.book(doctor, "2026-12-02T15:00:00Z")
    await doctor.update_profile(daily_limit=1)
    assert await listed() == ["12-01T15:00"]
    assert await get_windows(client, doctor) == [("2026-12-01T15:00:00Z", "2026-12-01T16:00:00Z")]
    assert_problem(await patient.try_to_book(doctor, "2026-12-02T14:00:00Z"), 409, "day_full")
    await doctor.update_profile(max_advance_days=0, daily_limit=2)
    assert await listed() == ["12-01T15:00"]
    await doctor.update_profile(max_advance_days=None, min_notice_minutes=0, daily_limit=None)
    assert len(await listed()) == 5


async def test_patient_can_cancel_or_move_until_the_cutoff(doctor: Person, patient: Person, clock: SetClock) -> None:
    await doctor.publish(NINE, FIVE)
    booked = await patient.book(doctor, FIVE.replace("22", "21"))
    await doctor.update_profile(cancel_cutoff_minutes=24 * 60)
    path = f"/appointments/{booked['id']}"
    clock.time = datetime(2026, 12, 7, 21, 0, 0, 1, tzinfo=UTC)
    doctor, patient = await doctor.log_in_again(), await patient.log_in_again()
    assert_problem(await patient.delete(path), 409, "too_late")
    assert_problem(await patient.post(f"{path}/cancel", {}), 409, "too_late")
    assert_problem(await patient.post(f"{path}/reschedule", {"start_time": NINE}), 409, "too_late")
    assert (await doctor.post(f"{path}/reschedule", {"start_time": "2026-12-08T21:30:00Z"})).status_code == 200
    assert (await doctor.post(f"{path}/reschedule", {"start_time": "2026-12-08T21:00:00Z"})).status_code == 200
    clock.advance(microseconds=-1)
    assert (await (await patient.log_in_again()).delete(path)).json()["status"] == "cancelled"


async def test_invalid_profile_change_is_refused(
    client: httpx2.AsyncClient, doctor: Person, database: Database
) -> None:
    before = (await doctor.get("/doctors/me")).json()
    numbers = ["true", '"30"', "30.0", "30.5", "-1", "9223372036854775808", "99999999999999999999999", "[30]", "{}"]
    texts = ['"a\\u0000"', '"a\\u202eb"', '"\\ud800"', "5", "[]", "true"]
    refused = {
        "name": ["null", '""', '" "', '"..."', f'"{"x" * 101}"', *texts],
        "specialty": ['""', f'"{"x" * 101}"', *texts],
        "bio": [f'"{"x" * 2001}"', *texts],
        "time_zone": [
            "null",
            '""',
            '"EST5"',
            '"+02:00"',
            '"../../etc/passwd"',
            '"localtime"',
            '"america/new_york"',
            "2",
        ],
        "languages": ["null", '"en"', '[""]', '["e"]', '["en_US"]', '["en-"]', "[null]", "[5]", '["en\\n"]'],
        "default_visit_minutes": ["null", "0", "4", "721", *numbers],
        "min_notice_minutes": ["null", "86401", *numbers],
        "max_advance_days": ["3651", *numbers],
        "daily_limit": ["0", "501", *numbers],
        "cancel_cutoff_minutes": ["null", "86401", *numbers],
        "id": [f'"{UNKNOWN}"'],
        "role": ['"admin"'],
        "email": ['"root@example.com"'],
        "password": ['"correct horse"'],
        "password_hash": ['"x"'],
        "is_active": ["false"],
        "schedule_version": ["1"],
        "name_key": ['"x"'],
        "created_at": ['"2026-12-01T08:00:00Z"'],
    }
    headers = doctor.headers | {"Content-Type": "application/json"}
    for field, values in refused.items():
        for value in values:
            content = f'{{"bio": "Changed", "{field}": {value}}}' if field != "bio" else f'{{"bio": {value}}}'
            response = await client.patch("/doctors/me", content=content, headers=headers)
            fields = [error["field"] for error in assert_problem(response, 422, "invalid_request")["errors"]]
            assert fields in ([field], [f"{field}.0"]), content
    for content in (
        json.dumps({"languages": ["en"] * 21}),
        '{"daily_limit": 1e999}',
        '{"daily_limit": NaN}',
        '{"bio": "a", "bio": "b"}',
        "[]",
        "null",
        "",
    ):
        assert_problem(await client.patch("/doctors/me", content=content, headers=headers), 422, "invalid_request")
    assert (await doctor.get("/doctors/me")).json() == before
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT role FROM users")) == "doctor"


async def test_routes_of_doctors_refuse_patients_and_invalid_tokens(
    client: httpx2.AsyncClient, patient: Person
) -> None:
    window = {"start_time": NINE, "end_time": FIVE}
    for method, path, body in (
        ("GET", "/doctors/me", None),
        ("PATCH", "/doctors/me", {"bio": "Mine"}),
        ("GET", "/doctors/me/appointments?conflicting=true", None),
        ("POST", "/doctors/availability", window | {"recurrence": "FREQ=DAILY"}),
        ("GET", "/doctors/me/availability", None),
        ("DELETE", f"/doctors/availability/{UNKNOWN}", None),
        ("PUT", "/doctors/me/hours", {"monday": [["09:00", "12:00"]]}),
        ("GET", "/doctors/me/hours", None),
        ("POST", "/doctors/me/time-off", window),
        ("GET", "/doctors/me/time-off", None),
        ("DELETE", f"/doctors/me/time-off/{UNKNOWN}", None),
        ("POST", "/doctors/me/visit-types", {"name": "Check-up", "duration_minutes": 20}),
        ("GET", "/doctors/me/visit-types", None),
        ("PATCH", f"/doctors/me/visit-types/{UNKNOWN}", {"name": "Mine"}),
        ("DELETE", f"/doctors/me/visit-types/{UNKNOWN}", None),
        ("POST", f"/appointments/{UNKNOWN}/arrive", None),
        ("POST", f"/appointments/{UNKNOWN}/complete", None),
        ("POST", f"/appointments/{UNKNOWN}/no-show", None),
    ):
        assert_problem(await client.request(method, path, json=body, headers=patient.headers), 403, "wrong_role")
        for headers in ({}, {"Authorization": f"Bearer {patient.token}x"}):
            response = await client.request(method, path, json=body, headers=headers)
            assert_problem(response, 401, "not_authenticated")
            assert response.headers["www-authenticate"] == "Bearer"


async def test_changes_of_one_doctor_do_not_affect_another(
    client: httpx2.AsyncClient, doctor: Person, register: Register
) -> None:
    other = await register("doctor", name="Dr Other")
    before = (await client.get(f"/doctors/{other.id}")).json()
    await doctor.update_profile(bio="Mine", daily_limit=1, time_zone="Asia/Kolkata")
    await doctor.set_hours(monday=[["09:00", "12:00"]])
    await doctor.take_time_off(NINE, FIVE)
    assert (await client.get(f"/doctors/{other.id}")).json() == before
    assert (await other.get("/doctors/me/availability")).json() == []
    assert (await other.get("/doctors/me/time-off")).json() == []
