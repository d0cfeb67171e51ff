"""Changes of a doctor's profile that wait for a review."""

from uuid import UUID

from app.db.database import Database
from app.services.profile_review import hold_back
from tests.people import Person
from tests.services.visits import NOW


async def test_change_of_an_unreviewed_field_takes_effect_at_once(doctor: Person, database: Database) -> None:
    async with database.write() as transaction:
        assert await hold_back(transaction, UUID(doctor.id), {"bio": "Skin"}, NOW, reviewed=True) == {"bio": "Skin"}
