"""What the pages of a doctor's calendar have in common: days in addresses, and how her visits are called."""

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
"""A day of the doctor's calendar, in an address; a field that was left empty is as good as none."""
RULE_PLACE = TypeAdapter(tuple[NaiveDatetime, UUID])
"""Where a rule stands in a list: its start on the doctor's clock, and its id."""

STATUSES: Mapping[AppointmentStatus, str] = {
    AppointmentStatus.BOOKED: N_("Expected"),
    AppointmentStatus.ARRIVED: N_("Arrived"),
    AppointmentStatus.FULFILLED: N_("Completed"),
    AppointmentStatus.CANCELLED: N_("Cancelled"),
    AppointmentStatus.NOSHOW: N_("No-show"),
}
"""What has become of a visit, as the doctor says it."""


def possible_actions(visit: AppointmentRecord, now: datetime) -> frozenset[Action]:
    """What the doctor can do with a visit now."""
    start = to_instant(visit.start_time)
    return frozenset(
        action for action in Action if not check_action(action, visit.status, start, to_instant(now), cutoff=None)
    )


def day_page(visit: AppointmentRecord) -> str:
    """Where a visit stands in the list of its day, on its doctor's clock."""
    return f"/practice/day?day={day_of(to_instant(visit.start_time), visit.zone)}#row-{visit.id}"


def moment_of(day: date, clock: str, zone: ZoneInfo) -> datetime:
    """When the clock in a zone shows this on that day; of two such moments the first (see ``zones.resolve``)."""
    return from_instant(resolve(datetime.combine(day, time.fromisoformat(clock)), zone))


def of_fields(error: DomainError, fields: Mapping[str, str]) -> DomainError:
    """An error that names what a service knows, as one that names the fields of a form."""
    renamed = tuple(replace(each, field=fields.get(each.field, each.field)) for each in error.errors)
    return DomainError(error.code, errors=renamed, retry_after=error.retry_after)
