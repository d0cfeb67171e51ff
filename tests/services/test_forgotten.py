"""Asking for a reset of a forgotten password."""

import asyncio

from app.core.settings import Settings
from app.db.database import Database
from app.services.accounts import MIN_RESET_SECONDS, request_password_reset
from tests.conftest import SetClock
from tests.people import Person


async def test_it_takes_a_while_for_every_address_so_that_nothing_is_told(
    database: Database, settings: Settings, patient: Person, clock: SetClock
) -> None:
    loop = asyncio.get_running_loop()
    for email, found in ((patient.email, True), ("nobody@example.com", False)):
        began = loop.time()
        mail = await request_password_reset(database, settings, email=email, now=clock.time)
        assert loop.time() - began >= MIN_RESET_SECONDS.total_seconds()
        assert (mail is not None) is found
