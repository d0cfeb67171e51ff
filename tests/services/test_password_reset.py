"""The request to reset a forgotten password."""

import asyncio

from app.core.settings import Settings
from app.db.database import Database
from app.services.accounts import MIN_RESET_SECONDS, request_password_reset
from tests.conftest import SetClock
from tests.people import Person


async def test_request_takes_a_minimum_time_for_known_and_unknown_addresses(
    database: Database, settings: Settings, patient: Person, clock: SetClock
) -> None:
    loop = asyncio.get_running_loop()
    for email, is_known in ((patient.email, True), ("unknown@example.com", False)):
        began = loop.time()
        mail = await request_password_reset(database, settings, email=email, now=clock.time)
        assert loop.time() - began >= MIN_RESET_SECONDS.total_seconds()
        assert (mail is not None) is is_known
