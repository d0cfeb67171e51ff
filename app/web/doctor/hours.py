"""The doctor's weekly hours, current and planned. One set is edited at a time, with windows for each weekday."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from typing import Any

from fastapi import Response

from app.core.dependencies import DbTransaction, Now
from app.core.errors import DomainError
from app.core.text import capitalize_first
from app.core.versions import content_version
from app.http.audit import Audit
from app.repositories import doctors
from app.scheduling.hours import MINUTES_OF_DAY, WEEKDAYS, WeeklyHours
from app.scheduling.planned_hours import PlannedHours
from app.schemas import schedule as wire
from app.schemas.fields import LocalDate
from app.services import schedule
from app.services.conflicts import Affected
from app.web.doctor.calendar import Day, rename_fields
from app.web.kit.auth import HoursPage
from app.web.kit.drafts import restore
from app.web.kit.formatting import Formatter
from app.web.kit.forms import VERSION, Form, Once, SentForm, read_by, refuse
from app.web.kit.languages import N_
from app.web.kit.lists import MAX_LISTED
from app.web.kit.pages import SignedInPage
from app.web.kit.routes import page_router

router = page_router()

NAMES: Mapping[str, str] = {
    "monday": N_("Monday"),
    "tuesday": N_("Tuesday"),
    "wednesday": N_("Wednesday"),
    "thursday": N_("Thursday"),
    "friday": N_("Friday"),
    "saturday": N_("Saturday"),
    "sunday": N_("Sunday"),
}
_MAX_WINDOWS = 12
_EDGES = "from", "to"


@dataclass(frozen=True, slots=True)
class ListedPeriod:
    """Weekly hours, current or planned, as text."""

    first: date
    dates: str
    week: Sequence[tuple[str, str]]
    """Ranges of days with their hours. Days that are not listed are closed."""
    is_edited: bool
    is_return: bool
    """Whether these are today's hours again, after an interruption by planned ones."""


@router.get("/practice/hours")
async def get_weekly_hours(page: HoursPage, transaction: DbTransaction, now: Now, day: Day = None) -> Response:
    """Show the weekly hours that apply on a day, today by default, and the list of all planned ones."""
    weeks = await schedule.get_weekly_hours(transaction, page.actor.id, first=None, now=now)
    periods = [weeks.current, *weeks.later]
    edited = _find_period(periods, day)
    values = {VERSION: content_version(weeks.content)}
    # An empty first day means today. For planned hours that would be too early.
    if edited is not periods[0]:
        values["valid_from"] = str(edited.first)
    if edited is periods[-1] and edited.last is not None:
        values["valid_to"] = str(edited.last)
    shown = {}
    for weekday, windows in wire.to_clock(edited.hours).items():
        for number, window in enumerate(windows):
            # An HTML time field cannot hold 24:00.
            for edge, clock in zip(_EDGES, window, strict=True):
                values[_field(weekday, number, edge)] = clock.replace("24:", "00:")
        shown[weekday] = min(len(windows) + 1, _MAX_WINDOWS)
    form = restore(page, values)
    rows = {weekday: max(count, _count_rows(form, weekday)) for weekday, count in shown.items()}
    return page.render("doctor/hours.html", form=form, **_content(page, rows, periods, edited))


@router.post("/practice/hours")
async def set_weekly_hours(
    page: HoursPage, form: SentForm, transaction: DbTransaction, now: Now, trail: Audit, day: Day = None
) -> Response:
    """Replace the weekly hours from a day on; for the button that adds a window, show the form with one more row."""
    rows = {weekday: _count_rows(form, weekday) for weekday in WEEKDAYS}
    weeks = await schedule.get_weekly_hours(transaction, page.actor.id, first=None, now=now)
    periods = [weeks.current, *weeks.later]
    edited = _find_period(periods, day)
    # Without a script, the button that adds a window sends the whole form. It may be incomplete, so it is not checked.
    if (weekday := form.value("add")) in rows:
        rows[weekday] = min(rows[weekday] + 1, _MAX_WINDOWS)
        return page.render("doctor/hours.html", form=form, **_content(page, rows, periods, edited))
    try:
        typed = _read(form, rows)
        _, affected = await schedule.set_weekly_hours(
            transaction,
            page.actor.id,
            typed.hours,
            valid_from=typed.valid_from,
            valid_to=typed.valid_to,
            replace_later=typed.replace_later,
            versions=form.versions,
            now=now,
        )
    except DomainError as error:
        saved: list[tuple[str, str]] = []
        if error.code == "version_mismatch":
            weeks = await schedule.get_weekly_hours(transaction, page.actor.id, first=None, now=now)
            periods = [weeks.current, *weeks.later]
            edited = _find_period(periods, day)
            form = form.renew(weeks.content)
            saved = _format_week(page.formatter, edited.hours) or [(page.gettext("All week"), page.gettext("Closed"))]
        content = _content(page, rows, periods, edited)
        raise refuse(page, "doctor/hours.html", form, error, saved=saved, **content) from error
    trail.shows(*affected.appointments)
    message = page.gettext("Your hours have been changed.")
    had_hours = any(any(each.hours.values()) for each in periods)
    # Only a doctor who is listed can be booked; one who waits for approval cannot yet.
    if not had_hours and any(typed.hours.values()) and await doctors.find_doctor(transaction, page.actor.id):
        message = page.gettext("Your hours have been saved. Patients can now book visits with you.")
    changed = (
        WEEKDAYS[day] for day in _days_of_week(page.formatter) if list(typed.hours[day]) != list(edited.hours[day])
    )
    place = next((f"#{name}" for name in changed), "")
    return flash_affected(page, affected, f"/practice/hours{place}", message)


