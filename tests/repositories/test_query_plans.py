"""Statements that would become slower as a clinic grows use indexes."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.core.errors import DomainError
from app.core.permissions import Dependants, GuardianRight, Role, Scope
from app.db.database import Database, Transaction
from app.repositories import (
    accounts,
    appointments,
    audit,
    doctors,
    login_attempts,
    mail_counts,
    search_bounds,
    search_offers,
)
from app.repositories.audit import AuditRecord
from app.repositories.doctor_schedules import get_doctor_schedule
from app.repositories.search_offers import Criteria
from app.scheduling.intervals import to_instant
from app.scheduling.status import ACTIVE
from app.scheduling.tie_break import RING_SIZE
from app.scheduling.visits import VisitMode
from app.services.audit import REPEAT_INTERVAL
from tests.statements import observing

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
LATER = datetime(2027, 12, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("change", ["insert", "update"])
@pytest.mark.parametrize(("party", "end"), [("doctor", "busy_end"), ("patient", "end_time")])
async def test_sqlite_trigger_searches_from_the_start_of_the_new_time(
    database: Database, party: str, end: str, change: str
) -> None:
    name = f"appointments_{party}_busy_{change}"
    async with database.read() as transaction:
        trigger: str = await transaction.scalar(
            text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": name}
        )
        body = trigger.partition("BEGIN")[2].partition(";")[0]
        # The query of the trigger, without the parts that only a trigger can have.
        select = re.sub(r"(NEW|OLD)\.\w+", "'x'", re.sub(r"RAISE\(.*?\)", "1", body))
        plan = await transaction.execute(text(f"EXPLAIN QUERY PLAN {select}"))
        assert f"USING INDEX appointments_{party}_busy_idx ({party}_id=? AND {end}>?)" in str(plan.all())


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("column", ["patient_id", "actor_id"])
async def test_audit_events_of_a_person_are_read_from_an_index_in_order(database: Database, column: str) -> None:
    async with database.read() as transaction:
        plan = await transaction.execute(
            text(
                f"EXPLAIN QUERY PLAN SELECT * FROM audit_events WHERE {column} = 'x' "
                "AND (occurred_at, id) < ('y', 'z') ORDER BY occurred_at DESC, id DESC LIMIT 50"
            )
        )
        [(*_, step)] = plan.all()
        assert f"USING INDEX audit_events_{column}_occurred_at_id_idx ({column}=? AND (occurred_at,id)<" in step
        plan = await transaction.execute(
            text("EXPLAIN QUERY PLAN SELECT * FROM audit_events WHERE position IS NULL ORDER BY id LIMIT 1000")
        )
        [(*_, step)] = plan.all()  # sorting would be a second step
        assert "USING INDEX sqlite_autoindex_audit_events_2 (position=?)" in step


@pytest.mark.parametrize("has_patient", [True, False])
async def test_search_for_a_repeated_audit_event_uses_an_index(
    database: Database, backend: str, has_patient: bool
) -> None:
    event = replace(EVENT, patient_id=EVENT.patient_id if has_patient else None)
    async with database.write() as transaction:
        if backend == "postgresql":
            await transaction.execute(text(MANY_EVENTS))
            await transaction.execute(text("ANALYZE audit_events"))
        plan = await explain(
            transaction, partial(audit.insert_unless_repeated, transaction, [event], interval=REPEAT_INTERVAL)
        )
    column = "patient_id" if has_patient else "actor_id"
    assert f"audit_events_{column}_occurred_at_id_idx" in plan


MANY_EVENTS = f"""
INSERT INTO audit_events (id, occurred_at, actor_id, action, outcome, patient_id)
SELECT gen_random_uuid(), timestamptz '{NOW}' - n * interval '1 second', md5((n % 50)::text)::uuid,
  'get_appointment', 'ok',
  CASE WHEN n % 10 > 0 THEN md5((n % 2000)::text)::uuid END FROM generate_series(1, 20000) AS n"""
"""Some events concern no patient, as on a real server. Otherwise the planner would expect none of them."""
EVENT = AuditRecord(
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


# So many rows that PostgreSQL does not prefer sequential scans.
MANY_ROWS = """
INSERT INTO users (id, email, email_canonical, name, name_key, role, password_hash, created_at)
SELECT gen_random_uuid(), n, n, 'Dr ' || md5(n::text), 'dr ' || md5(n::text), 'doctor', '', now()
FROM generate_series(1, 5000) AS n;
INSERT INTO doctors (id, time_zone, name_key, specialty_key, approved_at)
SELECT id, 'UTC', lower(name), 'specialty ' || email::int % 20, now() FROM users;
INSERT INTO patients (id, user_id, name, name_key, created_at) SELECT id, id, name, name_key, created_at FROM users;
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
async def many_rows(database: Database, backend: str) -> None:
    """Fill PostgreSQL with enough rows that the planner prefers indexes. SQLite plans the same for empty tables."""
    if backend == "postgresql":
        async with database.write() as transaction:
            for statement in MANY_ROWS.split(";"):
                await transaction.execute(text(statement))


