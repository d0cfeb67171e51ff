"""The statements that grow with the clinic go along an index."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.session import Sessions
from app.repositories import doctors, offers
from app.repositories.offers import Criteria, OfferRecord
from app.scheduling.visits import VisitMode

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("change", ["insert", "update"])
@pytest.mark.parametrize(("whose", "end"), [("doctor", "busy_end"), ("patient", "end_time")])
async def test_the_triggers_of_sqlite_look_from_the_wanted_time_on(
    sessions: Sessions, whose: str, end: str, change: str
) -> None:
    name = f"appointments_{whose}_busy_{change}"
    async with sessions.read() as session:
        trigger: str = await session.scalar(text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": name})
        body = trigger.partition("BEGIN")[2].partition(";")[0]
        # As it stands in the trigger, but for what only a trigger has.
        select = re.sub(r"(NEW|OLD)\.\w+", "'x'", re.sub(r"RAISE\(.*?\)", "1", body))
        plan = await session.execute(text(f"EXPLAIN QUERY PLAN {select}"))
        assert f"USING INDEX appointments_{whose}_busy_idx ({whose}_id=? AND {end}>?)" in str(plan.all())


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("whose", ["patient_id", "actor_id"])
async def test_who_saw_a_patient_is_read_from_an_index_in_time(sessions: Sessions, whose: str) -> None:
    async with sessions.read() as session:
        plan = await session.execute(
            text(
                f"EXPLAIN QUERY PLAN SELECT * FROM audit_events WHERE {whose} = 'x' AND (occurred_at, id) < ('y', 'z') "
                "ORDER BY occurred_at DESC, id DESC LIMIT 50"
            )
        )
        [(*_, step)] = plan.all()
        assert f"USING INDEX audit_events_{whose}_occurred_at_id_idx ({whose}=? AND (occurred_at,id)<" in step
        plan = await session.execute(
            text("EXPLAIN QUERY PLAN SELECT * FROM audit_events WHERE position IS NULL ORDER BY id LIMIT 1000")
        )
        [(*_, step)] = plan.all()  # a second step would be to sort
        assert "USING INDEX sqlite_autoindex_audit_events_2 (position=?)" in step


async def explain(session: AsyncSession, ask: Callable[[], Awaitable[Any]], *, filled: bool = False) -> str:
    """The plan of the one statement that is made by ``ask``."""
    connection = await session.connection()
    postgresql = connection.dialect.name == "postgresql"
    if postgresql and not filled:
        # A table with nothing in it is read as a whole, whatever there is beside it.
        for method in ("seqscan", "sort"):
            await session.execute(text(f"SET LOCAL enable_{method} = off"))
    made: list[tuple[str, Any]] = []

    def listen(_connection: Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        made.append((statement, parameters))

    event.listen(connection.sync_connection, "before_cursor_execute", listen)
    await ask()
    event.remove(connection.sync_connection, "before_cursor_execute", listen)
    [(statement, parameters)] = made
    rows = await connection.exec_driver_sql(f"EXPLAIN {'' if postgresql else 'QUERY PLAN '}{statement}", parameters)
    return "\n".join(str(row[-1]) for row in rows)


CRITERIA = {
    "": Criteria(),
    "specialty_key_": Criteria(specialty="Dermatology", language="es", mode=VisitMode.VIDEO),
    "visit_key_": Criteria(visit="Check-up"),
}


@pytest.mark.parametrize("found_by", CRITERIA)
async def test_a_search_walks_along_an_index_without_sorting(sessions: Sessions, found_by: str) -> None:
    criteria = CRITERIA[found_by]

    async with sessions.read() as session:

        async def by_bound(after: OfferRecord | None = None) -> None:
            await offers.page_by_bound(session, criteria, after=after, above=None, below=NOW, limit=10)

        async def by_place() -> None:
            await offers.page_by_place(session, criteria, after=None, places=(5, 10), until=NOW, limit=10)

        plan = await explain(session, by_bound)
        assert f"offers_{found_by}not_before_turn_id_idx" in plan
        assert "TEMP B-TREE" not in plan
        assert "Sort" not in plan
        plan = await explain(session, by_place)
        assert f"offers_{found_by}place_id_idx" in plan
        assert "TEMP B-TREE" not in plan
        assert "Sort" not in plan


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({}, "doctors_name_key_id_idx"),
        ({"specialty": "Dermatology"}, "doctors_specialty_key_name_key_id_idx"),
    ],
)
async def test_doctors_are_listed_along_an_index(sessions: Sessions, query: dict[str, str], index: str) -> None:
    every: dict[str, Any] = dict.fromkeys(("q", "specialty", "language", "mode"))

    async with sessions.read() as session:

        async def page() -> None:
            await doctors.page_doctors(session, **every | query, after=("a", UUID(int=1)), limit=51)

        assert index in await explain(session, page)


MANY = """
INSERT INTO users (id, email, email_canonical, name, role, password_hash, created_at)
SELECT gen_random_uuid(), n, n, 'Dr ' || md5(n::text), 'doctor', '', now() FROM generate_series(1, 5000) AS n;
INSERT INTO doctors (id, time_zone, name_key, approved_at) SELECT id, 'UTC', lower(name), now() FROM users;
SELECT gin_clean_pending_list('doctors_name_key_trgm_idx');
ANALYZE users;
ANALYZE doctors
"""


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_part_of_a_name_is_found_by_an_index(sessions: Sessions) -> None:
    async with sessions.write() as session:
        for statement in MANY.split(";"):
            await session.execute(text(statement))

        async def page() -> None:
            await doctors.page_doctors(
                session, q="kafo", specialty=None, language=None, mode=None, after=None, limit=51
            )

        assert "doctors_name_key_trgm_idx" in await explain(session, page, filled=True)


async def test_what_is_outdated_is_found_by_an_index(sessions: Sessions) -> None:
    async with sessions.read() as session:

        async def outdated() -> None:
            await offers.list_outdated(session, NOW, limit=10)

        assert "offers_known_until_idx" in await explain(session, outdated)
