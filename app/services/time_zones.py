"""Keeping what is stored in step with the time-zone data."""

import logging
from datetime import datetime

from tzdata import IANA_VERSION

from app.db.database import Database
from app.repositories import time_zones
from app.repositories.search_bounds import lower_bounds
from app.services.clock_changes import list_changed

log = logging.getLogger(__name__)

BATCH = 256
"""Doctors per transaction."""


class OlderTimeZonesError(Exception):
    """The database has been used with newer time-zone data than this process has."""


async def register_release(database: Database, *, allow_older: bool, now: datetime) -> None:
    """Records the release of the time-zone data that this process uses, if it is newer than what the database has seen.

    ``OlderTimeZonesError`` if it is older, unless ``allow_older``: two processes that read clocks differently disagree
    about what can be booked.
    """
    async with database.read() as transaction:
        known = await time_zones.list_releases(transaction)
    # A year and a letter: they sort as text.
    newest = max(known, default="")
    if newest > IANA_VERSION and not allow_older:
        raise OlderTimeZonesError(
            f"the database has been used with time zones of IANA {newest}, and this process has {IANA_VERSION}: "
            "install the newer tzdata package, or set ALLOW_OLDER_TIME_ZONES=true during a rolling upgrade"
        )
    if newest < IANA_VERSION:
        async with database.write() as transaction:
            await time_zones.insert_release(transaction, IANA_VERSION, now)


async def apply_release(database: Database, now: datetime) -> None:
    """Discards what searches have computed with older data, once per release and batch by batch.

    Logs whose visits have another time on the clock than was agreed.
    """
    async with database.read() as transaction:
        if not await time_zones.is_release_pending(transaction, IANA_VERSION):
            return
    after = None
    while True:
        async with database.write() as transaction:
            doctor_ids = await time_zones.list_doctor_ids(transaction, after=after, limit=BATCH)
            if not doctor_ids:
                await time_zones.finish_release(transaction, IANA_VERSION, now)
                return
            await lower_bounds(transaction, doctor_ids)
        async with database.read() as transaction:
            for doctor_id in doctor_ids:
                if changed := await list_changed(transaction, doctor_id, now):
                    log.warning(
                        "time zones %s: visits of doctor %s with another time on the clock than was agreed: %d",
                        IANA_VERSION,
                        doctor_id,
                        len(changed),
                    )
        after = doctor_ids[-1]
