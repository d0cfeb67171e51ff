"""The visit types that a doctor offers, with their lengths, buffers and limits."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from fastapi import Response
from pydantic import TypeAdapter

from app.core.dependencies import DbTransaction, Now
from app.core.errors import DomainError
from app.http.paging import read_cursor
from app.repositories import visit_types
from app.repositories.visit_types import VisitTypeRecord
from app.scheduling.visits import VisitMode
from app.schemas import slots as wire
from app.schemas.fields import Cursor
from app.services import doctor_profile
from app.web.kit.auth import VisitTypesPage
from app.web.kit.drafts import restore
from app.web.kit.forms import Form, Once, SentForm, list_changes, refuse
from app.web.kit.languages import N_
from app.web.kit.lists import MAX_LISTED, cut_list
from app.web.kit.pages import SignedInPage
from app.web.kit.routes import page_router

router = page_router()

_KEY = TypeAdapter(UUID)
_LIST = "/practice/profile/visit-types"
LABELS: Mapping[str, str] = {
    "name": N_("Name"),
    "duration_minutes": N_("Length (minutes)"),
    "mode": N_("Visit mode"),
    "buffer_before_minutes": N_("Buffer before (minutes)"),
    "buffer_after_minutes": N_("Buffer after (minutes)"),
    "slot_step_minutes": N_("Slot interval (minutes)"),
    "min_notice_minutes": N_("Minimum notice (minutes)"),
    "max_advance_days": N_("Bookable up to (days in advance)"),
    "daily_limit": N_("Maximum visits per day"),
}
_FIELDS = tuple(wire.NewVisitType.model_fields)
_DEFAULTS = {
    "duration_minutes": "30",
    "buffer_before_minutes": "0",
    "buffer_after_minutes": "0",
    "min_notice_minutes": "0",
    "mode": VisitMode.IN_PERSON.value,
}


@router.get(_LIST)
async def list_own_visit_types(
    page: VisitTypesPage, transaction: DbTransaction, after: Cursor | None = None
) -> Response:
    """List the doctor's visit types, in the order in which they were added."""
    found = await visit_types.page_visit_types(
        transaction, page.actor.id, after=read_cursor(after, _KEY), limit=MAX_LISTED + 1
    )
    offered, more = cut_list(found, _LIST, _KEY, lambda visit_type: visit_type.id)
    return page.render("doctor/visit_types.html", offered=offered, more=more)


@router.get(f"{_LIST}/new")
async def show_new_visit_type(page: VisitTypesPage) -> Response:
    """Show the form for a new visit type."""
    return page.render("doctor/visit_type.html", form=restore(page, _DEFAULTS), visit_type=None, modes=_modes(page))


@router.post(f"{_LIST}/new")
async def offer_visit_type(
    page: VisitTypesPage, form: SentForm, transaction: DbTransaction, now: Now, _: Once
) -> Response:
    """Add a visit type. Once a doctor has one, patients book by visit type."""
    try:
        typed = form.read(wire.NewVisitType)
        offered = await doctor_profile.offer_visit_type(transaction, page.actor.id, typed.model_dump(), now)
    except DomainError as error:
        raise refuse(page, "doctor/visit_type.html", form, error, visit_type=None, modes=_modes(page)) from error
    if page.actor.waits_for_approval:
        message = page.gettext(
            "Saved. Patients can book this visit type once an administrator has approved your account."
        )
    else:
        message = page.gettext("Patients can now book this visit type.")
    return page.redirect(_row(offered.id), message)


@router.get(f"{_LIST}/{{visit_type_id:uuid}}")
async def get_visit_type(page: VisitTypesPage, visit_type_id: UUID, transaction: DbTransaction) -> Response:
    """Show the form for a visit type."""
    visit_type = await visit_types.get_visit_type(transaction, page.actor.id, visit_type_id)
    form = restore(page, Form(_values(visit_type)).renew(asdict(visit_type)).values)
    return page.render("doctor/visit_type.html", form=form, visit_type=visit_type, modes=_modes(page))


@router.post(f"{_LIST}/{{visit_type_id:uuid}}")
async def change_visit_type(
    page: VisitTypesPage, visit_type_id: UUID, form: SentForm, transaction: DbTransaction
) -> Response:
    """Change a visit type. Booked visits keep their length."""
    visit_type = await visit_types.get_visit_type(transaction, page.actor.id, visit_type_id)
    try:
        typed = form.read(wire.NewVisitType)
        await doctor_profile.change_visit_type(
            transaction, page.actor.id, visit_type_id, typed.model_dump(), versions=form.versions
        )
    except DomainError as error:
        saved: list[tuple[str, str]] = []
        if error.code == "version_mismatch":
            # Read again, because another tab has saved in between. The form shows both (ADR 0039).
            visit_type = await visit_types.get_visit_type(transaction, page.actor.id, visit_type_id)
            values = _values(visit_type) | {"mode": page.formatter.mode(visit_type.mode)}
            saved = list_changes(page.formatter, asdict(visit_type), form, LABELS, values)
            form = form.renew(asdict(visit_type))
        raise refuse(
            page, "doctor/visit_type.html", form, error, visit_type=visit_type, modes=_modes(page), saved=saved
        ) from error
    return page.redirect(_row(visit_type_id), page.gettext("Saved. Visits already booked stay as they are."))


@router.post(f"{_LIST}/{{visit_type_id:uuid}}/withdraw")
async def withdraw_visit_type(
    page: VisitTypesPage, visit_type_id: UUID, form: SentForm, transaction: DbTransaction, now: Now, _: Once
) -> Response:
    """Stop offering a visit type. Booked visits stay booked."""
    await doctor_profile.withdraw_visit_type(transaction, page.actor.id, visit_type_id, now)
    message = page.gettext("This visit type is no longer offered. Visits already booked stay booked.")
    return page.redirect_back(form.values, _LIST, message)


def _row(visit_type_id: UUID) -> str:
    return f"{_LIST}#row-{visit_type_id}"


def _values(visit_type: VisitTypeRecord) -> dict[str, str]:
    values = {name: getattr(visit_type, name) for name in _FIELDS}
    return {name: "" if value is None else str(value) for name, value in values.items()}


def _modes(page: SignedInPage) -> list[tuple[str, Any]]:
    return [(mode.value, page.formatter.mode(mode)) for mode in VisitMode]
