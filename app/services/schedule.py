"""Change the rules that open and close a doctor's calendar: availabilities, weekly hours and time off.

Changes of rules never change appointments. Appointments that lie outside the new rules are returned as affected.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from uuid_utils.compat import uuid7

from app.core.errors import DomainError, invalid_field
from app.core.versions import check_version
from app.db.database import Transaction
from app.repositories import availabilities, doctors, time_off
from app.repositories.availabilities import AvailabilityRecord
from app.repositories.doctor_schedules import get_doctor_schedule
from app.repositories.doctors import DoctorRecord
from app.repositories.time_off import TimeOffRecord
from app.scheduling.availability import NO_END, Availability, Rules, TimeOff, open_windows, windows_between
from app.scheduling.decisions import MAX_AVAILABILITY, MAX_TIME_OFF
from app.scheduling.hours import WEEKDAYS, WeeklyHours, cut, find_overlap, to_availabilities
from app.scheduling.intervals import DAY, Interval, merge, subtract, to_instant
from app.scheduling.planned_hours import PlannedHours, days_to_replace, to_planned_hours
from app.scheduling.recurrence import find_error, find_last
from app.scheduling.zones import day_of, midnight, wall_time
from app.services.conflicts import Affected, find_affected, find_booked

MAX_RULES = 1000
MAX_RECURRING = 200
"""Fewer than ``MAX_RULES``, because recurring rules must be expanded whenever the calendar is read."""

_A_YEAR = 366 * DAY


@dataclass(frozen=True, slots=True)
class PlannedWeeks:
    """A doctor's weekly hours that apply on one day, and those that are planned for later."""

    doctor: DoctorRecord
    current: PlannedHours
    later: Sequence[PlannedHours]
    """In order, without the closed days after the last planned hours."""
    content: Mapping[str, Any]
    """Everything that is planned from today on; its version is computed from this (see ``core.versions``)."""


async def publish_availability(
    transaction: Transaction,
    doctor_id: UUID,
    *,
    start: datetime,
    end: datetime,
    recurrence: str | None = None,
    now: datetime,
) -> tuple[DoctorRecord, AvailabilityRecord]:
    """Open ``[start, end)``, once or by a recurrence rule in the form of ``recurrence.read_recurrence``.

    Raises ``availability_overlaps`` if a window within a year overlaps one that is open already (touching is allowed),
    ``too_many``, and ``invalid_request``.
    """
    first = _check_span(start, end, MAX_AVAILABILITY)
    if first[0] < to_instant(now):
        raise invalid_field("start_time", "in_the_past")
    # Before the overlap is checked: if the same time is published twice at once, the second request must see the first.
    await doctors.begin_rule_change(transaction, doctor_id)
    span = first[0], first[0] + _A_YEAR
    schedule = await get_doctor_schedule(transaction, doctor_id, (span[0], span[1] + MAX_AVAILABILITY), listed=False)
    wanted = _rule(first, recurrence, schedule.rules.zone)
    windows = merge(windows_between(Rules(schedule.rules.zone, (wanted,)), span))
    if subtract(windows, open_windows(schedule.rules, (span[0], windows[-1][1]))) != windows:
        raise DomainError("availability_overlaps")
    [published] = await availabilities.insert_availabilities(transaction, doctor_id, [wanted], now)
    # After the insert, which the error rolls back.
    await _check_number(transaction, doctor_id, now)
    return schedule.doctor, published


async def withdraw_availability(transaction: Transaction, doctor_id: UUID, availability_id: UUID) -> None:
    """Delete an availability with all its occurrences. Raises ``not_found`` if it is not the doctor's."""
    await doctors.begin_rule_change(transaction, doctor_id)
    if not await availabilities.delete_availability(transaction, doctor_id, availability_id):
        raise DomainError("not_found")


