"""Visits whose local time has changed because the rules of a time zone have, and how doctors settle them."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.core.dependencies import CalendarActor, ChangeForPatientsActor, DbTransaction, Now
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
    actor: CalendarActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
) -> Sequence[AppointmentRecord]:
    """List upcoming visits whose local time differs from the agreed one.

    The next one first. A visit is stored as an instant. If the rules of your time zone change after the booking, your
    clock shows another time at this instant, but the patient may still expect the agreed local time.
    """
    after, as_of = read_appointment_cursor(query.cursor, now)
    found = await clock_changes.page_clock_changes(
        transaction, actor.id, as_of=as_of, after=after, limit=query.limit + 1
    )
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
    body: wire.Settlement,
    actor: ChangeForPatientsActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    _: Idempotent,
) -> wire.Settled:
    """Settle visits whose local time differs from the agreed one.

    Choose whether to keep the agreed local time, which moves the visits, or the instant, which accepts the new local
    time. You can settle one, several or all of these visits. A visit that cannot be moved, for example because the time
    is taken, stays as it is and is listed in `failed` with the code of the reason.
    """
    # An empty list is refused by the schema, so it cannot be taken for all visits.
    only = frozenset(body.appointment_ids) if body.appointment_ids else None
    settled = await clock_changes.settle_clock_changes(
        transaction, actor, body.keep, doctor_id=actor.id, only=only, now=now
    )
    trail.concerns(*settled.appointments)
    return wire.Settled(
        settled=[Appointment.model_validate(visit) for visit in settled.appointments],
        failed=[wire.Failure(appointment_id=visit_id, code=code) for visit_id, code in settled.failed],
        remaining=settled.remaining,
    )
