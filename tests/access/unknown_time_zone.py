"""A time zone that this machine does not know."""

from sqlalchemy import text

from app.db.database import Database
from tests.people import Person

UNKNOWN = "Mars/Olympus"


async def set_unknown_time_zone(database: Database, *doctors: Person) -> None:
    async with database.write() as transaction:
        for doctor in doctors:
            await transaction.execute(
                text("UPDATE doctors SET time_zone = :zone WHERE id = (SELECT id FROM users WHERE email = :email)"),
                {"zone": UNKNOWN, "email": doctor.email},
            )
