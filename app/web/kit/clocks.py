"""The time zones that matter on a page with times."""

from zoneinfo import ZoneInfo

from app.db.database import Transaction
from app.repositories import doctors
from app.schemas.fields import TIME_ZONES
from app.web.kit.pages import Page


async def find_zones_in_play(page: Page, transaction: Transaction, *shown: str) -> None:
    """Set the page's ``zones_in_play``: the zones of all listed doctors, and those of the times that are ``shown``."""
    # Zones that this installation does not know are left out (`docs/time.md`).
    known = TIME_ZONES & {*await doctors.list_time_zones(transaction), *shown}
    page.zones_in_play = [ZoneInfo(each) for each in sorted(known)]
