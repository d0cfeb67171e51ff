"""Requests take no more statements with 200 doctors and 100,000 appointments."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from app.db.database import Database
from tests.concurrency.clinic import DROP_GUARDS, open_database
from tests.conftest import CountStatements
from tests.databases import both_databases, migrate, open_engine
from tests.people import Person

DOCTORS, VISITS = 200, 500
# Every doctor has 500 visits, an hour apart from each other; at any time each patient is with another doctor.
INSERTS = {
    "postgresql": """
INSERT INTO users (id, email, email_canonical, name, role, password_hash, created_at)
SELECT md5('u' || n)::uuid, n, n, n, CASE WHEN n < 200 THEN 'doctor' ELSE 'patient' END, '', '2026-01-01Z'
FROM generate_series(0, 399) n;
INSERT INTO doctors (id, time_zone, name_key)
SELECT md5('u' || n)::uuid, 'UTC', n FROM generate_series(0, 199) n;
INSERT INTO patients (id, user_id, name, name_key, created_at)
SELECT id, id, name, name, created_at FROM users WHERE role = 'patient' AND password_hash = '';
INSERT INTO appointments
  (id, doctor_id, patient_id, start_time, end_time, busy_start, busy_end, status, created_at)
SELECT md5(d || ' ' || k)::uuid, CASE WHEN d = 0 THEN '{doctor}' ELSE md5('u' || d)::uuid END,
  md5('u' || 200 + (d + k) % 200)::uuid, s, s + interval '30 min', s, s + interval '30 min', 'booked', '2026-01-01Z'
FROM generate_series(0, 199) d, generate_series(0, 499) k,
  LATERAL (SELECT '2026-12-01 10:00Z'::timestamptz + k * interval '1 hour' AS s) AS times;
ANALYZE;
""",
    "sqlite": """
CREATE TEMP TABLE n AS WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < 499) SELECT n FROM c;
INSERT INTO users (id, email, email_canonical, name, role, password_hash, created_at)
SELECT printf('%032x', n), n, n, n, CASE WHEN n < 200 THEN 'doctor' ELSE 'patient' END, '',
  '2026-01-01 00:00:00.000000' FROM n WHERE n < 400;
INSERT INTO doctors (id, time_zone, name_key) SELECT printf('%032x', n), 'UTC', n FROM n WHERE n < 200;
INSERT INTO patients (id, user_id, name, name_key, created_at)
SELECT id, id, name, name, created_at FROM users WHERE role = 'patient' AND password_hash = '';
INSERT INTO appointments
  (id, doctor_id, patient_id, start_time, end_time, busy_start, busy_end, status, created_at)
SELECT printf('%016x%016x', d.n + 1, k.n), CASE WHEN d.n = 0 THEN '{doctor}' ELSE printf('%032x', d.n) END,
  printf('%032x', 200 + (d.n + k.n) % 200),
  strftime('%Y-%m-%d %H:%M:%S.000000', '2026-12-01 10:00', k.n || ' hours'),
  strftime('%Y-%m-%d %H:%M:%S.000000', '2026-12-01 10:30', k.n || ' hours'),
  strftime('%Y-%m-%d %H:%M:%S.000000', '2026-12-01 10:00', k.n || ' hours'),
  strftime('%Y-%m-%d %H:%M:%S.000000', '2026-12-01 10:30', k.n || ' hours'),
  'booked', '2026-01-01 00:00:00.000000'
FROM n d, n k WHERE d.n < 200;
ANALYZE;
""",
}


@pytest.fixture(params=both_databases("crowd"))
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """A database without the triggers against overlaps, which slow down the inserts and do not affect reads."""
    async with open_database(request.param, tmp_path) as url, open_engine(url) as engine:
        await migrate(url)
        async with Database(engine).write() as transaction:
            for statement in DROP_GUARDS[request.param]:
                await transaction.execute(text(statement))
        yield url


@pytest.mark.slow
async def test_hundred_thousand_appointments_take_no_more_statements(
    doctor: Person, database: Database, database_url: str, count_statements: CountStatements
) -> None:
    backend = make_url(database_url).get_backend_name()
    await doctor.client.put(
        "/doctors/me/hours", headers=doctor.headers, json={"monday": [["09:00", "12:00"], ["13:00", "17:00"]]}
    )
    # One statement of each list inserts the audit events.
    paths = {
        f"/doctors/{doctor.id}/slots?to=2026-12-31T00:00:00Z": 3,
        f"/doctors/{doctor.id}/availability?to=2026-12-31T00:00:00Z": 3,
        "/doctors/me/appointments?from=2026-12-01T00:00:00Z&to=2027-01-01T00:00:00Z&limit=100": 3,
        "/doctors/me/appointments?conflicting=true&limit=100": 5,
    }
    doctor_id = UUID(doctor.id)
    inserts = INSERTS[backend].format(doctor=doctor_id.hex if backend == "sqlite" else doctor_id)
    async with database.write() as transaction:
        for statement in inserts.split(";\n")[:-1]:
            await transaction.execute(text(statement))
        assert await transaction.scalar(text("SELECT count(*) FROM appointments")) == DOCTORS * VISITS
    for path, expected in paths.items():
        count_statements()
        response = await doctor.get(path)
        assert response.status_code == 200
        assert response.json()
        assert count_statements() == expected, path
