"""The statements that grow with the clinic go along an index."""

import pytest
from sqlalchemy import text

from app.db.session import Sessions


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("whose", "start", "end"), [("doctor", "busy_start", "busy_end"), ("patient", "start_time", "end_time")]
)
async def test_the_triggers_of_sqlite_look_from_the_wanted_time_on(
    sessions: Sessions, whose: str, start: str, end: str
) -> None:
    async with sessions.read() as session:
        plan = await session.execute(
            text(
                f"EXPLAIN QUERY PLAN SELECT 1 FROM appointments WHERE {whose}_id = :whose"
                f" AND status NOT IN ('cancelled', 'noshow') AND {end} > :start AND {start} < :end AND id IS NOT :id"
            ),
            {"whose": "x", "start": "x", "end": "x", "id": "x"},
        )
        assert f"USING INDEX appointments_{whose}_busy_idx ({whose}_id=? AND {end}>?)" in str(plan.all())
