"""When a doctor is open and when she is away, as she says it."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import NaiveDatetime, TypeAdapter

from app.core.dependencies import DbTransaction, DoctorActor, Now
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

_KEY = TypeAdapter(tuple[NaiveDatetime, UUID])
_CONFLICTING = '</doctors/me/appointments?conflicting=true>; rel="related"'
_RELATED_HEADER = {
    "Link": {
        "description": 'Where to see what is booked outside of your hours: `<…>; rel="related"`.',
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
    body: wire.NewAvailability, actor: DoctorActor, transaction: DbTransaction, now: Now, _: Idempotent
) -> wire.Availability:
    """Open a stretch of your time for booking, once or again and again.

    It may touch another of yours, but not overlap it within a year; it must begin in the future and be at most 7 days
    long.
    """
    doctor, published = await schedule.publish_availability(
        transaction, actor, start=body.start_time, end=body.end_time, recurrence=body.recurrence, now=now
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
    actor: DoctorActor,
    transaction: DbTransaction,
) -> list[wire.Availability]:
    """List your availabilities, those of the weekly plan too, by their (first) start."""
    doctor = await doctors.get_own_profile(transaction, actor.id)
    found = await availabilities.page_availabilities(
        transaction, actor.id, after=read_cursor(query.cursor, _KEY), limit=query.limit + 1
    )
    page = cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=availabilities.page_key)
    return [represent_availability(doctor, each) for each in page]


@router.delete(
    "/availability/{availability_id:uuid}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses={
        204: {"headers": _RELATED_HEADER},
        **responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
    },
)
async def withdraw_availability(
    availability_id: UUID, response: Response, actor: DoctorActor, transaction: DbTransaction
) -> None:
    """Close a stretch of your time, with all its recurrences.

    Appointments that are booked in it stay; the `Link` leads to those that are outside of your hours now.
    """
    await schedule.withdraw_availability(transaction, actor, availability_id)
    response.headers["Link"] = _CONFLICTING


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
    body: wire.NewHours,
    response: Response,
    actor: DoctorActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfContentMatch,
    trail: Audit,
) -> wire.ChangedHours:
    """Replace your weekly plan, from one day on or for some time.

    Wall times of your zone, several windows a day; one that ends before it starts goes on over midnight, and 24:00 is
    the end of a day. Before `valid_from` and after `valid_to` the plan goes on as it was.

    Without `valid_to` the plan holds until your next plan begins, and later plans are kept; where the hours that you
    replace were to come back after an interruption, the new ones do. `replace_later` replaces later plans, too.

    Availability that you have published by itself stays. The answer lists what is booked outside of your hours then;
    it stays booked.
    """
    plan, affected = await schedule.set_weekly_hours(
        transaction,
        actor,
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
    actor: DoctorActor,
    transaction: DbTransaction,
    now: Now,
) -> wire.Hours:
    """Your weekly plan, as it holds on the day `from`, and what is planned for later.

    The `ETag` is the version of all your plans, whatever the day.
    """
    plan = await schedule.get_weekly_hours(transaction, actor, first=query.from_, now=now)
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
    actor: DoctorActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfContentMatch,
) -> None:
    """Cancel a later plan, by its first day. The plan before it goes on instead.

    What is booked stays; the `Link` leads to the appointments that are outside of your hours now.
    """
    await schedule.cancel_planned_hours(transaction, actor, valid_from, now, versions=versions)
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
    body: wire.NewTimeOff, actor: DoctorActor, transaction: DbTransaction, now: Now, trail: Audit, _: Idempotent
) -> wire.TakenTimeOff:
    """Close a stretch of your time, whatever is open then.

    The answer lists what is booked in it; it stays booked until you cancel or move it. What is being booked at this
    very moment is at `GET /doctors/me/appointments?conflicting=true` a moment later.
    """
    doctor, taken, affected = await schedule.take_time_off(
        transaction, actor, start=body.start_time, end=body.end_time, reason=body.reason or None, now=now
    )
    trail.about(taken.id)
    trail.shows(*affected.appointments)
    return wire.TakenTimeOff(**represent_time_off(doctor, taken).model_dump(), **affected_members(affected))


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
    actor: DoctorActor,
    transaction: DbTransaction,
) -> list[wire.TimeOff]:
    """List your time off, by its start."""
    doctor = await doctors.get_own_profile(transaction, actor.id)
    found = await time_off.page_time_off(
        transaction, actor.id, after=read_cursor(query.cursor, _KEY), limit=query.limit + 1
    )
    page = cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=time_off.page_key)
    return [represent_time_off(doctor, each) for each in page]


@router.delete(
    "/me/time-off/{time_off_id:uuid}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
)
async def end_time_off(time_off_id: UUID, actor: DoctorActor, transaction: DbTransaction) -> None:
    """Take time off back; what was open is open again."""
    await schedule.end_time_off(transaction, actor, time_off_id)


def _hours(plan: schedule.WeeklyPlan) -> dict[str, Any]:
    return {
        "doctor_id": plan.doctor.id,
        "time_zone": plan.doctor.time_zone,
        **_planned(plan.current),
        "later": [_planned(each) for each in plan.later],
    }


def _planned(plan: PlannedHours) -> dict[str, Any]:
    return {"valid_from": plan.first, "valid_to": plan.last, **wire.to_clock(plan.hours)}
