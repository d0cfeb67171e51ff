"""Keep stored data consistent with the time-zone data (ADR 0028)."""

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
    """Record the release of the time-zone data that this process uses, if it is newer than those recorded.

    Raises ``OlderTimeZonesError`` if it is older, unless ``allow_older``: processes with different time-zone data
    disagree about what can be booked.
    """
    async with database.read() as transaction:
        known = await time_zones.list_releases(transaction)
    # Releases are named by a year and a letter, so they sort as text.
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
    """Discard lower bounds that were computed with older data, once per release, batch by batch.

    Logs the doctors who have visits whose wall time differs from the agreed one.
    """
    async with database.read() as transaction:
        if not await time_zones.is_release_pending(transaction, IANA_VERSION):
            return
    after = None
    while True:
        async with database.write() as transaction:
            doctor_ids = await time_zones.list_doctor_ids(transaction, after=after, limit=BATCH)
            if not doctor_ids:
                # Only at the end: after an interruption the next start begins again, and lowering a bound twice does no
                # harm.
                await time_zones.finish_release(transaction, IANA_VERSION, now)
                return
            await lower_bounds(transaction, doctor_ids)
        # In a transaction of its own, so that the offers are not locked while visits are compared.
        async with database.read() as transaction:
            for doctor_id in doctor_ids:
                if changed := await list_changed(transaction, doctor_id, now):
                    log.warning(
                        "time zones %s: visits of doctor %s whose wall time differs from the agreed one: %d",
                        IANA_VERSION,
                        doctor_id,
                        len(changed),
                    )
        after = doctor_ids[-1]