@router.post("/practice/hours/later/{valid_from}/cancel")
async def cancel_planned_hours(
    valid_from: LocalDate, page: HoursPage, form: SentForm, transaction: DbTransaction, now: Now, _: Once
) -> Response:
    """Cancel planned hours. The hours before them continue to apply."""
    affected = await schedule.cancel_planned_hours(transaction, page.actor.id, valid_from, now, versions=form.versions)
    return flash_affected(
        page, affected, "/practice/hours#planned", page.gettext("The planned hours have been cancelled.")
    )


def flash_affected(page: SignedInPage, affected: Affected, path: str, message: str) -> Response:
    """Redirect after a change of rules; to the list of visits outside the hours if the change affects any."""
    if not affected.count:
        return page.redirect(path, message)
    outside = page.formatter.ngettext(
        "%(num)d visit is now outside your hours. It stays booked until you move or cancel it.",
        "%(num)d visits are now outside your hours. They stay booked until you move or cancel them.",
        affected.count,
    )
    return page.redirect("/practice/hours/conflicts", f"{message} {outside}", "note")


def _find_period(periods: Sequence[PlannedHours], day: date | None) -> PlannedHours:
    """Return the hours that apply on a day; the current ones without a day, or for a day before them."""
    return ([period for period in periods if day and period.first <= day] or periods[:1])[-1]


def _content(
    page: SignedInPage, rows: Mapping[str, int], periods: Sequence[PlannedHours], edited: PlannedHours
) -> dict[str, Any]:
    listed = [
        ListedPeriod(
            period.first,
            _format_dates(page.formatter, period, periods[0]),
            _format_week(page.formatter, period.hours),
            is_edited=period is edited,
            is_return=period is not periods[0] and period.hours == periods[0].hours,
        )
        for period in periods
    ]
    return {
        "weekdays": [
            (WEEKDAYS[day], NAMES[WEEKDAYS[day]], rows[WEEKDAYS[day]]) for day in _days_of_week(page.formatter)
        ],
        "edited": edited,
        "dates": _format_dates(page.formatter, edited, periods[0]),
        "periods": listed[:MAX_LISTED] if len(listed) > 1 else [],
        "more": max(0, len(listed) - MAX_LISTED),
        "max_windows": _MAX_WINDOWS,
    }


def _days_of_week(formatter: Formatter) -> list[int]:
    first_weekday = formatter.locale.first_week_day
    return [*range(first_weekday, 7), *range(first_weekday)]


def _format_dates(formatter: Formatter, period: PlannedHours, current: PlannedHours) -> str:
    """Return the dates between which the hours apply, as text."""
    first, last = formatter.day(period.first), period.last and formatter.day(period.last)
    if period is current:
        if last:
            return formatter.gettext("In effect until %(day)s", day=last)
        if period.is_closed:
            return formatter.gettext("No weekly hours at present")
        return formatter.gettext("In effect now")
    if last is None:
        return formatter.gettext("From %(day)s", day=first)
    return capitalize_first(first if last == first else f"{first} \N{EN DASH} {last}")


def _format_week(formatter: Formatter, hours: WeeklyHours) -> list[tuple[str, str]]:
    """Return ranges of consecutive days with the same hours, without the days that are closed."""
    ranges = []
    for windows, same in groupby(_days_of_week(formatter), key=lambda day: hours[day]):
        first, *more = [formatter.gettext(NAMES[WEEKDAYS[day]]) for day in same]
        if windows:
            times = ", ".join(formatter.hours(*window) for window in windows)
            times = formatter.gettext("all day") if list(windows) == [(0, MINUTES_OF_DAY)] else times
            ranges.append((f"{first} \N{EN DASH} {more[-1]}" if more else first, times))
    return ranges


def _field(weekday: str, number: int, edge: str) -> str:
    return f"{weekday}_{number}_{edge}"


def _count_rows(form: Form, weekday: str) -> int:
    # Browsers also send fields that are empty.
    return sum(_field(weekday, number, "from") in form.values for number in range(_MAX_WINDOWS))


def _read(form: Form, rows: Mapping[str, int]) -> wire.NewWeeklyHours:
    """Return the hours from the form. Raises ``invalid_request`` with the fields of the form."""
    week: dict[str, object] = {name: form.value(name) for name in ("valid_from", "valid_to") if form.value(name)}
    week["replace_later"] = bool(form.value("replace_later"))
    fields: dict[str, str] = {}
    missing: set[str] = set()
    for weekday in WEEKDAYS:
        windows: list[list[str]] = []
        for number in range(rows[weekday]):
            names = [_field(weekday, number, edge) for edge in _EDGES]
            begin, end = map(form.value, names)
            if not begin and not end:
                continue
            missing |= {name for name in names if not form.value(name)}
            place = f"{weekday}.{len(windows)}"
            fields |= {place: names[1], f"{place}.0": names[0], f"{place}.1": names[1]}
            # The reverse of `get_weekly_hours`: a time field cannot hold 24:00.
            windows.append([begin, "24:00" if end == "00:00" else end])
        week[weekday] = windows
    try:
        return read_by(wire.NewWeeklyHours.model_validate, week)
    except DomainError as error:
        found = rename_fields(error, fields)
        errors = tuple(replace(each, code="one_end_only") if each.field in missing else each for each in found.errors)
        raise DomainError(found.code, errors=errors) from error
