"""A doctor's availabilities, weekly hours and time off."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import NaiveDatetime, TypeAdapter

from app.core.dependencies import DbTransaction, HoursActor, Now
from app.http.audit import Audit
from app.http.idempotency import Idempotent
from app.http.paging import LINK_HEADER, cut_page, read_cursor
from app.http.problems import responses
from app.http.representations import affected_members, represent_availability, represent_time_off
from app.http.requests import StrictRoute
from app.http.versions import ETAG_HEADER, IfContentMatch, tag_content
from app.repositories import availabilities, doctors, time_off
from app.scheduling.planned_hours import PlannedHours
from app.schemas import schedule as wire
from app.schemas.fields import LocalDate, PageQuery
from app.services import schedule

router = APIRouter(prefix="/doctors", tags=["Hours"], route_class=StrictRoute)

# Naive, because rules are wall times of the doctor (ADR 0004).
_KEY = TypeAdapter(tuple[NaiveDatetime, UUID])
_CONFLICTING = '</doctors/me/appointments?conflicting=true>; rel="related"'
_RELATED_HEADER = {
    "Link": {
        "description": 'Where to list the appointments outside your hours: `<…>; rel="related"`.',
        "schema": {"type": "string"},
    }
}


@router.post(
    "/availability",
    status_code=status.HTTP_201_CREATED,
    responses=responses(
        "not_authenticated",
        "wrong_role",
        "availability_overlaps",
        "unknown_time_zone",
        "too_many",
        "request_in_flight",
        "body_too_large",
        "key_reused",
        "invalid_request",
        "busy",
    ),
)
async def publish_availability(
    body: wire.NewAvailability, actor: HoursActor, transaction: DbTransaction, now: Now, _: Idempotent
) -> wire.Availability:
    """Publish an availability, once or recurring.

    Patients can book visits within it. It must begin in the future and be at most 7 days long. It may touch your other
    availabilities, but must not overlap them within the next year (`availability_overlaps`).
    """
    doctor, published = await schedule.publish_availability(
        transaction, actor.id, start=body.start_time, end=body.end_time, recurrence=body.recurrence, now=now
    )
    return represent_availability(doctor, published)


@router.get(
    "/me/availability",
    responses={
        200: {"headers": LINK_HEADER},
        **responses("not_authenticated", "wrong_role", "unknown_time_zone", "invalid_request", "busy"),
    },
)
async def list_own_availability(
    query: Annotated[PageQuery, Query()],
    request: Request,
    response: Response,
    actor: HoursActor,
    transaction: DbTransaction,
) -> list[wire.Availability]:
    """List your availabilities.

    Sorted by the start of the first occurrence. Those of your weekly hours are included.
    """
    doctor = await doctors.get_own_profile(transaction, actor.id)
    found = await availabilities.page_availabilities(
        transaction, actor.id, after=read_cursor(query.cursor, _KEY), limit=query.limit + 1
    )
    page = cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=availabilities.page_key)
    return [represent_availability(doctor, availability) for availability in page]


@router.delete(
    "/availability/{availability_id:uuid}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses={
        204: {"headers": _RELATED_HEADER},
        **responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
    },
)
async def withdraw_availability(
    availability_id: UUID, response: Response, actor: HoursActor, transaction: DbTransaction
) -> None:
    """Withdraw an availability with all its occurrences.

    Appointments within it stay booked. The `Link` header leads to the list of those that are now outside your hours.
    """
    await schedule.withdraw_availability(transaction, actor.id, availability_id)
    # A 204 has no body that could list them.
    response.headers["Link"] = _CONFLICTING


# A PUT takes no `Idempotent`: hours that already apply are not written again (ADR 0036).
@router.put(
    "/me/hours",
    responses={
        200: {"headers": ETAG_HEADER},
        **responses(
            "not_authenticated",
            "wrong_role",
            "too_many",
            "unknown_time_zone",
            "version_mismatch",
            "body_too_large",
            "invalid_request",
            "busy",
        ),
    },
)
async def set_weekly_hours(
    body: wire.NewWeeklyHours,
    response: Response,
    actor: HoursActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfContentMatch,
    trail: Audit,
) -> wire.ChangedHours:
    """Set your weekly hours, from a day on or for a period.

    The hours are wall times in your time zone, with up to 12 windows per day. A window that ends before it starts
    continues after midnight; 24:00 is the end of the day. Before `valid_from` and after `valid_to` your hours stay as
    they were.

    Without `valid_to`, the hours apply until your next planned hours begin, and those are kept. If the hours that
    you replace would have returned after a period with other hours, the new ones return instead. With `replace_later`
    all hours planned for later are replaced, too.

    Availabilities that you have published separately stay. The response lists the appointments that are then outside
    your hours; they stay booked.
    """
    plan, affected = await schedule.set_weekly_hours(
        transaction,
        actor.id,
        body.hours,
        valid_from=body.valid_from,
        valid_to=body.valid_to,
        replace_later=body.replace_later,
        versions=versions,
        now=now,
    )
    tag_content(response, plan.content)
    trail.shows(*affected.appointments)
    return wire.ChangedHours(**_hours(plan), **affected_members(affected))


@router.get(
    "/me/hours",
    responses={
        200: {"headers": ETAG_HEADER},
        **responses("not_authenticated", "wrong_role", "unknown_time_zone", "invalid_request", "busy"),
    },
)
async def get_weekly_hours(
    query: Annotated[wire.HoursQuery, Query()],
    response: Response,
    actor: HoursActor,
    transaction: DbTransaction,
    now: Now,
) -> wire.Hours:
    """Get your weekly hours.

    The response contains the hours that apply on the day `from`, and in `later` those that are planned to follow. The
    `ETag` is the version of all your weekly hours, whichever day you ask for.
    """
    plan = await schedule.get_weekly_hours(transaction, actor.id, first=query.from_, now=now)
    tag_content(response, plan.content)
    return wire.Hours(**_hours(plan))


@router.delete(
    "/me/hours/{valid_from}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses={
        204: {"headers": _RELATED_HEADER},
        **responses("not_authenticated", "wrong_role", "not_found", "version_mismatch", "invalid_request", "busy"),
    },
)
async def cancel_planned_hours(
    valid_from: LocalDate,
    response: Response,
    actor: HoursActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfContentMatch,
) -> None:
    """Cancel weekly hours that are planned for later.

    Name them by their first day. The hours before them continue instead. Appointments stay booked. The `Link` header
    leads to the list of those that are now outside your hours.
    """
    await schedule.cancel_planned_hours(transaction, actor.id, valid_from, now, versions=versions)
    response.headers["Link"] = _CONFLICTING


@router.post(
    "/me/time-off",
    status_code=status.HTTP_201_CREATED,
    responses=responses(
        "not_authenticated",
        "wrong_role",
        "too_many",
        "unknown_time_zone",
        "request_in_flight",
        "body_too_large",
        "key_reused",
        "invalid_request",
        "busy",
    ),
)
async def take_time_off(
    body: wire.NewTimeOff, actor: HoursActor, transaction: DbTransaction, now: Now, trail: Audit, _: Idempotent
) -> wire.TakenTimeOff:
    """Take time off.

    Patients cannot book visits in it. The response lists the appointments in this time; they stay booked until you
    cancel or move them. An appointment that is booked at the same moment may be missing from the response; it appears
    at `GET /doctors/me/appointments?conflicting=true` a moment later.
    """
    doctor, created, affected = await schedule.take_time_off(
        transaction, actor.id, start=body.start_time, end=body.end_time, reason=body.reason or None, now=now
    )
    trail.about(created.id)
    trail.shows(*affected.appointments)
    return wire.TakenTimeOff(**represent_time_off(doctor, created).model_dump(), **affected_members(affected))


@router.get(
    "/me/time-off",
    responses={
        200: {"headers": LINK_HEADER},
        **responses("not_authenticated", "wrong_role", "unknown_time_zone", "invalid_request", "busy"),
    },
)
async def list_time_off(
    query: Annotated[PageQuery, Query()],
    request: Request,
    response: Response,
    actor: HoursActor,
    transaction: DbTransaction,
) -> list[wire.TimeOff]:
    """List your time off, by start."""
    doctor = await doctors.get_own_profile(transaction, actor.id)
    found = await time_off.page_time_off(
        transaction, actor.id, after=read_cursor(query.cursor, _KEY), limit=query.limit + 1
    )
    page = cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=time_off.page_key)
    return [represent_time_off(doctor, record) for record in page]


@router.delete(
    "/me/time-off/{time_off_id:uuid}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
)
async def end_time_off(time_off_id: UUID, actor: HoursActor, transaction: DbTransaction) -> None:
    """Delete time off.

    Your hours in this time can be booked again.
    """
    await schedule.end_time_off(transaction, actor.id, time_off_id)


def _hours(plan: schedule.PlannedWeeks) -> dict[str, Any]:
    return {
        "doctor_id": plan.doctor.id,
        "time_zone": plan.doctor.time_zone,
        **_planned(plan.current),
        "later": [_planned(hours) for hours in plan.later],
    }


def _planned(hours: PlannedHours) -> dict[str, Any]:
    return {"valid_from": hours.first, "valid_to": hours.last, **wire.to_clock(hours.hours)}
