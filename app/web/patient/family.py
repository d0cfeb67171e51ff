"""The pages of the children for whom a patient books."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import Response

from app.core.dependencies import DbTransaction, Now
from app.core.errors import DomainError
from app.core.permissions import GuardianRight, Scope
from app.core.text import isolate
from app.http.audit import Audit, AuditRecorder
from app.http.paging import APPOINTMENT_CURSOR, read_appointment_cursor
from app.repositories import appointments, guardians
from app.repositories.appointments import page_key
from app.repositories.guardians import DependantRecord
from app.repositories.patients import PatientRecord
from app.scheduling.status import ACTIVE
from app.schemas import patients as wire
from app.schemas.fields import Body, Cursor, LocalDate, Name, Phone
from app.services import dependants
from app.services.dependants import MAX_DEPENDANTS, dependants_of
from app.web.kit.auth import OwnRecordPage
from app.web.kit.clocks import load_zones
from app.web.kit.drafts import restore
from app.web.kit.forms import Form, SentForm, list_changes, refuse
from app.web.kit.languages import N_
from app.web.kit.lists import MAX_LISTED, cut_list
from app.web.kit.pages import SignedInPage
from app.web.kit.routes import page_router
from app.web.patient.appointments import is_ahead

router = page_router()

_ALL, _ONE = "/my/family", "/my/family/{dependant_id:uuid}"
LABELS: Mapping[str, str] = {"name": N_("Name"), "birth_date": N_("Date of birth"), "phone": N_("Telephone")}


class ChildDetails(Body):
    """What a parent can change about a child."""

    name: Name
    birth_date: LocalDate
    phone: Phone | None = None


@router.get(_ALL)
async def list_dependants(page: OwnRecordPage, transaction: DbTransaction, now: Now, trail: Audit) -> Response:
    """List the children with their next visits, and show the form that adds one."""
    content = await _list_children(page, transaction, now, trail)
    return page.render("patient/family.html", form=restore(page), **content)


@router.post(_ALL)
async def add_dependant(
    page: OwnRecordPage, form: SentForm, transaction: DbTransaction, now: Now, trail: Audit
) -> Response:
    """Add a child."""
    try:
        typed = form.read(wire.NewChild)
        added = await dependants.add_child(
            transaction, page.actor, name=typed.name, birth_date=typed.birth_date, relation=typed.relation, now=now
        )
    except DomainError as error:
        content = await _list_children(page, transaction, now, trail)
        raise refuse(page, "patient/family.html", form, error, shown_by=list_dependants, **content) from error
    trail.concerns_patient(added.patient.id)
    message = page.gettext("You can now book visits for %(name)s.", name=isolate(added.patient.name))
    return page.redirect(f"{_ALL}#row-{added.patient.id}", message)


@router.get(_ONE)
async def get_dependant(
    dependant_id: UUID,
    page: OwnRecordPage,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    after: Cursor | None = None,
) -> Response:
    """Show a child's visits and the form with its details."""
    found = await _get(page, transaction, dependant_id, now, trail)
    form = restore(page, Form(_values(page, found.patient)).renew(found.patient.content).values)
    content = await _describe(page, transaction, found, now, trail, after)
    return page.render("patient/child.html", form=form, **content)


@router.post(_ONE)
async def change_dependant(
    dependant_id: UUID, page: OwnRecordPage, form: SentForm, transaction: DbTransaction, now: Now, trail: Audit
) -> Response:
    """Change the details of a child. A telephone number that is left empty is cleared."""
    found = await _get(page, transaction, dependant_id, now, trail)
    try:
        changes = form.read(ChildDetails).model_dump()
        await dependants.change_dependant(transaction, page.actor, dependant_id, changes, now, versions=form.versions)
    except DomainError as error:
        if error.code == "not_found":
            raise
        saved: list[tuple[str, str]] = []
        if error.code == "version_mismatch":
            content = found.patient.content
            saved = list_changes(page.formatter, content, form, LABELS, _values(page, found.patient))
            form = form.renew(content)
        shown = await _describe(page, transaction, found, now, trail)
        raise refuse(page, "patient/child.html", form, error, shown_by=get_dependant, saved=saved, **shown) from error
    return page.redirect(f"{_ALL}/{dependant_id}", page.gettext("The details have been saved."))


