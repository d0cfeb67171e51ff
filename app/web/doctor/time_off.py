"""Time off. The visits booked in it are shown before it is added."""

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Query, Response

from app.core.dependencies import DbTransaction, Now
from app.core.errors import DomainError
from app.http.audit import Audit
from app.http.paging import read_cursor
from app.http.problems import PROBLEMS
from app.repositories import doctors, time_off
from app.scheduling.availability import window
from app.scheduling.intervals import from_instant, to_instant
from app.scheduling.zones import wall_time
from app.schemas.fields import Body, ClockTime, Cursor, LocalDate, Note
from app.services import schedule
from app.web.doctor.calendar import RULE_CURSOR, moment_of, rename_fields
from app.web.doctor.hours import flash_affected
from app.web.kit.auth import HoursPage
from app.web.kit.drafts import restore
from app.web.kit.error_texts import explain
from app.web.kit.forms import Form, Once, SentForm, explain_fields, refuse
from app.web.kit.lists import MAX_LISTED, cut_list, fit, weigh_record
from app.web.kit.pages import SignedInPage
from app.web.kit.routes import page_router

router = page_router()

_FIELDS = {"start_time": "first", "end_time": "last"}
_A_DAY = timedelta(days=1)


class NewTimeOff(Body):
    """Time off in the doctor's wall time: whole days, unless times are given for the first or the last day."""

    first: LocalDate
    leaves: ClockTime | None = None
    last: LocalDate
    returns: ClockTime | None = None
    reason: Note | None = None

    def start(self, zone: ZoneInfo) -> datetime:
        """Return the start in the doctor's zone."""
        return moment_of(self.first, self.leaves or "00:00", zone)

    def end(self, zone: ZoneInfo) -> datetime:
        """Return the end in the doctor's zone: the end of the last day, unless a time is given."""
        if self.returns:
            return moment_of(self.last, self.returns, zone)
        return moment_of(self.last + _A_DAY, "00:00", zone)


@router.get("/practice/hours/time-off")
async def list_time_off(page: HoursPage, transaction: DbTransaction, now: Now, after: Cursor | None = None) -> Response:
    """List the time off that is not over."""
    content = await _content(page, transaction, now, after)
    today = str(content["today"])
    return page.render("doctor/time_off.html", form=restore(page, {"first": today, "last": today}), **content)


@router.get("/practice/hours/time-off/preview")
async def preview_time_off(
    page: HoursPage,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    # Without the reason: what people write does not belong in a URL (ADR 0024). As texts, so that an invalid day can be
    # shown in the form.
    first: Annotated[str, Query()] = "",
    leaves: Annotated[str, Query()] = "",
    last: Annotated[str, Query()] = "",
    returns: Annotated[str, Query()] = "",
) -> Response:
    """Show the visits booked in the time off, as many as fit on a page, before it is added."""
    content = await _content(page, transaction, now)
    form = restore(page, {"first": first, "leaves": leaves, "last": last, "returns": returns})
    zone = content["zone"]
    try:
        typed = form.read(NewTimeOff)
        affected = await schedule.preview_time_off(
            transaction, page.actor.id, start=typed.start(zone), end=typed.end(zone), now=now
        )
    except DomainError as error:
        wrong = explain_fields(page.formatter, rename_fields(error, _FIELDS))
        again = Form(form.values, explain(page.formatter, error.code), wrong)
        return page.render("doctor/time_off.html", PROBLEMS[error.code][0], form=again, **content)
    listed = fit(affected.appointments[:MAX_LISTED], weigh_record)
    trail.concerns(*listed)
    return page.render(
        "doctor/time_off_preview.html",
        form=form,
        zone=zone,
        start=typed.start(zone),
        end=typed.end(zone),
        count=affected.count,
        listed=listed,
    )


@router.post("/practice/hours/time-off")
async def take_time_off(
    page: HoursPage, form: SentForm, transaction: DbTransaction, now: Now, trail: Audit, _: Once
) -> Response:
    """Add the time off. Visits booked in it stay booked until they are cancelled or moved."""
    content = await _content(page, transaction, now)
    zone = content["zone"]
    try:
        typed = form.read(NewTimeOff)
        _doctor, created, affected = await schedule.take_time_off(
            transaction,
            page.actor.id,
            start=typed.start(zone),
            end=typed.end(zone),
            reason=typed.reason or None,
            now=now,
        )
    except DomainError as error:
        raise refuse(page, "doctor/time_off.html", form, rename_fields(error, _FIELDS), **content) from error
    trail.about(created.id)
    trail.shows(*affected.appointments)
    return flash_affected(
        page, affected, f"/practice/hours/time-off#row-{created.id}", page.gettext("Your hours have been changed.")
    )


@router.post("/practice/hours/time-off/{time_off_id:uuid}/remove")
async def end_time_off(
    page: HoursPage, time_off_id: UUID, form: SentForm, transaction: DbTransaction, _: Once
) -> Response:
    """Remove the time off. The hours in it apply again."""
    await schedule.end_time_off(transaction, page.actor.id, time_off_id)
    message = page.gettext("The time off has been removed. Your hours apply again.")
    return page.redirect_back(form.values, "/practice/hours/time-off", message)


async def _content(
    page: SignedInPage, transaction: DbTransaction, now: datetime, after: str | None = None
) -> dict[str, Any]:
    doctor = await doctors.get_own_profile(transaction, page.actor.id)
    zone = doctor.zone
    shown = wall_time(to_instant(now), zone)
    found = await time_off.page_time_off(
        transaction, page.actor.id, since=shown, after=read_cursor(after, RULE_CURSOR), limit=MAX_LISTED + 1
    )
    absences, more = cut_list(found, "/practice/hours/time-off", RULE_CURSOR, time_off.page_key)
    return {
        "zone": zone,
        "today": shown.date(),
        "absences": [(each, *map(from_instant, window(each.rule, zone))) for each in absences],
        "more": more,
    }
