"""Upcoming visits of suspended doctors, for administrators."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from app.core.dependencies import DbTransaction, Now, SuspendedDoctorsActor
from app.http.audit import Audit
from app.http.idempotency import Idempotent
from app.http.paging import APPOINTMENT_CURSOR, LINK_HEADER, cut_page, read_appointment_cursor
from app.http.problems import responses
from app.http.requests import StrictRoute
from app.http.versions import IfMatch, tag_appointment
from app.repositories.appointments import AppointmentRecord, page_key
from app.routers.appointments import changing
from app.schemas import admin as wire
from app.schemas.fields import PageQuery
from app.services import suspended_doctors

router = APIRouter(prefix="/admin/users/{user_id:uuid}", tags=["Administration"], route_class=StrictRoute)


@router.get(
    "/appointments",
    response_model=list[wire.ExpectedVisit],
    responses={
        200: {"headers": LINK_HEADER},
        **responses(
            "not_authenticated",
            "wrong_role",
            "log_in_again",
            "not_found",
            "doctor_not_suspended",
            "invalid_request",
            "busy",
        ),
    },
)
async def list_visits_of_suspended_doctor(
    user_id: UUID,
    query: Annotated[PageQuery, Query()],
    request: Request,
    response: Response,
    # Unlike other lists, this one requires a fresh log-in, because it shows patients' visits (ADR 0045).
    _: SuspendedDoctorsActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
) -> Sequence[AppointmentRecord]:
    """List the upcoming visits of a suspended doctor.

    These are the visits that are `booked` or `arrived` and have not ended, the next one first. The doctor cannot log
    in, so administrators inform the patients and cancel the visits. The audit trail records whose visits you have seen.
    """
    after, as_of = read_appointment_cursor(query.cursor, now)
    found = await suspended_doctors.page_expected_visits(
        transaction, user_id, as_of=as_of, after=after, limit=query.limit + 1
    )
    listed = cut_page(
        request, response, found, limit=query.limit, key_type=APPOINTMENT_CURSOR, key=partial(page_key, as_of=as_of)
    )
    trail.about(user_id)
    trail.concerns(*listed)
    return listed


@router.post(
    "/appointments/{appointment_id:uuid}/cancel",
    response_model=wire.ExpectedVisit,
    responses=changing(
        "wrong_role",
        "log_in_again",
        "doctor_not_suspended",
        "wrong_status",
        "request_in_flight",
        "body_too_large",
        "key_reused",
    ),
)
async def cancel_visit_of_suspended_doctor(
    user_id: UUID,
    appointment_id: UUID,
    body: wire.Decision,
    response: Response,
    actor: SuspendedDoctorsActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfMatch,
    trail: Audit,
    _: Idempotent,
) -> AppointmentRecord:
    """Cancel an upcoming visit of a suspended doctor.

    No message is sent, so inform the patient. The patient can read the reason, and the audit trail keeps it: do not
    write names in it. The time is free again at once. Cancelling a second time returns the same response. A visit that
    has ended is `not_found`.
    """
    cancelled = await suspended_doctors.cancel_visit(
        transaction, actor, user_id, appointment_id, reason=body.reason, versions=versions, now=now
    )
    trail.concerns(cancelled)
    trail.because(body.reason)
    return tag_appointment(response, cancelled)