@router.get(_ONE + "/remove")
async def show_removing_dependant(
    dependant_id: UUID, page: OwnRecordPage, transaction: DbTransaction, now: Now, trail: Audit
) -> Response:
    """Ask for confirmation, or show the visits that must be cancelled first."""
    content = await _describe_removal(page, transaction, dependant_id, now, trail)
    return page.render("patient/remove_child.html", form=Form(), **content)


@router.post(_ONE + "/remove")
async def remove_dependant(
    dependant_id: UUID, page: OwnRecordPage, _form: SentForm, transaction: DbTransaction, now: Now, trail: Audit
) -> Response:
    """Stop acting for a child."""
    content = await _describe_removal(page, transaction, dependant_id, now, trail)
    try:
        await dependants.remove_dependant(transaction, page.actor, dependant_id, now)
    except DomainError as error:
        raise refuse(
            page, "patient/remove_child.html", Form(), error, shown_by=show_removing_dependant, **content
        ) from error
    name = content["child"].patient.name
    return page.redirect(_ALL, page.gettext("You no longer book for %(name)s.", name=isolate(name)))


async def _get(
    page: SignedInPage, transaction: DbTransaction, dependant_id: UUID, now: datetime, trail: AuditRecorder
) -> DependantRecord:
    found = await guardians.get_dependant(transaction, dependants_of(page.actor, GuardianRight.SEE, now), dependant_id)
    trail.concerns_patient(dependant_id)
    return found


async def _list_children(
    page: SignedInPage, transaction: DbTransaction, now: datetime, trail: AuditRecorder
) -> dict[str, Any]:
    own = dependants_of(page.actor, GuardianRight.SEE, now)
    found = await guardians.list_dependants(transaction, own)
    visits = await appointments.list_next(transaction, Scope(dependants=own), since=now)
    await load_zones(page, transaction, *(each.time_zone for each in visits))
    for each in found:
        trail.concerns_patient(each.patient.id)
    return {
        "children": found,
        "next_visits": {each.patient_id: each for each in visits},
        "is_full": len(found) >= MAX_DEPENDANTS,
        "most": MAX_DEPENDANTS,
    }


async def _describe(
    page: SignedInPage,
    transaction: DbTransaction,
    found: DependantRecord,
    now: datetime,
    trail: AuditRecorder,
    after: str | None = None,
) -> dict[str, Any]:
    key, as_of = read_appointment_cursor(after, now)
    visits = await appointments.page_appointments(
        transaction,
        Scope(patient_id=found.patient.id),
        as_of=as_of,
        since=None,
        until=None,
        statuses=(),
        after=key,
        limit=MAX_LISTED + 1,
    )
    listed, more = cut_list(visits, f"{_ALL}/{found.patient.id}", APPOINTMENT_CURSOR, partial(page_key, as_of=as_of))
    await load_zones(page, transaction, *(each.time_zone for each in listed))
    trail.concerns(*listed)
    return {
        "child": found,
        # Patients with an account edit their details themselves.
        "can_edit": found.may_book and found.patient.user_id is None,
        "upcoming": [each for each in listed if is_ahead(each, as_of)],
        "past": [each for each in listed if not is_ahead(each, as_of)],
        "is_first": key is None,
        "more": more,
    }


async def _describe_removal(
    page: SignedInPage, transaction: DbTransaction, dependant_id: UUID, now: datetime, trail: AuditRecorder
) -> dict[str, Any]:
    found = await _get(page, transaction, dependant_id, now, trail)
    can_remove = await dependants.can_remove(transaction, page.actor, found, now)
    visits = await appointments.page_appointments(
        transaction,
        Scope(patient_id=dependant_id),
        as_of=now,
        since=now,
        until=None,
        statuses=ACTIVE,
        after=None,
        limit=MAX_LISTED,
    )
    await load_zones(page, transaction, *(each.time_zone for each in visits))
    trail.concerns(*visits)
    return {"child": found, "can_remove": can_remove, "visits": visits}


def _values(page: SignedInPage, record: PatientRecord) -> dict[str, str]:
    return {
        "name": record.name,
        "birth_date": str(record.birth_date or ""),
        "phone": page.formatter.phone(record.phone) if record.phone else "",
    }
