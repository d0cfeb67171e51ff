"""The audit trail, for administrators."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import partial
from itertools import groupby
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Response
from pydantic import Field, NaiveDatetime, TypeAdapter

from app.core.dependencies import DbTransaction
from app.core.errors import DomainError, invalid_field
from app.core.permissions import Role
from app.http.audit import Audit
from app.http.paging import read_cursor, write_cursor
from app.repositories import accounts, audit
from app.repositories.audit import AuditRecord
from app.scheduling.intervals import from_instant
from app.scheduling.zones import resolve
from app.schemas.audit import Action
from app.schemas.fields import FIRST_YEAR, LAST_YEAR, Cursor, Instant, LoginName, Query
from app.web.admin.accounts import ROLES
from app.web.kit.audit_actions import ACTIONS, describe_outcome, list_actions
from app.web.kit.auth import AuditTrailPage
from app.web.kit.forms import Form, refuse
from app.web.kit.routes import page_router

router = page_router()

_SHOWN = 40
_KEY = TypeAdapter(tuple[Instant, UUID])

# Tried from the left, because `LoginName` accepts every text, including an id.
type _Who = Annotated[UUID | LoginName, Field(union_mode="left_to_right")]
# The bounds are naive on purpose: the field holds a wall time in the time zone of the page.
type _WallTime = Annotated[NaiveDatetime, Field(ge=datetime(FIRST_YEAR, 1, 1), lt=datetime(LAST_YEAR + 1, 1, 1))]  # noqa: DTZ001


class TrailQuery(Query):
    """The filters: people by id or email address, times as wall times in the time zone of the page."""

    patient: _Who | None = None
    actor: _Who | None = None
    action: Action | None = None
    from_: _WallTime | None = Field(None, alias="from")
    to: _WallTime | None = None
    cursor: Cursor | None = None


@router.get("/office/trail")
async def list_audit_events(page: AuditTrailPage, transaction: DbTransaction, trail: Audit) -> Response:
    """List who has read or changed whose data, by day, newest first.

    Staff are named. A patient is shown as a number that links to the account, where the access is recorded; only the
    patient who is filtered for is named.
    """
    form = Form(dict(page.request.query_params))
    zone = page.zone or ZoneInfo("UTC")
    try:
        query = form.read(TrailQuery)
        # An error, because an empty list would look like a trail without such events (`docs/audit.md`).
        if query.action and query.action not in ACTIONS:
            raise invalid_field("action", "not_in_list")
        patient_id = await _find(transaction, "patient", query.patient)
        found = await audit.page_events(
            transaction,
            patient_id=patient_id,
            actor_id=await _find(transaction, "actor", query.actor),
            action=query.action,
            since=_moment(query.from_, zone),
            until=_moment(query.to, zone),
            after=read_cursor(query.cursor, _KEY),
            limit=_SHOWN + 1,
        )
    except DomainError as error:
        actions = list_actions(page.formatter)
        raise refuse(
            page, "admin/audit_trail.html", form, error, zone=zone, days=[], more=None, actions=actions
        ) from error
    shown = found[:_SHOWN]
    people = await accounts.list_people(
        transaction, {id_ for each in shown for id_ in (each.actor_id, each.object_id, patient_id) if id_}
    )
    if patient_id:
        trail.concerns_patient(patient_id)
    more = None
    if len(found) > _SHOWN:
        more = _narrowed(form, cursor=write_cursor(audit.page_key(shown[-1]), _KEY))
    return page.render(
        "admin/audit_trail.html",
        form=form,
        zone=zone,
        days=_by_day(shown, zone),
        people=people,
        # Other patients are named only on the page of their account, where every look is recorded (`docs/audit.md`).
        names={id_: name for id_, (name, role) in people.items() if role is not Role.PATIENT or id_ == patient_id},
        roles=ROLES,
        actions=list_actions(page.formatter),
        narrowed={each.action: _narrowed(form, action=each.action, cursor="") for each in shown},
        describe_outcome=partial(describe_outcome, page.formatter),
        more=more,
    )


def _narrowed(form: Form, **more: str) -> str:
    """Return the address of this page with the filters of the form and ``more``."""
    return f"/office/trail?{urlencode({name: value for name, value in {**form.values, **more}.items() if value})}"


async def _find(transaction: DbTransaction, field: str, who: UUID | str | None) -> UUID | None:
    if who is None:
        return None
    if isinstance(who, UUID):
        found = list(await accounts.list_people(transaction, [who]))
    else:
        named = await accounts.page_accounts(
            transaction, q=None, email=who, role=None, status=None, after=None, limit=1
        )
        found = [each.id for each in named]
    if not found:
        raise invalid_field(field, "account_reference")
    return found[0]


def _moment(wall: datetime | None, zone: ZoneInfo) -> datetime | None:
    return from_instant(resolve(wall, zone)) if wall else None


def _by_day(events: Sequence[AuditRecord], zone: ZoneInfo) -> list[tuple[date, list[list[AuditRecord]]]]:
    """Group events by day, and within a day those of one request that showed a list of patients."""
    days = groupby(events, key=lambda event: event.occurred_at.astimezone(zone).date())
    return [(day, [list(group) for _, group in groupby(those, key=_group_key)]) for day, those in days]


def _group_key(event: AuditRecord) -> object:
    return (event.request_id, event.action) if event.request_id and event.patient_id else event.id
