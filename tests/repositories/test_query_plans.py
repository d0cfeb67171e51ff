"""The statements that grow with the clinic go along an index."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.core.errors import DomainError
from app.core.permissions import Role
from app.db.database import Database, Transaction
from app.repositories import accounts, audit, doctors, login_attempts, mail_counts, search_bounds, search_offers
from app.repositories.audit import AuditRecord
from app.repositories.doctor_schedules import get_doctor_schedule
from app.repositories.search_offers import Criteria, OfferRecord
from app.scheduling.intervals import to_instant
from app.scheduling.tie_break import RING_SIZE
from app.scheduling.visits import VisitMode
from app.services.audit import REPEAT_INTERVAL
from tests.statements import observing

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
LATER = datetime(2027, 12, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("change", ["insert", "update"])
@pytest.mark.parametrize(("whose", "end"), [("doctor", "busy_end"), ("patient", "end_time")])
async def test_the_triggers_of_sqlite_look_from_the_wanted_time_on(
    database: Database, whose: str, end: str, change: str
) -> None:
    name = f"appointments_{whose}_busy_{change}"
    async with database.read() as transaction:
        trigger: str = await transaction.scalar(
            text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": name}
        )
        body = trigger.partition("BEGIN")[2].partition(";")[0]
        # As it stands in the trigger, but for what only a trigger has.
        select = re.sub(r"(NEW|OLD)\.\w+", "'x'", re.sub(r"RAISE\(.*?\)", "1", body))
        plan = await transaction.execute(text(f"EXPLAIN QUERY PLAN {select}"))
        assert f"USING INDEX appointments_{whose}_busy_idx ({whose}_id=? AND {end}>?)" in str(plan.all())


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("whose", ["patient_id", "actor_id"])
async def test_who_saw_a_patient_is_read_from_an_index_in_time(database: Database, whose: str) -> None:
    async with database.read() as transaction:
        plan = await transaction.execute(
            text(
                f"EXPLAIN QUERY PLAN SELECT * FROM audit_events WHERE {whose} = 'x' AND (occurred_at, id) < ('y', 'z') "
                "ORDER BY occurred_at DESC, id DESC LIMIT 50"
            )
        )
        [(*_, step)] = plan.all()
        assert f"USING INDEX audit_events_{whose}_occurred_at_id_idx ({whose}=? AND (occurred_at,id)<" in step
        plan = await transaction.execute(
            text("EXPLAIN QUERY PLAN SELECT * FROM audit_events WHERE position IS NULL ORDER BY id LIMIT 1000")
        )
        [(*_, step)] = plan.all()  # a second step would be to sort
        assert "USING INDEX sqlite_autoindex_audit_events_2 (position=?)" in step


@pytest.mark.parametrize("has_patient", [True, False])
async def test_a_repeated_look_is_found_by_an_index(database: Database, backend: str, has_patient: bool) -> None:
    look = replace(LOOK, patient_id=LOOK.patient_id if has_patient else None)
    async with database.write() as transaction:
        if backend == "postgresql":
            await transaction.execute(text(MANY_EVENTS))
            await transaction.execute(text("ANALYZE audit_events"))
        plan = await explain(
            transaction, partial(audit.insert_unless_repeated, transaction, [look], interval=REPEAT_INTERVAL)
        )
    column = "patient_id" if has_patient else "actor_id"
    assert f"audit_events_{column}_occurred_at_id_idx" in plan


MANY_EVENTS = """
INSERT INTO audit_events (id, occurred_at, actor_id, action, outcome, patient_id)
SELECT gen_random_uuid(), now() - n * interval '1 second', md5((n % 50)::text)::uuid, 'get_appointment', 'ok',
  CASE WHEN n % 10 > 0 THEN md5((n % 2000)::text)::uuid END FROM generate_series(1, 20000) AS n"""
"""As in a server in use, some events concern no patient. Otherwise the planner expects none of them."""
LOOK = AuditRecord(
    id=uuid4(),
    occurred_at=NOW,
    actor_id=uuid4(),
    actor_role=Role.DOCTOR,
    action="get_appointment",
    outcome="ok",
    patient_id=uuid4(),
    object_id=uuid4(),
    address=None,
    request_id=None,
    reason=None,
)


# As many that PostgreSQL looks for a way around reading them all.
MANY = """
INSERT INTO users (id, email, email_canonical, name, name_key, role, password_hash, created_at)
SELECT gen_random_uuid(), n, n, 'Dr ' || md5(n::text), 'dr ' || md5(n::text), 'doctor', '', now()
FROM generate_series(1, 5000) AS n;
INSERT INTO doctors (id, time_zone, name_key, specialty_key, approved_at)
SELECT id, 'UTC', lower(name), 'specialty ' || email::int % 20, now() FROM users;
INSERT INTO doctor_languages (language, doctor_id) SELECT 'es', id FROM users WHERE email::int % 3 = 0;
INSERT INTO offers
  (id, language, doctor_id, specialty_key, visit_key, mode, minutes, ring_position, not_before, tie_break, known_until,
    revision)