async def set_weekly_hours(
    transaction: Transaction,
    doctor_id: UUID,
    hours: WeeklyHours,
    *,
    valid_from: date | None,
    valid_to: date | None,
    replace_later: bool = False,
    versions: frozenset[str] | None = None,
    now: datetime,
) -> tuple[PlannedWeeks, Affected]:
    """Replace the weekly hours from ``valid_from`` (default: today) on.

    With ``valid_to``, only these days are replaced. Without it, the new hours apply until the next planned hours
    start, or indefinitely if there are none or if ``replace_later``. If the replaced hours were to return after an
    interruption, the new hours do so instead. Other availabilities are not changed.

    Returns the weekly hours, and the appointments that lie outside the rules now. Raises ``version_mismatch`` if
    ``versions`` does not contain that of all planned hours, ``too_many``, and ``invalid_request``.
    """
    if (weekday := find_overlap(hours)) is not None:
        raise invalid_field(WEEKDAYS[weekday], "overlaps_earlier_window")
    if replace_later and valid_to is not None:
        raise invalid_field("replace_later", "with_valid_to")
    await doctors.begin_rule_change(transaction, doctor_id)
    doctor = await doctors.get_own_profile(transaction, doctor_id)
    today = _today(doctor, now)
    first = valid_from or today
    if first < today:
        raise invalid_field("valid_from", "in_the_past")
    if valid_to is not None and valid_to < first:
        raise invalid_field("valid_to", "before_valid_from")
    records = await availabilities.list_weekly_hours(transaction, doctor_id, midnight(today))
    periods = to_planned_hours((record.rule for record in records), today)
    # While the doctor's row is locked, so that no other change comes between this and the writes (ADR 0039).
    check_version(_content(periods), versions)
    explicit = valid_to is not None or replace_later
    days = [(first, valid_to)] if explicit else days_to_replace(periods, first)
    periods = await _replace_days(transaction, doctor_id, records, days, hours, today=today, now=now)
    current = PlannedHours(first, days[0][1], {day: sorted(hours.get(day, ())) for day in range(7)})
    *_, stored = (period for period in periods if period.first <= first)
    if stored.hours == current.hours:  # they may apply for longer, joined with equal hours that were planned before
        current = replace(stored, first=first)
    return _planned_weeks(doctor, periods, current, _content(periods)), await find_affected(
        transaction, doctor_id, since=now
    )


async def get_weekly_hours(
    transaction: Transaction, doctor_id: UUID, *, first: date | None, now: datetime
) -> PlannedWeeks:
    """Return the weekly hours that apply on ``first`` (default: today), and those that are planned for later."""
    doctor = await doctors.get_own_profile(transaction, doctor_id)
    today = _today(doctor, now)
    first = first or today
    # From today on, even if a later period is shown: the version covers everything that is planned.
    records = await availabilities.list_weekly_hours(transaction, doctor_id, midnight(min(first, today)))
    rules = [record.rule for record in records]
    periods = to_planned_hours(rules, first)
    return _planned_weeks(doctor, periods, periods[0], _content(to_planned_hours(rules, today)))


async def cancel_planned_hours(
    transaction: Transaction, doctor_id: UUID, first: date, now: datetime, *, versions: frozenset[str] | None = None
) -> Affected:
    """Cancel the planned hours that start on ``first``: the hours before them continue instead.

    Returns the appointments that lie outside the rules now. Raises ``not_found``, and ``version_mismatch`` if
    ``versions`` does not contain that of all planned hours.
    """
    await doctors.begin_rule_change(transaction, doctor_id)
    today = _today(await doctors.get_own_profile(transaction, doctor_id), now)
    records = await availabilities.list_weekly_hours(transaction, doctor_id, midnight(today))
    periods = to_planned_hours((record.rule for record in records), today)
    check_version(_content(periods), versions)
    for before, period in pairwise(periods):
        if period.first == first and not period.is_closed_for_good:
            days = [(first, period.last)]
            await _replace_days(transaction, doctor_id, records, days, before.hours, today=today, now=now)
            return await find_affected(transaction, doctor_id, since=now)
    raise DomainError("not_found")


async def _replace_days(
    transaction: Transaction,
    doctor_id: UUID,
    records: Sequence[AvailabilityRecord],
    days: Sequence[tuple[date, date | None]],
    hours: WeeklyHours,
    *,
    today: date,
    now: datetime,
) -> list[PlannedHours]:
    """Replace the hours of these days, unless they are the same already. Returns all planned hours after that."""
    replaced, kept, added = [], [], []
    for record in records:
        remaining = [record.rule]
        for first, last in days:
            remaining = [part for rule in remaining for part in cut(rule, first, last)]
        if remaining == [record.rule]:
            kept.append(record.rule)
        else:
            replaced.append(record.id)
            added += remaining
    for first, last in days:
        added += to_availabilities(hours, first, last)
    periods = to_planned_hours([*kept, *added], today)
    # Compared as weekly hours, because different rules can stand for the same hours. These are not written again (ADR
    # 0036).
    if periods != to_planned_hours((record.rule for record in records), today):
        await availabilities.delete_availabilities(transaction, replaced)
        await availabilities.insert_availabilities(transaction, doctor_id, added, now, weekly_hours=True)
        await _check_number(transaction, doctor_id, now)
    return periods


