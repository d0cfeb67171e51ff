"""Clinics, for administrators."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import phonenumbers
from fastapi import BackgroundTasks, Response
from pydantic import TypeAdapter

from app.adapters.mail import clinic_invitation_mail, invitation_path
from app.core.dependencies import TAKES_CREDENTIALS, DbTransaction, Now
from app.core.errors import DomainError
from app.core.text import search_key
from app.http.audit import Audit
from app.http.paging import read_cursor, write_cursor
from app.repositories.clinics import page_clinics
from app.schemas import clinics as wire
from app.schemas.fields import Cursor
from app.services import clinics
from app.web.kit.auth import AppointingPage, ClinicsPage
from app.web.kit.drafts import drop, restore
from app.web.kit.forms import Form, Once, SentForm, refuse
from app.web.kit.pages import Page
from app.web.kit.routes import page_router
from app.web.kit.time_zone_names import list_time_zones

router = page_router()

CLINICS = "/office/clinics"
_KEY = TypeAdapter(UUID)
_MAX_LISTED = 30


@router.get(CLINICS)
async def list_clinics(
    page: ClinicsPage, transaction: DbTransaction, _: Audit, after: Cursor | None = None
) -> Response:
    """List all clinics, oldest first, with the form for another one."""
    form = restore(page, {"locale": page.formatter.locale.language})
    return page.render("admin/clinics.html", form=form, **await _content(page, transaction, form, after))


@router.post(CLINICS, dependencies=[TAKES_CREDENTIALS])
async def make_clinic(
    page: AppointingPage,
    form: SentForm,
    transaction: DbTransaction,
    now: Now,
    tasks: BackgroundTasks,
    trail: Audit,
    _: Once,
) -> Response:
    """Make a clinic, and invite its first manager."""
    try:
        typed = form.read(wire.NewClinic)
        clinic, token = await clinics.make_clinic(
            transaction, page.resources.settings, page.actor, **typed.model_dump(), now=now
        )
    except DomainError as error:
        content = await _content(page, transaction, form, None)
        raise refuse(page, "admin/clinics.html", form, error, **content) from error
    trail.about(clinic.id)
    if token is not None and typed.manager_email is not None:
        # The request has counted the message: `send_after_response` would count it again and might not send it.
        tasks.add_task(page.resources.mailer, clinic_invitation_mail(typed.manager_email, token))
    return page.redirect(CLINICS, page.gettext("The clinic has been created, and its manager is invited."))


# No `Once`: the stored response would contain the link. A second submission replaces the invitation (ADR 0043).
@router.post(CLINICS + "/{clinic_id:uuid}/manager", dependencies=[TAKES_CREDENTIALS])
async def appoint_manager(
    page: AppointingPage,
    clinic_id: UUID,
    form: SentForm,
    transaction: DbTransaction,
    now: Now,
    tasks: BackgroundTasks,
    trail: Audit,
) -> Response:
    """Invite a manager for a clinic that has none. The link is shown only once, so this is not a redirect."""
    try:
        typed = form.read(wire.NewManager)
        invitation, token = await clinics.appoint_manager(
            transaction, page.resources.settings, page.actor, clinic_id, email=typed.email, now=now
        )
    except DomainError as error:
        content = await _content(page, transaction, form, None)
        raise refuse(page, "admin/clinics.html", form, error, **content) from error
    trail.about(clinic_id)
    tasks.add_task(page.resources.mailer, clinic_invitation_mail(invitation.email, token))
    link = str(page.request.base_url).rstrip("/") + invitation_path(token)
    response = page.render("kit/invited.html", invitation=invitation, link=link, back=CLINICS)
    # The form was accepted: delete its draft, as `redirect` would.
    drop(page, response)
    return response


async def _content(page: Page, transaction: DbTransaction, form: Form, after: str | None) -> Mapping[str, Any]:
    found = await page_clinics(transaction, member_id=None, after=read_cursor(after, _KEY), limit=_MAX_LISTED + 1)
    listed = found[:_MAX_LISTED]
    more = None
    if len(found) > _MAX_LISTED:
        more = f"{CLINICS}?{urlencode({'after': write_cursor(listed[-1].id, _KEY)})}"
    unset = ("", page.gettext("Choose a place"))
    names = page.formatter.locale.territories
    countries = [(code, names[code]) for code in phonenumbers.SUPPORTED_REGIONS if code in names]
    return {
        "found": listed,
        "managed": await clinics.find_managed_clinics(transaction, listed, page.now),
        "more": more,
        "places": list_time_zones(page.formatter, form.value("time_zone"), unset),
        "countries": [("", page.gettext("Choose a country")), *sorted(countries, key=lambda each: search_key(each[1]))],
        "languages": list(page.languages.items()),
    }