SELECT doctors.id, spoken, doctors.id, specialty_key, 'visit ' || email::int % 20, 'video', 30, email::int * 400000,
  timestamptz '2026-12-01 08:00Z' + email::int * interval '1 hour', 1,
  timestamptz '2026-12-01 08:00Z' + email::int * interval '1 hour', doctors.id
FROM doctors JOIN users ON users.id = doctors.id CROSS JOIN (VALUES (''), ('es')) AS languages (spoken)
WHERE spoken = '' OR email::int % 3 = 0;
INSERT INTO appointments
  (id, doctor_id, patient_id, start_time, end_time, busy_start, busy_end, status, created_at, version)
SELECT gen_random_uuid(), doctor.id, patient.id, start, start + interval '1 hour', start, start + interval '1 hour',
  'booked', now(), 1
FROM users AS doctor
  JOIN users AS patient ON patient.email::int = doctor.email::int % 5000 + 1
  CROSS JOIN (VALUES (timestamptz '2026-12-02 08:00Z'), ('2026-12-03 08:00Z')) AS starts (start);
SELECT gin_clean_pending_list('doctors_name_key_trgm_idx');
SELECT gin_clean_pending_list('users_name_key_trgm_idx');
SELECT gin_clean_pending_list('users_email_canonical_trgm_idx');
ANALYZE users;
ANALYZE doctors;
ANALYZE doctor_languages;
ANALYZE offers;
ANALYZE appointments
"""


MANY_DEVICES = """
INSERT INTO known_devices (user_id, device_hash, second_factor, keeps_cookie, last_at)
SELECT id, md5(n::text), false, true, timestamptz '2026-12-01 08:00Z' - n * interval '1 day'
FROM users CROSS JOIN generate_series(1, 10) AS n"""


@pytest.fixture
async def filled(database: Database, backend: str) -> None:
    """SQLite plans the same for empty tables."""
    if backend == "postgresql":
        async with database.write() as transaction:
            for statement in MANY.split(";"):
                await transaction.execute(text(statement))


async def explain(transaction: Transaction, ask: Callable[[], Awaitable[Any]]) -> str:
    """The plan of the one statement that is made by ``ask``."""
    connection = await transaction.connection()
    prefix = "EXPLAIN (GENERIC_PLAN)" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    made: list[tuple[str, Any]] = []

    with observing(lambda statement, parameters: made.append((statement, parameters))):
        await ask()
    [(statement, parameters)] = made
    rows = await connection.exec_driver_sql(f"{prefix} {statement}", tuple(parameters))
    return "\n".join(str(row[-1]) for row in rows)


CRITERIA = {
    "": Criteria(),
    "specialty_key_": Criteria(specialty="Specialty 7", language="es", mode=VisitMode.VIDEO),
    "visit_key_": Criteria(visit="Visit 7"),
}


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("found_by", CRITERIA)
async def test_a_search_walks_along_an_index_without_sorting(database: Database, found_by: str) -> None:
    criteria = CRITERIA[found_by]

    async with database.read() as transaction:

        async def by_bound(after: OfferRecord | None = None) -> None:
            await search_offers.page_by_bound(transaction, criteria, after=after, above=None, below=LATER, limit=10)

        async def by_place() -> None:
            await search_offers.page_by_ring_position(
                transaction, criteria, after=None, positions=(5, RING_SIZE), until=LATER, limit=10
            )

        plan = await explain(transaction, by_bound)
        assert f"offers_language_{found_by}not_before_tie_break_id_idx" in plan
        assert "TEMP B-TREE" not in plan
        assert "Sort" not in plan
        plan = await explain(transaction, by_place)
        assert f"offers_language_{found_by}ring_position_id_idx" in plan
        assert "TEMP B-TREE" not in plan
        assert "Sort" not in plan


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({}, "doctors_name_key_id_idx"),
        ({"specialty": "Specialty 7"}, "doctors_specialty_key_name_key_id_idx"),
    ],
)
@pytest.mark.usefixtures("filled")
async def test_doctors_are_listed_along_an_index(database: Database, query: dict[str, str], index: str) -> None:
    every: dict[str, Any] = dict.fromkeys(("q", "specialty", "language", "mode"))

    async with database.read() as transaction:

        async def page() -> None:
            await doctors.page_doctors(transaction, **every | query, after=("a", UUID(int=1)), limit=51)

        assert index in await explain(transaction, page)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("q", ["kafo", "Okafor, Amara", "O\u2019Brien a"])
async def test_parts_of_a_name_are_found_by_an_index(database: Database, q: str) -> None:
    async with database.read() as transaction:

        async def page() -> None:
            await doctors.page_doctors(transaction, q=q, specialty=None, language=None, mode=None, after=None, limit=51)

        assert "doctors_name_key_trgm_idx" in await explain(transaction, page)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("q", ["kafo", "Okafor, Amara", "amara@exa"])
async def test_parts_of_names_and_addresses_of_accounts_are_found_by_indexes(database: Database, q: str) -> None:
    async with database.read() as transaction:
        # Of 5,000 accounts, reading all is as cheap as three looks into an index.
        await transaction.execute(text("SET LOCAL enable_seqscan = off"))

        async def page() -> None:
            await accounts.page_accounts(transaction, q=q, email=None, role=None, status=None, after=None, limit=51)

        plan = await explain(transaction, page)
    assert "users_name_key_trgm_idx" in plan
    assert "users_email_canonical_trgm_idx" in plan


@pytest.mark.usefixtures("filled")
async def test_findings_from_the_future_are_found_by_an_index(database: Database) -> None:
    async with database.read() as transaction:
        plan = await explain(transaction, partial(search_bounds.list_bounds_from_future, transaction, NOW, limit=10))
    assert "offers_language_found_at_idx" in plan


@pytest.mark.usefixtures("filled")
async def test_what_is_outdated_is_found_by_an_index(database: Database) -> None:
    async with database.read() as transaction:

        async def outdated() -> None:
            await search_offers.list_outdated(transaction, NOW, limit=10)

        assert "offers_language_known_until_idx" in await explain(transaction, outdated)


@pytest.mark.usefixtures("filled")
async def test_old_devices_are_found_by_an_index(database: Database, backend: str) -> None:
    async with database.write() as transaction:
        if backend == "postgresql":
            await transaction.execute(text(MANY_DEVICES))
            await transaction.execute(text("ANALYZE known_devices"))
        plan = await explain(transaction, partial(login_attempts.delete_old_devices, transaction, NOW))
    assert "known_devices_last_at_idx" in plan


@pytest.mark.parametrize(
    ("sweep", "index"),
    [
        (login_attempts.delete_old_attempts, "login_attempts_last_at_idx"),
        (mail_counts.delete_old_mail_counts, "mail_counts_hour_began_at_idx"),
    ],
)
async def test_old_counts_are_found_by_an_index(
    database: Database, backend: str, sweep: Callable[[Transaction, datetime], Awaitable[None]], index: str
) -> None:
    async with database.write() as transaction:
        if backend == "postgresql":
            # Of an empty table, reading all is the cheapest.
            await transaction.execute(text("SET LOCAL enable_seqscan = off"))
        plan = await explain(transaction, partial(sweep, transaction, NOW))
    # What is too old, and what is too far ahead.
    assert plan.count(index) == 2


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (doctors.list_specialties, "doctors_specialty_key_name_key_id_idx"),
        (doctors.list_languages, "doctor_languages_pkey|sqlite_autoindex_doctor_languages_1"),
        (doctors.list_time_zones, "doctors_time_zone_idx"),
    ],
)
async def test_what_can_be_chosen_is_found_from_one_to_the_next(
    database: Database, ask: Callable[[Transaction], Awaitable[Any]], index: str
) -> None:
    async with database.read() as transaction:
        plan = await explain(transaction, partial(ask, transaction))
    assert re.search(index, plan)
    assert re.search("RECURSIVE STEP|Recursive Union", plan)
    assert not re.search(r"Seq Scan|SCAN (doctors|users)(?! USING INDEX)", plan)
    # It would be made anew for each step.
    assert "Memoize" not in plan


@pytest.mark.usefixtures("filled")
async def test_the_visits_of_a_patient_are_counted_along_an_index(database: Database) -> None:
    async def ask(transaction: Transaction) -> None:
        with pytest.raises(DomainError, match="not_found"):
            await get_doctor_schedule(
                transaction, uuid4(), (to_instant(NOW), to_instant(LATER)), patient=(uuid4(), NOW)
            )

    async with database.read() as transaction:
        plan = await explain(transaction, partial(ask, transaction))
    assert "appointments_patient_id_start_time_id_idx" in plan
    assert not re.search(r"Seq Scan on appointments|SCAN appointments", plan)
