"""Common parts of the doctor's pages: days in addresses, words for statuses, wall times."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, time
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Query
from pydantic import BeforeValidator, NaiveDatetime, TypeAdapter

from app.core.errors import DomainError
from app.repositories.appointments import AppointmentRecord
from app.scheduling.decisions import check_action
from app.scheduling.intervals import from_instant, to_instant
from app.scheduling.status import Action, AppointmentStatus
from app.scheduling.zones import day_of, resolve
from app.schemas.fields import LocalDate
from app.web.kit.languages import N_

Day = Annotated[LocalDate | None, Query(), BeforeValidator(lambda typed: typed or None)]
"""A day of the doctor's calendar in a query; an empty field counts as ``None``."""
RULE_CURSOR = TypeAdapter(tuple[NaiveDatetime, UUID])
"""The cursor of a list of rules: the start of a rule as the doctor's wall time, and its id."""

STATUSES: Mapping[AppointmentStatus, str] = {
    AppointmentStatus.BOOKED: N_("Expected"),
    AppointmentStatus.ARRIVED: N_("Arrived"),
    AppointmentStatus.FULFILLED: N_("Completed"),
    AppointmentStatus.CANCELLED: N_("Cancelled"),
    AppointmentStatus.NOSHOW: N_("No-show"),
}
"""The status of a visit as doctors see it."""


def possible_actions(visit: AppointmentRecord, now: datetime) -> frozenset[Action]:
    """Return what the doctor can do with a visit now."""
    start = to_instant(visit.start_time)
    # Without a `cutoff`: doctors may move and cancel after the deadline.
    return frozenset(
        action for action in Action if not check_action(action, visit.status, start, to_instant(now), cutoff=None)
    )


def day_page(visit: AppointmentRecord) -> str:
    """Return the address of a visit in the list of its day, in the doctor's time zone."""
    return f"/practice/day?day={day_of(to_instant(visit.start_time), visit.zone)}#row-{visit.id}"


def moment_of(day: date, clock: str, zone: ZoneInfo) -> datetime:
    """Return the instant of a wall time in a zone; the first of two if the clocks go back (see ``zones.resolve``)."""
    return from_instant(resolve(datetime.combine(day, time.fromisoformat(clock)), zone))


def rename_fields(error: DomainError, fields: Mapping[str, str]) -> DomainError:
    """Return the error with the service's field names replaced by those of a form."""
    renamed = tuple(replace(each, field=fields.get(each.field, each.field)) for each in error.errors)
    return DomainError(error.code, errors=renamed, retry_after=error.retry_after)
