"""A doctor's page for patients: the profile, the visit types, and a week of free times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Query, Response

from app.core.dependencies import DbTransaction, Now, SearchTime
from app.repositories import doctors, visit_types
from app.repositories.appointments import AppointmentRecord
from app.repositories.doctors import DoctorRecord
from app.repositories.visit_types import VisitTypeRecord
from app.scheduling.decisions import Refusal
from app.scheduling.intervals import to_instant
from app.scheduling.zones import day_of
from app.schemas.fields import LocalDate
from app.services import slots
from app.services.doctor_profile import MAX_VISIT_TYPES
from app.web.kit.auth import PublicPage
from app.web.kit.clocks import load_zones
from app.web.kit.lists import fit, weigh_texts
from app.web.kit.pages import Page
from app.web.kit.routes import page_router
from app.web.kit.slots import MAX_TIMES, Day, Slot, Week, lay_out

router = page_router()

_VISIT_TYPE_BYTES = 300
"""The size of the markup of one visit type."""


@dataclass(frozen=True, slots=True)
class Times:
    """A week of a doctor's free times."""

    week: Week
    days: Sequence[Day]
    only: Day | None
    """The only day that is shown, if the whole week would make the page too heavy."""
    today: date
    earlier: date | None
    """A day of the previous week, unless that week is over."""
    first: Slot | None
    """The doctor's earliest free time, in this week or not; ``None`` if there is none within a year."""
    following: Slot | None
    """If the week has no free times: the first one after it, if there is any."""
    has_hours: bool
    """Whether the doctor has any hours within a year."""
    is_empty: bool


@router.get("/with/{doctor_id:uuid}")
async def get_doctor(
    doctor_id: UUID,
    page: PublicPage,
    transaction: DbTransaction,
    search_time: SearchTime,
    now: Now,
    visit_type: Annotated[UUID | None, Query(alias="type")] = None,
    week: LocalDate | None = None,
    after: UUID | None = None,
) -> Response:
    """Show a doctor, and a week of free times for a visit type: the doctor's first one, unless another is chosen."""
    doctor = await doctors.find_doctor(transaction, doctor_id)
    if doctor is None:
        return show_unavailable(page, HTTPStatus.NOT_FOUND)
    chosen = visit_type and await visit_types.find_visit_type(transaction, doctor_id, visit_type)
    found = await visit_types.page_visit_types(transaction, doctor_id, after=after, limit=MAX_VISIT_TYPES)
    chosen = chosen or (found[0] if found else None)
    offered = fit(found, _weigh_visit_type)
    more = f"/with/{doctor_id}?after={offered[-1].id}" if len(offered) < len(found) else None
    if chosen and chosen not in offered:
        offered = [*offered, chosen]
    await load_zones(page, transaction, doctor.time_zone)
    times = await list_times(page, transaction, search_time, doctor, chosen.id if chosen else None, week, now)
    return page.render(
        "patient/doctor.html",
        doctor=doctor,
        offered=offered,
        more=more,
        chosen=chosen,
        times=times,
        zone=times.week.zone,
    )


def _weigh_visit_type(visit_type: VisitTypeRecord) -> int:
    return _VISIT_TYPE_BYTES + weigh_texts([visit_type.name])


def show_unavailable(page: Page, status: HTTPStatus, specialty: str | None = None) -> Response:
    """Show that a doctor cannot be booked, with a link to the search, for the same ``specialty`` if one is given.

    An unknown doctor gets the same page, so that it does not reveal who is suspended.
    """
    search = f"/?{urlencode({'specialty': specialty})}" if specialty else "/"
    return page.render("patient/unavailable.html", status, search=search)


async def list_times(
    page: Page,
    transaction: DbTransaction,
    search_time: SearchTime,
    doctor: DoctorRecord,
    visit_type: UUID | None,
    wanted: date | None,
    now: datetime,
    moving: AppointmentRecord | None = None,
) -> Times:
    """Return the free times of the week that contains ``wanted``, by default the week of the earliest free time.

    They are times for a visit type or, with ``moving``, times to which this visit can be moved.
    """
    viewer = page.viewer.id if page.viewer else None
    find_next_slot = partial(
        slots.find_next_slot,
        transaction,
        search_time,
        doctor.id,
        visit_type_id=visit_type,
        viewer=viewer,
        now=now,
        moving=moving,
    )
    zone = page.clock_of(doctor.time_zone)
    today = day_of(to_instant(now), zone)
    first = await find_next_slot(start=None)
    shown = wanted or (day_of(first.slot[0], zone) if first.slot else today)
    # A link to an earlier week shows this one: nothing before today can be booked.
    week = Week.around(max(shown, today), zone, page.formatter.locale)
    start, end = week.span
    _, found = await slots.list_slots(
        transaction,
        doctor.id,
        computation=search_time,
        visit_type_id=visit_type,
        start=start,
        end=end,
        viewer=viewer,
        now=now,
        moving=moving,
    )
    following = None if found or first.slot is None else await find_next_slot(start=end)
    days = lay_out(found, week.days, zone)
    return Times(
        week,
        days,
        _choose_day(days, shown) if len(found) > MAX_TIMES else None,
        today,
        earlier=week.before if week.before >= today else None,
        first=Slot.of(first.slot) if first.slot else None,
        following=Slot.of(following.slot) if following and following.slot else None,
        has_hours=first.reason is not Refusal.OUTSIDE_AVAILABILITY,
        is_empty=not found,
    )


def _choose_day(days: Sequence[Day], wanted: date) -> Day:
    """Return the wanted day; if it has no times, the next day with times, or else the last one before it."""
    with_times = [day for day in days if day.parts]
    return next((day for day in with_times if day.date >= wanted), with_times[-1])
