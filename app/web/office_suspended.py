"""The office: the upcoming visits of a suspended doctor, which administrators cancel."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import Response

from app.core.dependencies import DbSession, Now
from app.core.errors import DomainError
from app.core.text import isolate
from app.repositories import accounts
from app.repositories.appointments import page_key
from app.routers.appointments import PLACE, read_place
from app.routers.trail import RequestTrail, Trail
from app.schemas.admin import Decision
from app.schemas.fields import Cursor
from app.services import suspended_doctors
from app.web.clocks import find_zones_in_play
from app.web.drafts import restore
from app.web.forms import Once, SentForm, refuse
from app.web.lists import MOST_LISTED, cut_list
from app.web.pages import SignedInPage
from app.web.practice_visit import Version
from app.web.routes import page_router
from app.web.visitors import FreshAdminPage

router = page_router()

_ALL = "/office/users/{user_id:uuid}/appointments"
_ONE = _ALL + "/{appointment_id:uuid}"


class Cancellation(Decision):
    """Why a visit is cancelled, as it was when somebody looked at it."""

    version: Version


@router.get(_ALL)
async def list_visits_of_suspended_doctor(
    page: FreshAdminPage, user_id: UUID, session: DbSession, now: Now, trail: Trail, after: Cursor | None = None
) -> Response:
    """Those that are not over and not cancelled, the next first."""
    key, as_of = read_place(after, now)
    found = await suspended_doctors.page_expected_visits(
        session, user_id, as_of=as_of, after=key, limit=MOST_LISTED + 1
    )
    listed, more = cut_list(found, f"/office/users/{user_id}/appointments", PLACE, partial(page_key, as_of=as_of))
    trail.about(user_id)
    trail.concerns(*listed)
    await find_zones_in_play(page, session, *(each.time_zone for each in listed))
    account = await accounts.get_account(session, user_id)
    return page.render("office_suspended.html", account=account, visits=listed, more=more)


@router.get(_ONE)
async def show_visit_of_suspended_doctor(
    page: FreshAdminPage, user_id: UUID, appointment_id: UUID, session: DbSession, trail: Trail
) -> Response:
    """One of them; asks why it is cancelled."""
    content = await _describe(page, user_id, appointment_id, session, trail)
    return page.render("office_suspended_visit.html", form=restore(page), **content)


@router.post(_ONE + "/cancel")
async def cancel_visit_of_suspended_doctor(
    page: FreshAdminPage,
    user_id: UUID,
    appointment_id: UUID,
    form: SentForm,
    session: DbSession,
    now: Now,
    trail: Trail,
    _: Once,
) -> Response:
    """Cancels it, and leads back to those that are left."""
    content = await _describe(page, user_id, appointment_id, session, trail)
    try:
        typed = form.read(Cancellation)
        cancelled = await suspended_doctors.cancel_visit(
            session,
            page.actor,
            user_id,
            appointment_id,
            reason=typed.reason,
            versions=frozenset({typed.version}),
            now=now,
        )
    except DomainError as error:
        raise refuse(
            page,
            "office_suspended_visit.html",
            form,
            error,
            shown_by=show_visit_of_suspended_doctor,
            **content,
        ) from error
    trail.because(typed.reason)
    told = page.gettext("The visit of %(patient)s is cancelled.", patient=isolate(cancelled.patient.name))
    return page.redirect(f"/office/users/{user_id}/appointments", told)


async def _describe(
    page: SignedInPage, user_id: UUID, appointment_id: UUID, session: DbSession, trail: RequestTrail
) -> Mapping[str, Any]:
    visit = await suspended_doctors.get_visit(session, user_id, appointment_id, page.now)
    trail.concerns(visit)
    await find_zones_in_play(page, session, visit.time_zone)
    return {"visit": visit}
