"""Visits whose time on the doctor's clock has changed, and settling them."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.core.dependencies import DbTransaction, DoctorActor, Now
from app.http.audit import Audit
from app.http.idempotency import Idempotent
from app.http.paging import APPOINTMENT_CURSOR, LINK_HEADER, cut_page, read_appointment_cursor
from app.http.problems import responses
from app.http.requests import StrictRoute
from app.repositories.appointments import AppointmentRecord, page_key
from app.schemas import clock_changes as wire
from app.schemas.appointments import Appointment
from app.schemas.fields import PageQuery
from app.services import clock_changes

router = APIRouter(prefix="/doctors/me/clock-changes", tags=["Appointments"], route_class=StrictRoute)


@router.get(
    "",
    response_model=list[wire.ClockChange],
    responses={
        200: {"headers": LINK_HEADER},
        **responses("not_authenticated", "wrong_role", "invalid_request", "busy"),
    },
)
async def list_clock_changes(
    query: Annotated[PageQuery, Query()],
    request: Request,
    response: Response,
    actor: DoctorActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
) -> Sequence[AppointmentRecord]:
    """List the upcoming visits that your clock shows at another time than was agreed, the next one first.

    That happens when the rules of a time zone change after a visit was booked. Patients may still expect the old time.
    """
    after, as_of = read_appointment_cursor(query.cursor, now)
    found = await clock_changes.page_clock_changes(transaction, actor, as_of=as_of, after=after, limit=query.limit + 1)
    key = partial(page_key, as_of=as_of)
    listed = cut_page(request, response, found, limit=query.limit, key_type=APPOINTMENT_CURSOR, key=key)
    trail.concerns(*listed)
    return listed


@router.post(
    "",
    responses=responses(
        "not_authenticated",
        "wrong_role",
        "not_found",
        "request_in_flight",
        "body_too_large",
        "key_reused",
        "invalid_request",
        "busy",
    ),
)
async def settle_clock_changes(
    body: wire.Settlement, actor: DoctorActor, transaction: DbTransaction, now: Now, trail: Audit, _: Idempotent
) -> wire.Settled:
    """Settle visits that your clock shows at another time than was agreed: keep the local time, or the instant.

    One, several, or all of them. A visit that cannot be moved, because the time is taken, stays as it was and is listed
    with the reason.
    """
    only = frozenset(body.appointment_ids) if body.appointment_ids else None
    settled = await clock_changes.settle_clock_changes(transaction, actor, body.keep, only=only, now=now)
    trail.concerns(*settled.appointments)
    return wire.Settled(
        settled=[Appointment.model_validate(each) for each in settled.appointments],
        failed=[wire.Failure(appointment_id=each, code=code) for each, code in settled.failed],
        remaining=settled.remaining,
    )
