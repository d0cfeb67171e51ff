"""Extra hours: windows in addition to a doctor's weekly hours, once or recurring."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Response

from app.core.dependencies import DbTransaction, Now
from app.core.errors import DomainError
from app.core.text import capitalize_first
from app.http.paging import read_cursor
from app.repositories import availabilities, doctors
from app.repositories.availabilities import AvailabilityRecord
from app.scheduling.availability import window
from app.scheduling.intervals import from_instant, to_instant
from app.scheduling.recurrence import starts_between
from app.scheduling.zones import wall_time
from app.schemas.fields import Body, ClockTime, Cursor, LocalDate
from app.services import schedule
from app.web.doctor.calendar import RULE_CURSOR, moment_of, rename_fields
from app.web.kit.auth import HoursPage
from app.web.kit.drafts import restore
from app.web.kit.formatting import Formatter
from app.web.kit.forms import Once, SentForm, refuse
from app.web.kit.languages import N_
from app.web.kit.lists import MAX_LISTED, cut_list
from app.web.kit.pages import SignedInPage
from app.web.kit.recurrences import describe_recurrence, last_day
from app.web.kit.routes import page_router

router = page_router()

REPETITIONS: Mapping[str, str] = {
    "": N_("Once"),
    "FREQ=DAILY": N_("Every day"),
    "FREQ=WEEKLY": N_("Every week"),
    "FREQ=WEEKLY;INTERVAL=2": N_("Every two weeks"),
    "FREQ=WEEKLY;INTERVAL=4": N_("Every four weeks"),
}
"""The rules (RFC 5545) that the page offers. The API accepts others, too."""
_FIELDS = {"start_time": "day", "end_time": "closes", "recurrence": "until"}
_A_DAY, _A_YEAR = timedelta(days=1), timedelta(days=366)
_MAX_FOLLOWING = 3


class NewExtraHours(Body):
    """A window in the doctor's wall time. If it ends before it starts, it continues past midnight."""

    day: LocalDate
    opens: ClockTime
    closes: ClockTime
    repeats: Literal["FREQ=DAILY", "FREQ=WEEKLY", "FREQ=WEEKLY;INTERVAL=2", "FREQ=WEEKLY;INTERVAL=4"] | None = None
    until: LocalDate | None = None

    @property
    def recurrence(self) -> str | None:
        """The rule (RFC 5545) with its last day."""
        return f"{self.repeats};UNTIL={self.until:%Y%m%d}" if self.repeats and self.until else self.repeats


@dataclass(frozen=True, slots=True)
class ExtraHours:
    """A window in the list."""

    id: UUID
    first: str
    """The first or only occurrence."""
    repeats: str
    """The recurrence in words, or the rule itself if it cannot be put in words."""
    until: date | None
    following: Sequence[str]
    """The next days, if ``repeats`` is the rule itself."""


@router.get("/practice/hours/extra")
async def list_own_availability(
    page: HoursPage, transaction: DbTransaction, now: Now, after: Cursor | None = None
) -> Response:
    """List the extra hours that are not over."""
    content = await _content(page, transaction, now, after)
    return page.render("doctor/extra_hours.html", form=restore(page, {"day": str(content["today"])}), **content)


@router.post("/practice/hours/extra")
async def publish_availability(
    page: HoursPage, form: SentForm, transaction: DbTransaction, now: Now, _: Once
) -> Response:
    """Add extra hours."""
    content = await _content(page, transaction, now)
    try:
        typed = form.read(NewExtraHours)
        last = typed.day if typed.closes > typed.opens else typed.day + _A_DAY
        _doctor, published = await schedule.publish_availability(
            transaction,
            page.actor.id,
            start=moment_of(typed.day, typed.opens, content["zone"]),
            end=moment_of(last, typed.closes, content["zone"]),
            recurrence=typed.recurrence,
            now=now,
        )
    except DomainError as error:
        raise refuse(page, "doctor/extra_hours.html", form, rename_fields(error, _FIELDS), **content) from error
    message = page.gettext("The extra hours have been added.")
    return page.redirect(f"/practice/hours/extra#row-{published.id}", message)


@router.post("/practice/hours/extra/{availability_id:uuid}/remove")
async def withdraw_availability(
    page: HoursPage, availability_id: UUID, form: SentForm, transaction: DbTransaction, _: Once
) -> Response:
    """Remove extra hours, with all their occurrences."""
    await schedule.withdraw_availability(transaction, page.actor.id, availability_id)
    message = page.gettext("The extra hours have been removed. Visits already booked stay booked.")
    return page.redirect_back(form.values, "/practice/hours/extra", message)


async def _content(
    page: SignedInPage, transaction: DbTransaction, now: datetime, after: str | None = None
) -> dict[str, Any]:
    doctor = await doctors.get_own_profile(transaction, page.actor.id)
    zone = doctor.zone
    shown = wall_time(to_instant(now), zone)
    found = await availabilities.page_extra_windows(
        transaction, page.actor.id, shown, after=read_cursor(after, RULE_CURSOR), limit=MAX_LISTED + 1
    )
    listed, more = cut_list(found, "/practice/hours/extra", RULE_CURSOR, availabilities.page_key)
    return {
        "zone": zone,
        "today": shown.date(),
        "extra_hours": [_describe(page.formatter, each, zone, shown) for each in listed],
        "more": more,
        "repetitions": [(rule, page.gettext(name)) for rule, name in REPETITIONS.items()],
    }


def _describe(formatter: Formatter, record: AvailabilityRecord, zone: ZoneInfo, shown: datetime) -> ExtraHours:
    rule = record.rule
    start, end = map(from_instant, window(rule, zone))
    repeats, following = describe_recurrence(formatter, rule), []
    if repeats is None and rule.recurrence is not None:
        # A rule that cannot be put in words is shown as it is, with the next days.
        repeats = rule.recurrence
        latest = min(shown + _A_YEAR, rule.last_ends - (rule.ends - rule.starts))
        found = starts_between(rule.recurrence, rule.starts, max(shown, rule.starts), latest)
        following = [formatter.day(each.date()) for each in islice(found, _MAX_FOLLOWING)]
    until = last_day(rule) if rule.recurrence else None
    first = capitalize_first(formatter.period(start, end, zone, all_day=True))
    return ExtraHours(record.id, first, repeats or "", until, following)
