"""Whose clocks are in play where times are shown."""

from zoneinfo import ZoneInfo

from app.db.database import Transaction
from app.repositories import doctors
from app.schemas.fields import TIME_ZONES
from app.web.kit.pages import Page


async def find_zones_in_play(page: Page, transaction: Transaction, *shown: str) -> None:
    """Lets a page know the zones of all listed doctors, and of the times that are ``shown``."""
    known = TIME_ZONES & {*await doctors.list_time_zones(transaction), *shown}
    page.zones_in_play = [ZoneInfo(each) for each in sorted(known)]