def _planned_weeks(
    doctor: DoctorRecord, periods: Sequence[PlannedHours], current: PlannedHours, content: Mapping[str, Any]
) -> PlannedWeeks:
    later = [period for period in periods if current.last is not None and period.first > current.last]
    return PlannedWeeks(doctor, current, [period for period in later if not period.is_closed_for_good], content)


def _content(periods: Sequence[PlannedHours]) -> Mapping[str, Any]:
    """Return everything that is planned. It does not depend on today, until the next planned hours start."""
    current, *later = periods
    return {"hours": current.hours, "valid_to": current.last, "later": later}


async def preview_time_off(
    transaction: Transaction, doctor_id: UUID, *, start: datetime, end: datetime, now: datetime
) -> Affected:
    """Return the appointments that ``take_time_off`` would affect, or raise what it would raise. Changes nothing."""
    _check_time_off(start, end, now)
    return await find_booked(transaction, doctor_id, since=max(start, now), until=end)


async def take_time_off(
    transaction: Transaction, doctor_id: UUID, *, start: datetime, end: datetime, reason: str | None, now: datetime
) -> tuple[DoctorRecord, TimeOffRecord, Affected]:
    """Close ``[start, end)``, at most 366 days and not entirely in the past.

    Returns the doctor, the time off, and the appointments that lie in it. Raises ``too_many`` and ``invalid_request``.
    """
    span = _check_time_off(start, end, now)
    await doctors.begin_rule_change(transaction, doctor_id)
    doctor = await doctors.get_own_profile(transaction, doctor_id)
    if await time_off.count_time_off(transaction, doctor_id, now) >= MAX_RULES:
        raise DomainError("too_many")
    # As wall times: if the doctor changes the time zone, time off moves with the other rules (ADR 0004).
    starts, ends = (wall_time(instant, doctor.zone) for instant in span)
    added = TimeOffRecord(uuid7(), TimeOff(starts, ends), reason)
    await time_off.insert_time_off(transaction, doctor_id, added, now)
    return doctor, added, await find_affected(transaction, doctor_id, since=max(start, now), until=end)


async def end_time_off(transaction: Transaction, doctor_id: UUID, time_off_id: UUID) -> None:
    """Delete time off, so that the hours in it are open again. Raises ``not_found`` if it is not the doctor's."""
    await doctors.begin_rule_change(transaction, doctor_id)
    if not await time_off.delete_time_off(transaction, doctor_id, time_off_id):
        raise DomainError("not_found")


async def _check_number(transaction: Transaction, doctor_id: UUID, now: datetime) -> None:
    rules, recurring = await availabilities.count_availabilities(transaction, doctor_id, now)
    if rules > MAX_RULES or recurring > MAX_RECURRING:
        raise DomainError("too_many")


def _check_span(start: datetime, end: datetime, longest: int) -> Interval:
    first, last = to_instant(start), to_instant(end)
    if first >= last:
        raise invalid_field("end_time", "after_start")
    if last - first > longest:
        raise invalid_field("end_time", "span_too_long", longest=longest // DAY)
    return first, last


def _check_time_off(start: datetime, end: datetime, now: datetime) -> Interval:
    span = _check_span(start, end, MAX_TIME_OFF)
    if span[1] <= to_instant(now):
        raise invalid_field("end_time", "in_the_past")
    return span


def _rule(first: Interval, recurrence: str | None, zone: ZoneInfo) -> Availability:
    starts, ends = (wall_time(instant, zone) for instant in first)
    if recurrence is None:
        return Availability(starts, ends)
    if fault := find_error(recurrence, starts):
        raise invalid_field("recurrence", "recurrence", reason=fault)
    if ends.fold:  # all other occurrences would end an hour earlier on the clock
        raise invalid_field("end_time", "recurs_in_repeated_hour")
    # Computed once, so that no expansion has to count from the first occurrence (ADR 0012).
    last_starts = find_last(recurrence, starts, zone)
    if last_starts is not None and last_starts < starts:
        raise invalid_field("recurrence", "until_before_start")
    last_ends = NO_END if last_starts is None else last_starts + (ends - starts)
    rule = Availability(starts, ends, recurrence, last_ends)
    span = first[0], first[0] + _A_YEAR
    windows = sorted(windows_between(Rules(zone, (rule,)), span))
    if any(later[0] < earlier[1] for earlier, later in pairwise(windows)):
        raise invalid_field("recurrence", "recurs_before_end")
    return rule


def _today(doctor: DoctorRecord, now: datetime) -> date:
    return day_of(to_instant(now), doctor.zone)
