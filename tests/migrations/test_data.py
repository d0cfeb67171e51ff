"""Migrations keep the rows of older schemas, and the guards work afterwards."""

import zoneinfo
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import schema
from app.db.database import Database
from migrations import frozen
from tests.databases import open_engine, temporary_postgresql
from tests.zone_files import write_zone

DOCTOR, PATIENT, BOOKED, CANCELLED, OPENED = (f"00000000-0000-7000-8000-{number:012}" for number in range(1, 6))
CLINIC = f"""
INSERT INTO users (id, email, email_canonical, name, role, password_hash, created_at)
VALUES ('{DOCTOR}', 'a', 'a', 'Dr A', 'doctor', '', '{{2026-01-01 00:00}}'),
       ('{PATIENT}', 'b', 'b', 'B', 'patient', '', '{{2026-01-01 00:00}}');
INSERT INTO doctors (id, time_zone, name_key) VALUES ('{DOCTOR}', 'America/New_York', 'dr a');
INSERT INTO availabilities (id, doctor_id, starts, starts_fold, ends, ends_fold, created_at)
VALUES
  ('{OPENED}', '{DOCTOR}', '2026-12-08 09:00:00.000000', 0, '2026-12-08 17:00:00.000000', 0, '{{2026-01-01 00:00}}');
INSERT INTO appointments (id, doctor_id, patient_id, start_time, end_time, busy_start, busy_end, status, reason,
  created_at, cancelled_at, cancelled_by)
VALUES ('{BOOKED}', '{DOCTOR}', '{PATIENT}', '{{2026-12-08 15:00}}', '{{2026-12-08 15:30}}', '{{2026-12-08 15:00}}',
  '{{2026-12-08 15:30}}', 'booked', 'A mole', '{{2026-01-02 00:00}}', NULL, NULL),
       ('{CANCELLED}', '{DOCTOR}', '{PATIENT}', '{{2026-12-08 15:00}}', '{{2026-12-08 15:30}}', '{{2026-12-08 15:00}}',
  '{{2026-12-08 15:30}}', 'cancelled', NULL, '{{2026-01-01 00:00}}', '{{2026-01-03 00:00}}', '{DOCTOR}')
"""
DOUBLE_BOOKING = f"""
INSERT INTO appointments (id, doctor_id, patient_id, start_time, end_time, busy_start, busy_end, status, created_at)
SELECT '{OPENED}', doctor_id, patient_id, start_time, end_time, busy_start, busy_end, 'booked', created_at
FROM appointments WHERE status = 'booked'"""


