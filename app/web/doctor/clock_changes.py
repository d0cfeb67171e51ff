"""Visits whose local time has changed since it was agreed, because the rules of the time zone have changed."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from app.core.dependencies import DbTransaction, Now
from app.core.errors import DomainError
from app.http.audit import Audit
from app.http.paging import APPOINTMENT_CURSOR, read_appointment_cursor
from app.repositories import doctors
from app.repositories.appointments import page_key
from app.scheduling.zones import KeptTime
from app.schemas.fields import Body, Cursor
from app.services import clock_changes
from app.services.clock_changes import Settled
from app.web.kit.auth import CalendarPage, ChangeForPatientsPage
from app.web.kit.error_texts import explain
from app.web.kit.forms import SentForm
from app.web.kit.lists import MAX_LISTED, cut_list
from app.web.kit.pages import SignedInPage
from app.web.kit.routes import page_router

router = page_router()

PATH = "/practice/hours/clock-changes"


class Choice(Body):
    """The choice of what is kept: the agreed local time, or the instant."""

    keep: KeptTime


@router.get(PATH)
async def list_clock_changes(
    page: CalendarPage, transaction: DbTransaction, now: Now, trail: Audit, after: Cursor | None = None
) -> Response:
    """List the visits by start, with the agreed local time and the current one."""
    key, as_of = read_appointment_cursor(after, now)
    doctor = await doctors.get_own_profile(transaction, page.actor.id)
    found = await clock_changes.page_clock_changes(
        transaction, page.actor.id, as_of=as_of, after=key, limit=MAX_LISTED + 1
    )
    visits, more = cut_list(found, PATH, APPOINTMENT_CURSOR, partial(page_key, as_of=as_of))
    trail.concerns(*visits)
    return page.render("doctor/clock_changes.html", visits=visits, more=more, zone=doctor.zone)


@router.post(PATH)
async def settle_clock_changes(
    page: ChangeForPatientsPage,
    form: SentForm,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    visit: Annotated[UUID | None, Query()] = None,
) -> Response:
    """Settle one visit, or all. Visits that cannot be moved stay in the list. A second submission changes nothing."""
    keep = form.read(Choice).keep
    try:
        settled = await clock_changes.settle_clock_changes(
            transaction, page.actor, keep, doctor_id=page.actor.id, only=None if visit is None else {visit}, now=now
        )
    except DomainError as error:
        if error.code != "not_found":
            raise
        # The visit has been settled or cancelled in the meantime.
        return page.redirect(PATH)
    trail.concerns(*settled.appointments)
    return page.redirect(PATH, _summarize(page, settled), "note" if settled.failed else "good")


def _summarize(page: SignedInPage, settled: Settled) -> str:
    summary = page.formatter.ngettext(
        "%(num)d visit is settled.", "%(num)d visits are settled.", len(settled.appointments)
    )
    if not settled.failed:
        return summary
    failed = page.formatter.ngettext(
        "%(num)d visit was not changed:", "%(num)d visits were not changed:", len(settled.failed)
    )
    reasons = dict.fromkeys(explain(page.formatter, code) for _, code in settled.failed)
    return " ".join([summary, failed, *reasons])
