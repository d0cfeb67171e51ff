"""What of a doctor's changes waits for a review."""

from uuid import UUID

from app.db.session import Sessions
from app.services.profile_review import hold_back
from tests.people import Person
from tests.services.interruptions import NOW


async def test_what_is_not_reviewed_takes_effect_at_once(doctor: Person, sessions: Sessions) -> None:
    async with sessions.write() as session:
        assert await hold_back(session, UUID(doctor.id), {"bio": "Skin"}, NOW, reviewed=True) == {"bio": "Skin"}