@pytest.fixture
async def engine(backend: str, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    if backend == "sqlite":
        async with open_engine(f"sqlite+aiosqlite:///{tmp_path}/old.db") as engine:
            yield engine
    else:
        async with temporary_postgresql() as url, open_engine(url) as engine:
            yield engine


async def run(engine: AsyncEngine, statements: str) -> None:
    """Execute statements, with ids and instants in braces written as the database stores them."""
    sqlite = engine.dialect.name == "sqlite"
    async with Database(engine).write() as transaction:
        for statement in statements.split(";\n"):
            written = statement.replace("{", "").replace("}", ":00.000000" if sqlite else ":00Z")
            if sqlite:
                for id_ in (DOCTOR, PATIENT, BOOKED, CANCELLED, OPENED):
                    written = written.replace(id_, id_.replace("-", ""))
            await transaction.execute(text(written))


async def rows(engine: AsyncEngine, query: str) -> list[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [
            tuple(str(value) if value is not None else None for value in row)
            for row in await connection.execute(text(query))
        ]


async def test_clinic_survives_all_migrations_and_downgrades(engine: AsyncEngine) -> None:
    queries = {
        "users": "SELECT email, name, role FROM users ORDER BY email",
        "doctors": "SELECT time_zone, default_visit_minutes, schedule_version FROM doctors",
        "availabilities": "SELECT starts, ends, recurrence FROM availabilities",
        "appointments": "SELECT start_time, busy_end, status, reason, cancelled_at FROM appointments ORDER BY status",
    }
    await schema.upgrade(engine, "0001")
    await run(engine, CLINIC)
    before = {table: await rows(engine, query) for table, query in queries.items()}
    await schema.upgrade(engine)
    assert {table: await rows(engine, query) for table, query in queries.items()} == before
    assert await rows(engine, "SELECT count(*) FROM availabilities WHERE last_ends = ends AND NOT weekly_hours") == [
        ("1",)
    ]
    versions = await rows(engine, "SELECT status, version FROM appointments ORDER BY status")
    assert versions == [("booked", "1"), ("cancelled", "2")]
    versions = await rows(engine, "SELECT version, status FROM appointment_versions")
    assert versions == [("1", "booked")], "the cancelled appointment was booked before"
    with pytest.raises(IntegrityError, match=r"appointments_(doctor|patient)_busy"):
        await run(engine, DOUBLE_BOOKING)
    await schema.downgrade(engine, "0001")
    assert {table: await rows(engine, query) for table, query in queries.items()} == before
    with pytest.raises(IntegrityError, match=r"appointments_(doctor|patient)_busy"):
        await run(engine, DOUBLE_BOOKING)


async def test_who_booked_is_unknown_for_earlier_appointments(engine: AsyncEngine) -> None:
    is_postgresql = engine.dialect.name == "postgresql"
    stored_in = "SELECT pg_relation_filenode('appointments')"
    await schema.upgrade(engine, "0001")
    await run(engine, CLINIC)
    await schema.upgrade(engine, "0025")
    file = await rows(engine, stored_in) if is_postgresql else []
    await schema.upgrade(engine, "0026")
    assert await rows(engine, "SELECT booked_by FROM appointments") == [(None,), (None,)]
    if is_postgresql:
        assert await rows(engine, stored_in) == file, "the table was written again, which blocks all requests"
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        await run(engine, f"UPDATE appointments SET booked_by = '{OPENED}'")
    await run(engine, f"UPDATE appointments SET booked_by = '{DOCTOR}'")
    await schema.downgrade(engine, "0025")
    assert await rows(engine, "SELECT count(*) FROM appointments") == [("2",)]


async def test_patients_become_records_with_the_ids_of_their_accounts(engine: AsyncEngine) -> None:
    await schema.upgrade(engine, "0001")
    await run(engine, CLINIC)
    await schema.upgrade(engine, "0026")
    is_postgresql = engine.dialect.name == "postgresql"
    stored_in = "SELECT pg_relation_filenode('appointments')"
    file = await rows(engine, stored_in) if is_postgresql else []
    await schema.upgrade(engine)
    accounts = "SELECT id, id, name, name_key, created_at FROM users WHERE role = 'patient'"
    assert await rows(engine, "SELECT id, user_id, name, name_key, created_at FROM patients") == await rows(
        engine, accounts
    )
    if is_postgresql:
        assert await rows(engine, stored_in) == file, "the table was written again, which blocks all requests"
        unchecked = "SELECT conname FROM pg_constraint WHERE NOT convalidated"
        assert await rows(engine, unchecked) == []
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        await run(engine, f"UPDATE appointments SET patient_id = '{DOCTOR}'")
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        await run(engine, "DELETE FROM patients")
    await schema.downgrade(engine, "0026")
    await run(engine, f"UPDATE appointments SET patient_id = '{DOCTOR}' WHERE status = 'cancelled'")
    await schema.upgrade(engine)
    assert await rows(engine, "SELECT count(*) FROM patients") == [("2",)], "one is a doctor who was a patient once"


async def test_downgrade_that_would_delete_patients_is_refused(engine: AsyncEngine) -> None:
    await schema.upgrade(engine)
    await run(
        engine,
        "INSERT INTO patients (id, name, name_key, created_at) "
        f"VALUES ('{PATIENT}', 'Ann', 'ann', '{{2026-01-01 00:00}}')",
    )
    with pytest.raises(RuntimeError, match="1 patients have no account"):
        await schema.downgrade(engine, "0026")
    assert await rows(engine, "SELECT name FROM patients") == [("Ann",)]
    assert await rows(engine, "SELECT version_num FROM alembic_version") == [(schema.newest_revision(),)]


async def test_append_only_audit_trail_is_dropped_with_its_table(engine: AsyncEngine) -> None:
    await schema.upgrade(engine)
    event = (
        "INSERT INTO audit_events (id, occurred_at, action, outcome) "
        f"VALUES ('{BOOKED}', '{{2026-12-08 15:00}}', 'look', 'ok')"
    )
    await run(engine, event)
    await schema.downgrade(engine, "0002")
    await schema.upgrade(engine)
    assert await rows(engine, "SELECT * FROM audit_events") == []
    await run(engine, event)
    with pytest.raises(IntegrityError, match="can only grow"):
        await run(engine, "DELETE FROM audit_events")


async def test_visit_types_with_equal_names_survive_the_unique_key(engine: AsyncEngine) -> None:
    await schema.upgrade(engine, "0015")
    await run(engine, CLINIC.partition(";\nINSERT INTO availabilities")[0])
    offer = (
        "INSERT INTO visit_types (id, doctor_id, name, duration_minutes, buffer_before_minutes, buffer_after_minutes, "
        f"mode, min_notice_minutes, created_at, withdrawn_at) VALUES ('{{id}}', '{DOCTOR}', '{{name}}', 20, 0, 0, "
        "'video', 0, '{2026-01-01 00:00}', {withdrawn})"
    )
    named = (
        (BOOKED, "Check-up", "'{2026-01-02 00:00}'"),
        (CANCELLED, "Check-up", "NULL"),
        (OPENED, "check-UP", "NULL"),
    )
    for id_, name, withdrawn in named:
        await run(engine, offer.replace("{id}", id_).replace("{name}", name).replace("{withdrawn}", withdrawn))
    await schema.upgrade(engine)
    query = "SELECT name, name_key FROM visit_types ORDER BY id"
    assert await rows(engine, query) == [("Check-up", "check-up"), ("Check-up", "check-up"), ("check-UP", None)]
    with pytest.raises(IntegrityError):
        await run(engine, "UPDATE visit_types SET name_key = 'check-up'")
    await schema.downgrade(engine, "0015")
    assert await rows(engine, "SELECT count(*) FROM visit_types") == [("3",)]


async def test_downgrade_drops_what_the_older_schema_cannot_store(engine: AsyncEngine) -> None:
    await schema.upgrade(engine, "0001")
    await run(engine, CLINIC)
    await schema.upgrade(engine)
    await run(engine, "UPDATE availabilities SET recurrence = 'FREQ=DAILY'")
    await run(engine, "UPDATE appointments SET status = 'pending', expires_at = end_time WHERE status = 'booked'")
    await schema.downgrade(engine, "0001")
    assert await rows(engine, "SELECT status FROM appointments") == [("cancelled",)]
    assert await rows(engine, "SELECT * FROM availabilities") == []


async def test_inactive_users_become_suspended_and_doctors_approved(engine: AsyncEngine) -> None:
    await schema.upgrade(engine, "0002")
    await run(engine, CLINIC.partition(";\nINSERT INTO availabilities")[0])
    await run(engine, f"UPDATE users SET is_active = false WHERE id = '{PATIENT}'")
    await schema.upgrade(engine)
    assert await rows(engine, "SELECT name FROM users WHERE suspended_at IS NOT NULL") == [("B",)]
    approved = "SELECT count(*) FROM doctors JOIN users ON users.id = doctors.id WHERE approved_at = created_at"
    assert await rows(engine, approved) == [("1",)]
    await schema.downgrade(engine, "0002")
    assert await rows(engine, "SELECT name FROM users WHERE is_active") == [("Dr A",)]
    await schema.upgrade(engine)
    assert await rows(engine, "SELECT name FROM users WHERE suspended_at IS NOT NULL") == [("B",)]


async def test_search_offers_get_a_row_for_each_language(engine: AsyncEngine) -> None:
    await schema.upgrade(engine, "0002")
    await run(engine, CLINIC.partition(";\nINSERT INTO availabilities")[0])
    await schema.upgrade(engine, "0005")
    for language in ("de", "en"):
        await run(engine, f"INSERT INTO doctor_languages (language, doctor_id) VALUES ('{language}', '{DOCTOR}')")
    offered = "SELECT id, doctor_id, mode, minutes, {}, not_before, {}, known_until, revision FROM offers"
    [before] = await rows(engine, offered.format("place", "turn"))
    await schema.upgrade(engine)
    assert await rows(engine, "SELECT language FROM offers ORDER BY language") == [("",), ("de",), ("en",)]
    assert await rows(engine, offered.format("ring_position", "tie_break")) == [before] * 3
    await schema.downgrade(engine, "0005")
    assert await rows(engine, offered.format("place", "turn")) == [before]


async def test_search_keys_are_rebuilt(engine: AsyncEngine) -> None:
    await schema.upgrade(engine, "0002")
    await run(engine, CLINIC.partition(";\nINSERT INTO availabilities")[0])
    await schema.upgrade(engine, "0013")
    visit_type = (
        "INSERT INTO visit_types (id, doctor_id, name, duration_minutes, buffer_before_minutes, buffer_after_minutes, "
        f"mode, min_notice_minutes, created_at) VALUES ('{OPENED}', '{DOCTOR}', 'Follow-up', 30, 0, 0, 'video', 0, "
        "'{2026-01-01 00:00}')"
    )
    await run(engine, visit_type)
    await run(
        engine,
        "UPDATE users SET name = 'Dr \u0141ukasz O\u2019Brien' WHERE role = 'doctor';\n"
        "UPDATE doctors SET specialty = 'Ear-nose-throat', name_key = 'old', specialty_key = 'old';\n"
        f"UPDATE offers SET id = '{OPENED}', visit_type_id = '{OPENED}', visit_key = 'old', specialty_key = 'old'",
    )
    keys = (
        "SELECT name_key, d.specialty_key, o.specialty_key, visit_key FROM doctors d JOIN offers o ON doctor_id = d.id"
    )
    await schema.upgrade(engine, "0014")
    assert await rows(engine, keys) == [("dr lukasz obrien", "ear nose throat", "ear nose throat", "follow up")]
    await schema.downgrade(engine, "0013")
    old = "dr \u0142ukasz o\u2019brien", "ear-nose-throat", "ear-nose-throat", "follow-up"
    assert await rows(engine, keys) == [old]


async def test_upcoming_appointments_get_the_local_time_that_the_host_showed(
    engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_zone(tmp_path / "zones", "Europe/Berlin", "<+05>-5")
    monkeypatch.setenv("PYTHONTZPATH", str(tmp_path / "zones"))
    await schema.upgrade(engine, "0001")
    await run(engine, CLINIC)
    await schema.upgrade(engine, "0016")
    await run(engine, "UPDATE doctors SET time_zone = 'Europe/Berlin'")
    reschedule = "UPDATE appointments SET {0} WHERE status = 'booked'"
    future = ", ".join(
        f"{column} = '{{2999-01-01 {hour}:00}}'"
        for column, hour in (("start_time", 15), ("end_time", 16), ("busy_start", 15), ("busy_end", 16))
    )
    await run(engine, reschedule.format(future))
    await schema.upgrade(engine)
    agreed = "SELECT agreed_local_start, agreed_time_zone FROM appointments WHERE status = 'booked'"
    [(shown, zone)] = await rows(engine, agreed)
    assert (shown[:16], zone) == ("2999-01-01 20:00", "Europe/Berlin")
    assert zoneinfo.TZPATH == ()


async def test_rows_beyond_one_batch_are_filled(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "BATCH", 2)
    await schema.upgrade(engine, "0002")
    await add_doctors(engine, 5)
    await schema.upgrade(engine, "0005")
    assert await rows(engine, "SELECT count(*) FROM offers") == [("10",)]
    assert await rows(engine, "SELECT language, count(*) FROM doctor_languages GROUP BY 1") == [("en", "5")]
    await schema.upgrade(engine)
    names = [(f"dr {number}",) for number in range(5)]
    assert await rows(engine, "SELECT name_key FROM doctors ORDER BY name_key") == names
    assert await rows(engine, "SELECT name_key FROM users WHERE role = 'doctor' ORDER BY name_key") == names
    keys = "SELECT doctor_id, count(*), count(name_key) FROM visit_types GROUP BY doctor_id"
    assert [row[1:] for row in await rows(engine, keys)] == [("2", "1")] * 5, "the second of one name has no key"
    assert await rows(engine, "SELECT DISTINCT name_key FROM visit_types WHERE name_key IS NOT NULL") == [("check-up",)]
    agreed = "SELECT agreed_local_start FROM appointments ORDER BY start_time"
    assert [shown[11:16] for [shown] in await rows(engine, agreed)] == [f"1{number}:00" for number in range(5)]


async def add_doctors(engine: AsyncEngine, number_of_doctors: int) -> None:
    """Add doctors with two visit types of the same name, and an appointment of one patient in the far future."""

    def make_id(table: int, number: int) -> str:
        id_ = UUID(int=(table << 64) + (number << 8))
        return id_.hex if engine.dialect.name == "sqlite" else str(id_)

    person = (
        "INSERT INTO users (id, email, email_canonical, name, role, password_hash, created_at) "
        "VALUES ('{0}', '{1}', '{1}', '{1}', '{2}', '', '2026-01-01 00:00:00.000000')"
    )
    doctor = "INSERT INTO doctors (id, time_zone, name_key, languages) VALUES ('{0}', 'UTC', 'old', '[\"en\"]')"
    visit_type = (
        "INSERT INTO visit_types (id, doctor_id, name, duration_minutes, buffer_before_minutes, buffer_after_minutes, "
        "mode, min_notice_minutes, created_at) "
        "VALUES ('{0}', '{1}', '{2}', 20, 0, 0, 'video', 0, '2026-01-01 00:00:00.000000')"
    )
    appointment = (
        "INSERT INTO appointments "
        "(id, doctor_id, patient_id, start_time, end_time, busy_start, busy_end, status, created_at) VALUES "
        "('{0}', '{1}', '{2}', '{3}', '{4}', '{3}', '{4}', 'booked', '2026-01-01 00:00:00.000000')"
    )
    patient = make_id(1, 99)
    statements = [person.format(patient, "Ann", "patient")]
    for number in range(number_of_doctors):
        id_ = make_id(1, number)
        start, end = (f"2999-01-01 1{number}:{minute}:00.000000" for minute in ("00", "30"))
        statements += [
            person.format(id_, f"Dr {number}", "doctor"),
            doctor.format(id_),
            visit_type.format(make_id(2, number), id_, "Check-up"),
            visit_type.format(make_id(3, number), id_, "check-UP"),
            appointment.format(make_id(4, number), id_, patient, start, end),
        ]
    async with Database(engine).write() as transaction:
        for statement in statements:
            await transaction.execute(text(statement))


async def test_membership_and_scope_need_existing_people(engine: AsyncEngine) -> None:
    clinic, member = OPENED, BOOKED
    created = "'{2026-01-01 00:00}'"
    await schema.upgrade(engine, "0001")
    await run(engine, CLINIC)
    await schema.upgrade(engine)
    await run(
        engine,
        "INSERT INTO clinics (id, name, public_name, time_zone, country, locale, created_at) "
        f"VALUES ('{clinic}', 'Skin and more', 'The clinic', 'Europe/Berlin', 'DE', 'de', {created})",
    )
    assert await rows(engine, "SELECT booking, closed_at FROM clinics WHERE NOT desk_may_overbook") == [
        ("everybody", None)
    ]
    for columns, values in (
        ("clinic_doctors (clinic_id, doctor_id", f"'{clinic}', '{{who}}'"),
        ("members (clinic_id, user_id, role", f"'{clinic}', '{{who}}', 'doctor'"),
        ("member_scopes (id, clinic_id, user_id, doctor_id", f"'{member}', '{clinic}', '{DOCTOR}', '{{who}}'"),
    ):
        statement = f"INSERT INTO {columns}, created_at) VALUES ({values}, {created})"
        with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
            await run(engine, statement.replace("{who}", CANCELLED))
        await run(engine, statement.replace("{who}", DOCTOR))
        with pytest.raises(IntegrityError, match=r"(?i)unique"):
            await run(engine, statement.replace("{who}", DOCTOR))
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        await run(engine, f"DELETE FROM doctors WHERE id = '{DOCTOR}'")
    await run(engine, f"DELETE FROM clinics WHERE id = '{clinic}'")
    for table in ("clinic_doctors", "members", "member_scopes"):
        assert await rows(engine, f"SELECT * FROM {table}") == []


async def test_invitations_survive_the_new_table_and_those_to_clinics_do_not_survive_the_old_one(
    engine: AsyncEngine,
) -> None:
    clinic, created = OPENED, "'{2026-01-01 00:00}'"
    invitation = "INSERT INTO invitations (id, role, email, email_canonical, token_hash, created_at, expires_at"
    values = f"'{{name}}', '{{name}}', '{{token}}', {created}, {created}"
    await schema.upgrade(engine, "0001")
    await run(engine, CLINIC)
    await schema.upgrade(engine, "0031")
    first = values.replace("{name}", "a").replace("{token}", "1")
    await run(engine, f"{invitation}, created_by) VALUES ('{BOOKED}', 'doctor', {first}, '{DOCTOR}')")
    before = await rows(engine, "SELECT id, role, email, token_hash, created_at, created_by FROM invitations")
    await schema.upgrade(engine, "0032")
    assert before == await rows(engine, "SELECT id, role, email, token_hash, created_at, created_by FROM invitations")
    await run(
        engine,
        "INSERT INTO clinics (id, name, public_name, time_zone, country, locale, created_at) "
        f"VALUES ('{clinic}', 'C', 'C', 'Europe/Berlin', 'DE', 'de', {created})",
    )
    # An address may have one invitation to each clinic, and one to none.
    second = values.replace("{name}", "a").replace("{token}", "2")
    to_clinic = f"{invitation}, clinic_id, member_role) VALUES ('{CANCELLED}', 'staff', {second}, '{clinic}', 'nurse')"
    await run(engine, to_clinic)
    for again in (
        f"{invitation}) VALUES ('{PATIENT}', 'doctor', {second.replace("'2'", "'3'")})",
        to_clinic.replace(CANCELLED, PATIENT).replace("'2'", "'3'"),
    ):
        with pytest.raises(IntegrityError, match=r"(?i)unique"):
            await run(engine, again)
    with pytest.raises(IntegrityError, match="member_role"):
        await run(engine, "UPDATE invitations SET member_role = 'nurse' WHERE clinic_id IS NULL")
    await schema.downgrade(engine, "0031")
    assert before == await rows(engine, "SELECT id, role, email, token_hash, created_at, created_by FROM invitations")
