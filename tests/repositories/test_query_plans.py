"""The statements that grow with the clinic go along an index."""

import re

import pytest
from sqlalchemy import text

from app.db.session import Sessions


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