async def explain(transaction: Transaction, query: Callable[[], Awaitable[Any]]) -> str:
    """Return the plan of the single statement that ``query`` sends."""
    connection = await transaction.connection()
    prefix = "EXPLAIN (GENERIC_PLAN)" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    sent: list[tuple[str, Any]] = []

    with observing(lambda statement, parameters: sent.append((statement, parameters))):
        await query()
    [(statement, parameters)] = sent
    rows = await connection.exec_driver_sql(f"{prefix} {statement}", tuple(parameters))
    return "\n".join(str(row[-1]) for row in rows)


@dataclass(frozen=True)
class PlanCase:
    name: str
    query: Callable[[Transaction], Awaitable[Any]]
    contains: tuple[str, ...]
    """Patterns of what the plan must contain."""
    avoids: str = "$^"
    """A pattern of what the plan must not contain."""
    only_postgresql: bool = False
    without_sequential_scans: bool = False

    async def find_failure(self, database: Database, backend: str) -> str | None:
        async with database.write() as transaction:
            if self.without_sequential_scans and backend == "postgresql":
                await transaction.execute(text("SET LOCAL enable_seqscan = off"))
            plan = await explain(transaction, partial(self.query, transaction))
        missing = [pattern for pattern in self.contains if not re.search(pattern, plan)]
        if missing or re.search(self.avoids, plan):
            return f"{self.name}: {missing or self.avoids} in\n{plan}"
        return None


def page_by_bound(transaction: Transaction, criteria: Criteria) -> Awaitable[Any]:
    return search_offers.page_by_bound(transaction, criteria, after=None, above=None, below=LATER, limit=10)


def page_by_ring_position(transaction: Transaction, criteria: Criteria) -> Awaitable[Any]:
    return search_offers.page_by_ring_position(
        transaction, criteria, after=None, positions=(5, RING_SIZE), until=LATER, limit=10
    )


def page_doctors(transaction: Transaction, after: tuple[str, UUID] | None = None, **query: str) -> Awaitable[Any]:
    criteria: dict[str, Any] = dict.fromkeys(("q", "specialty", "language", "mode"))
    return doctors.page_doctors(transaction, **criteria | query, after=after, limit=51)


def page_accounts(transaction: Transaction, q: str) -> Awaitable[Any]:
    return accounts.page_accounts(transaction, q=q, email=None, role=None, status=None, after=None, limit=51)


def list_future_bounds(transaction: Transaction) -> Awaitable[Any]:
    return search_bounds.list_bounds_from_future(transaction, NOW, limit=10)


def list_outdated_bounds(transaction: Transaction) -> Awaitable[Any]:
    return search_offers.list_outdated(transaction, NOW, limit=10)


async def get_schedule_of_unknown_doctor(transaction: Transaction) -> None:
    with pytest.raises(DomainError, match="not_found"):
        await get_doctor_schedule(transaction, uuid4(), (to_instant(NOW), to_instant(LATER)), patient=(uuid4(), NOW))


def page_upcoming(transaction: Transaction, scope: Scope) -> Awaitable[Any]:
    return appointments.page_appointments(
        transaction, scope, as_of=NOW, since=NOW, until=None, statuses=ACTIVE, after=None, limit=16
    )


def list_next(transaction: Transaction, scope: Scope) -> Awaitable[Any]:
    return appointments.list_next(transaction, scope, since=NOW)


OF_CHILDREN = Scope(dependants=Dependants(uuid4(), GuardianRight.SEE, NOW.date()))
CRITERIA = {
    "": Criteria(),
    "specialty_key_": Criteria(specialty="Specialty 7", language="es", mode=VisitMode.VIDEO),
    "visit_key_": Criteria(visit="Visit 7"),
}
"""By the columns of their index."""
NEXT_DOCTOR = ("a", UUID(int=1))
CHOICES = {
    "doctors_specialty_key_name_key_id_idx": doctors.list_specialties,
    "doctor_languages_pkey|sqlite_autoindex_doctor_languages_1": doctors.list_languages,
    "doctors_time_zone_idx": doctors.list_time_zones,
}
"""By their indexes."""

