"""Keeping what is stored in step with the time-zone data."""

import logging
from datetime import datetime

from tzdata import IANA_VERSION

from app.db.session import Sessions
from app.repositories import time_zones
from app.repositories.bounds import lower_bounds
from app.services.clock_changes import list_changed

log = logging.getLogger(__name__)

BATCH = 256
"""Doctors per transaction."""


class OlderTimeZonesError(Exception):
    """The database has been used with newer time-zone data than this process has."""


async def register_release(sessions: Sessions, *, allow_older: bool, now: datetime) -> None:
    """Records the release of the time-zone data that this process uses, if it is newer than what the database has seen.

    ``OlderTimeZonesError`` if it is older, unless ``allow_older``: two processes that read clocks differently disagree
    about what can be booked.
    """
    async with sessions.read() as session:
        known = await time_zones.list_releases(session)
    # A year and a letter: they sort as text.
    newest = max(known, default="")
    if newest > IANA_VERSION and not allow_older:
        raise OlderTimeZonesError(
            f"the database has been used with time zones of IANA {newest}, and this process has {IANA_VERSION}: "
            "install the newer tzdata package, or set ALLOW_OLDER_TIME_ZONES=true during a rolling upgrade"
        )
    if newest < IANA_VERSION:
        async with sessions.write() as session:
            await time_zones.insert_release(session, IANA_VERSION, now)


async def apply_release(sessions: Sessions, now: datetime) -> None:
    """Discards what searches have computed with older data, once per release and batch by batch.

    Logs whose visits have another time on the clock than was agreed.
    """
    async with sessions.read() as session:
        if not await time_zones.is_release_pending(session, IANA_VERSION):
            return
    after = None
    while True:
        async with sessions.write() as session:
            doctor_ids = await time_zones.list_doctor_ids(session, after=after, limit=BATCH)
            if not doctor_ids:
                await time_zones.finish_release(session, IANA_VERSION, now)
                return
            await lower_bounds(session, doctor_ids)
        async with sessions.read() as session:
            for doctor_id in doctor_ids:
                if changed := await list_changed(session, doctor_id, now):
                    log.warning(
                        "time zones %s: visits of doctor %s with another time on the clock than was agreed: %d",
                        IANA_VERSION,
                        doctor_id,
                        len(changed),
                    )
        after = doctor_ids[-1]
