"""The kinds of visits that a doctor offers: their lengths, their buffers, their limits."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from fastapi import Response
from pydantic import TypeAdapter

from app.core.dependencies import DbSession, Now
from app.core.errors import DomainError
from app.repositories import visit_types
from app.repositories.visit_types import VisitTypeRecord
from app.routers.paging import read_cursor
from app.scheduling.visits import VisitMode
from app.schemas import offers as wire
from app.schemas.fields import Cursor
from app.services import practice
from app.web.drafts import restore
from app.web.forms import Form, Once, SentForm, list_changes, refuse
from app.web.languages import N_
from app.web.lists import MOST_LISTED, cut_list
from app.web.pages import SignedInPage
from app.web.routes import page_router
from app.web.visitors import DoctorPage

router = page_router()

_KEY = TypeAdapter(UUID)
_LIST = "/practice/profile/kinds"
LABELS: Mapping[str, str] = {
    "name": N_("Name"),
    "duration_minutes": N_("Length, in minutes"),
    "mode": N_("How you meet"),
    "buffer_before_minutes": N_("Minutes before it"),
    "buffer_after_minutes": N_("Minutes after it"),
    "slot_step_minutes": N_("From start to start, in minutes"),
    "min_notice_minutes": N_("Notice, in minutes"),
    "max_advance_days": N_("How many days ahead"),
    "daily_limit": N_("Visits on one day"),
}
_FIELDS = tuple(wire.NewVisitType.model_fields)
_USUAL = {
    "duration_minutes": "30",
    "buffer_before_minutes": "0",
    "buffer_after_minutes": "0",
    "min_notice_minutes": "0",
    "mode": VisitMode.IN_PERSON.value,
}


@router.get(_LIST)
async def list_own_visit_types(page: DoctorPage, session: DbSession, after: Cursor | None = None) -> Response:
    """Those that are offered, in the order in which she has added them."""
    found = await visit_types.page_visit_types(
        session, page.actor.id, after=read_cursor(after, _KEY), limit=MOST_LISTED + 1
    )
    kinds, more = cut_list(found, _LIST, _KEY, lambda kind: kind.id)
    return page.render("practice_kinds.html", kinds=kinds, more=more)


@router.get(f"{_LIST}/new")
async def show_new_visit_type(page: DoctorPage) -> Response:
    """A kind to describe."""
    return page.render("practice_kind.html", form=restore(page, _USUAL), kind=None, modes=_modes(page))


@router.post(f"{_LIST}/new")
async def offer_visit_type(page: DoctorPage, form: SentForm, session: DbSession, now: Now, _: Once) -> Response:
    """Offers it; from the first one on, patients book by kind."""
    try:
        typed = form.read(wire.NewVisitType)
        offered = await practice.offer_visit_type(session, page.actor, typed.model_dump(), now)
    except DomainError as error:
        raise refuse(page, "practice_kind.html", form, error, kind=None, modes=_modes(page)) from error
    if page.actor.waits_for_approval:
        told = page.gettext("Saved. Patients can book it once an administrator has approved your account.")
    else:
        told = page.gettext("You offer this kind of visit now.")
    return page.redirect(_row(offered.id), told)


@router.get(f"{_LIST}/{{visit_type_id:uuid}}")
async def get_visit_type(page: DoctorPage, visit_type_id: UUID, session: DbSession) -> Response:
    """One of them, to be changed."""
    kind = await visit_types.get_visit_type(session, page.actor.id, visit_type_id)
    form = restore(page, Form(_values(kind)).renew(asdict(kind)).values)
    return page.render("practice_kind.html", form=form, kind=kind, modes=_modes(page))


@router.post(f"{_LIST}/{{visit_type_id:uuid}}")
async def change_visit_type(page: DoctorPage, visit_type_id: UUID, form: SentForm, session: DbSession) -> Response:
    """Changes it; what is booked stays as long as it is."""
    kind = await visit_types.get_visit_type(session, page.actor.id, visit_type_id)
    try:
        typed = form.read(wire.NewVisitType)
        await practice.change_visit_type(session, page.actor, visit_type_id, typed.model_dump(), versions=form.versions)
    except DomainError as error:
        saved: list[tuple[str, str]] = []
        if error.code == "version_mismatch":
            kind = await visit_types.get_visit_type(session, page.actor.id, visit_type_id)
            values = _values(kind) | {"mode": page.words.mode(kind.mode)}
            saved = list_changes(page.words, asdict(kind), form, LABELS, values)
            form = form.renew(asdict(kind))
        raise refuse(page, "practice_kind.html", form, error, kind=kind, modes=_modes(page), saved=saved) from error
    return page.redirect(_row(visit_type_id), page.gettext("Changed. What is booked stays as it is."))


@router.post(f"{_LIST}/{{visit_type_id:uuid}}/withdraw")
async def withdraw_visit_type(
    page: DoctorPage, visit_type_id: UUID, form: SentForm, session: DbSession, now: Now, _: Once
) -> Response:
    """Offers it no longer; what is booked stays."""
    await practice.withdraw_visit_type(session, page.actor, visit_type_id, now)
    told = page.gettext("This kind of visit is offered no more. What is booked stays.")
    return page.redirect_back(form.values, _LIST, told)


def _row(visit_type_id: UUID) -> str:
    return f"{_LIST}#row-{visit_type_id}"


def _values(kind: VisitTypeRecord) -> dict[str, str]:
    values = {name: getattr(kind, name) for name in _FIELDS}
    return {name: "" if value is None else str(value) for name, value in values.items()}


def _modes(page: SignedInPage) -> list[tuple[str, Any]]:
    return [(mode.value, page.words.mode(mode)) for mode in VisitMode]
