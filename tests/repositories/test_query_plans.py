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
