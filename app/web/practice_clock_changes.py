"""Visits whose time on the doctor's clock has changed since it was agreed."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from app.core.dependencies import DbSession, Now
from app.core.errors import DomainError
from app.repositories import doctors
from app.repositories.appointments import page_key
from app.routers.appointments import PLACE, read_place
from app.routers.trail import Trail
from app.scheduling.zones import KeptTime
from app.schemas.fields import Body, Cursor
from app.services import clock_changes
from app.services.clock_changes import Settled
from app.web.forms import SentForm
from app.web.lists import MOST_LISTED, cut_list
from app.web.pages import SignedInPage
from app.web.routes import page_router
from app.web.sentences import explain
from app.web.visitors import DoctorPage

router = page_router()

PATH = "/practice/hours/clock-changes"


class Choice(Body):
    """What stays as it was agreed."""

    keep: KeptTime


@router.get(PATH)
async def list_clock_changes(
    page: DoctorPage, session: DbSession, now: Now, trail: Trail, after: Cursor | None = None
) -> Response:
    """The visits, by their start, with the time that was agreed and the one that the clock shows now."""
    key, as_of = read_place(after, now)
    doctor = await doctors.get_own_practice(session, page.actor.id)
    found = await clock_changes.page_clock_changes(session, page.actor, as_of=as_of, after=key, limit=MOST_LISTED + 1)
    visits, more = cut_list(found, PATH, PLACE, partial(page_key, as_of=as_of))
    trail.concerns(*visits)
    return page.render("practice_clock_changes.html", visits=visits, more=more, zone=doctor.zone)


@router.post(PATH)
async def settle_clock_changes(
    page: DoctorPage,
    form: SentForm,
    session: DbSession,
    now: Now,
    trail: Trail,
    visit: Annotated[UUID | None, Query()] = None,
) -> Response:
    """Settles one visit, or all; those that have no room stay in the list. Sent twice, it finds nothing to do."""
    keep = form.read(Choice).keep
    try:
        settled = await clock_changes.settle_clock_changes(
            session, page.actor, keep, only=None if visit is None else {visit}, now=now
        )
    except DomainError as error:
        if error.code != "not_found":
            raise
        # It was settled before, or cancelled.
        return page.redirect(PATH)
    trail.concerns(*settled.appointments)
    return page.redirect(PATH, _summarize(page, settled), "note" if settled.failed else "good")


def _summarize(page: SignedInPage, settled: Settled) -> str:
    said = page.words.ngettext("%(num)d visit is settled.", "%(num)d visits are settled.", len(settled.appointments))
    if not settled.failed:
        return said
    failed = page.words.ngettext(
        "%(num)d visit stays as it is:", "%(num)d visits stay as they are:", len(settled.failed)
    )
    reasons = dict.fromkeys(explain(page.words, code) for _, code in settled.failed)
    return " ".join([said, failed, *reasons])
