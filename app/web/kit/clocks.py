"""The time zones that matter on a page with times."""

from zoneinfo import ZoneInfo

from app.db.database import Transaction
from app.repositories import doctors
from app.schemas.fields import TIME_ZONES
from app.web.kit.pages import Page


async def load_zones(page: Page, transaction: Transaction, *shown: str) -> None:
    """Set the page's ``zones``: those of all listed doctors, and those of the times that are ``shown``."""
    # Zones that this installation does not know are left out (`docs/time.md`).
    known = TIME_ZONES & {*await doctors.list_time_zones(transaction), *shown}
    page.zones = [ZoneInfo(each) for each in sorted(known)]
