"""The upcoming visits of a suspended doctor, which administrators cancel."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import Response

from app.core.dependencies import DbTransaction, Now
from app.core.errors import DomainError
from app.core.text import isolate
from app.http.audit import Audit, AuditRecorder
from app.http.paging import APPOINTMENT_CURSOR, read_appointment_cursor
from app.repositories import accounts
from app.repositories.appointments import page_key
from app.schemas.admin import Decision
from app.schemas.fields import Cursor
from app.services import suspended_doctors
from app.web.kit.auth import SuspendedDoctorsPage
from app.web.kit.clocks import load_zones
from app.web.kit.drafts import restore
from app.web.kit.forms import AppointmentVersion, Once, SentForm, refuse
from app.web.kit.lists import MAX_LISTED, cut_list
from app.web.kit.pages import SignedInPage
from app.web.kit.routes import page_router

router = page_router()

_ALL = "/office/users/{user_id:uuid}/appointments"
_ONE = _ALL + "/{appointment_id:uuid}"


class Cancellation(Decision):
    """The reason for a cancellation, and the version of the visit that the form was made for."""

    version: AppointmentVersion


# Reading requires a fresh sign-in too, unlike on the pages of accounts, because it shows patients' visits (ADR 0045).
@router.get(_ALL)
async def list_visits_of_suspended_doctor(
    page: SuspendedDoctorsPage,
    user_id: UUID,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    after: Cursor | None = None,
) -> Response:
    """List the doctor's visits that are neither over nor cancelled, the next one first."""
    key, as_of = read_appointment_cursor(after, now)
    found = await suspended_doctors.page_expected_visits(
        transaction, user_id, as_of=as_of, after=key, limit=MAX_LISTED + 1
    )
    listed, more = cut_list(
        found, f"/office/users/{user_id}/appointments", APPOINTMENT_CURSOR, partial(page_key, as_of=as_of)
    )
    trail.about(user_id)
    trail.concerns(*listed)
    await load_zones(page, transaction, *(each.time_zone for each in listed))
    account = await accounts.get_account(transaction, user_id)
    return page.render("admin/suspended_doctor.html", account=account, visits=listed, more=more)


@router.get(_ONE)
async def show_visit_of_suspended_doctor(
    page: SuspendedDoctorsPage, user_id: UUID, appointment_id: UUID, transaction: DbTransaction, trail: Audit
) -> Response:
    """Show one of the visits, with the form that cancels it."""
    content = await _describe(page, user_id, appointment_id, transaction, trail)
    return page.render("admin/suspended_visit.html", form=restore(page), **content)


@router.post(_ONE + "/cancel")
async def cancel_visit_of_suspended_doctor(
    page: SuspendedDoctorsPage,
    user_id: UUID,
    appointment_id: UUID,
    form: SentForm,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    _: Once,
) -> Response:
    """Cancel the visit, and redirect to the list."""
    content = await _describe(page, user_id, appointment_id, transaction, trail)
    try:
        typed = form.read(Cancellation)
        cancelled = await suspended_doctors.cancel_visit(
            transaction,
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
            "admin/suspended_visit.html",
            form,
            error,
            shown_by=show_visit_of_suspended_doctor,
            **content,
        ) from error
    trail.because(typed.reason)
    message = page.gettext("The visit of %(patient)s has been cancelled.", patient=isolate(cancelled.patient.name))
    return page.redirect(f"/office/users/{user_id}/appointments", message)


async def _describe(
    page: SignedInPage, user_id: UUID, appointment_id: UUID, transaction: DbTransaction, trail: AuditRecorder
) -> Mapping[str, Any]:
    visit = await suspended_doctors.get_visit(transaction, user_id, appointment_id, page.now)
    trail.concerns(visit)
    await load_zones(page, transaction, visit.time_zone)
    return {"visit": visit}
