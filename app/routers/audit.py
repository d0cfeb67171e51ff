"""The audit trail, for administrators."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter

from app.core.dependencies import AuditTrailActor, DbTransaction
from app.http.audit import Audit
from app.http.paging import LINK_HEADER, cut_page, read_cursor
from app.http.problems import responses
from app.http.requests import StrictRoute
from app.repositories import audit
from app.repositories.audit import AuditRecord
from app.schemas import audit as wire
from app.schemas.fields import Instant

router = APIRouter(prefix="/admin/audit", tags=["Administration"], route_class=StrictRoute)

_KEY = TypeAdapter(tuple[Instant, UUID])


@router.get(
    "",
    response_model=list[wire.AuditEvent],
    responses={
        200: {"headers": LINK_HEADER},
        **responses("not_authenticated", "wrong_role", "invalid_request", "busy"),
    },
)
async def list_audit_events(
    query: Annotated[wire.AuditQuery, Query()],
    request: Request,
    response: Response,
    _: AuditTrailActor,
    transaction: DbTransaction,
    trail: Audit,
) -> Sequence[AuditRecord]:
    """List who has read or changed whose data, newest first.

    To find out who saw a patient's data, filter by `patient_id`: every request that returned data of the patient is an
    event of this patient, except reads repeated within ten minutes. Reading the trail with this filter is
    recorded, too, as an event of the patient.
    """
    found = await audit.page_events(
        transaction,
        patient_id=query.patient_id,
        actor_id=query.actor_id,
        action=query.action,
        since=query.from_,
        until=query.to,
        after=read_cursor(query.cursor, _KEY),
        limit=query.limit + 1,
    )
    if query.patient_id:
        trail.concerns_patient(query.patient_id)
    return cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=audit.page_key)