PLAN_CASES = [
    *(
        PlanCase(
            f"search by bound: {columns}",
            partial(page_by_bound, criteria=criteria),
            (f"offers_language_{columns}not_before_tie_break_id_idx",),
            avoids="TEMP B-TREE|Sort",
        )
        for columns, criteria in CRITERIA.items()
    ),
    *(
        PlanCase(
            f"search by ring position: {columns}",
            partial(page_by_ring_position, criteria=criteria),
            (f"offers_language_{columns}ring_position_id_idx",),
            avoids="TEMP B-TREE|Sort",
        )
        for columns, criteria in CRITERIA.items()
    ),
    PlanCase("doctors", partial(page_doctors, after=NEXT_DOCTOR), ("doctors_name_key_id_idx",)),
    PlanCase(
        "doctors of a specialty",
        partial(page_doctors, after=NEXT_DOCTOR, specialty="Specialty 7"),
        ("doctors_specialty_key_name_key_id_idx",),
    ),
    *(
        PlanCase(
            f"doctors by part of a name: {q}",
            partial(page_doctors, q=q),
            ("doctors_name_key_trgm_idx",),
            only_postgresql=True,
        )
        for q in ("kafo", "Okafor, Amara", "O\u2019Brien a")
    ),
    *(
        # For 5,000 accounts, the planner estimates a sequential scan to be as cheap as three index scans.
        PlanCase(
            f"accounts by part of a name or an address: {q}",
            partial(page_accounts, q=q),
            ("users_name_key_trgm_idx", "users_email_canonical_trgm_idx"),
            only_postgresql=True,
            without_sequential_scans=True,
        )
        for q in ("kafo", "Okafor, Amara", "amara@exa")
    ),
    PlanCase("bounds from the future", list_future_bounds, ("offers_language_found_at_idx",)),
    PlanCase("outdated bounds", list_outdated_bounds, ("offers_language_known_until_idx",)),
    *(
        PlanCase(
            f"choices of the search page: {index}",
            query,
            (index, "RECURSIVE STEP|Recursive Union"),
            # A memoized node would be built again in each step.
            avoids=r"Seq Scan|SCAN (doctors|users)(?! USING INDEX)|Memoize",
        )
        for index, query in CHOICES.items()
    ),
    PlanCase(
        "appointments of a patient in the schedule of a doctor",
        get_schedule_of_unknown_doctor,
        ("appointments_patient_id_start_time_id_idx",),
        avoids="Seq Scan on appointments|SCAN appointments",
    ),
    *(
        PlanCase(
            name,
            query,
            ("appointments_patient_(id_start_time_id_idx|busy)",),
            avoids="Seq Scan on appointments|SCAN appointments",
        )
        for name, query in {
            "upcoming visits of a patient": partial(page_upcoming, scope=Scope(patient_id=uuid4())),
            "upcoming visits of the children of a patient": partial(page_upcoming, scope=OF_CHILDREN),
            "next visit of each child of a patient": partial(list_next, scope=OF_CHILDREN),
        }.items()
    ),
]


@pytest.mark.usefixtures("many_rows")
async def test_queries_that_grow_with_the_clinic_use_indexes(database: Database, backend: str) -> None:
    cases = [case for case in PLAN_CASES if backend == "postgresql" or not case.only_postgresql]
    failures = [failure for case in cases if (failure := await case.find_failure(database, backend))]
    assert not failures, "\n".join(failures)


@pytest.mark.usefixtures("many_rows")
async def test_deletion_of_old_devices_uses_an_index(database: Database, backend: str) -> None:
    async with database.write() as transaction:
        if backend == "postgresql":
            await transaction.execute(text(MANY_DEVICES))
            await transaction.execute(text("ANALYZE known_devices"))
        plan = await explain(transaction, partial(login_attempts.delete_old_devices, transaction, NOW))
    assert "known_devices_last_at_idx" in plan


@pytest.mark.parametrize(
    ("delete_old", "index"),
    [
        (login_attempts.delete_old_attempts, "login_attempts_last_at_idx"),
        (mail_counts.delete_old_mail_counts, "mail_counts_hour_began_at_idx"),
    ],
    ids=["login-attempts", "mail-counts"],
)
async def test_deletion_of_old_counts_uses_an_index(
    database: Database, backend: str, delete_old: Callable[[Transaction, datetime], Awaitable[None]], index: str
) -> None:
    async with database.write() as transaction:
        if backend == "postgresql":
            # A sequential scan of an empty table is the cheapest plan.
            await transaction.execute(text("SET LOCAL enable_seqscan = off"))
        plan = await explain(transaction, partial(delete_old, transaction, NOW))
    assert plan.count(index) == 2, "one scan for rows that are too old, one for rows from the future"
