"""The doctor's weekly plan, as a form: for each day of the week some windows, and one more to fill in."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from fastapi import Response

from app.core.dependencies import DbSession, Now
from app.core.errors import DomainError
from app.routers.trail import Trail
from app.scheduling.hours import WEEKDAYS
from app.schemas import schedule as wire
from app.services import schedule
from app.services.conflicts import Affected
from app.web.forms import Form, SentForm, read_by, refuse
from app.web.languages import N_
from app.web.pages import SignedInPage
from app.web.practice_calendar import Day, of_fields
from app.web.routes import page_router
from app.web.visitors import DoctorPage

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
_MOST_WINDOWS = 12
_EDGES = "from", "to"


@router.get("/practice/hours")
async def get_weekly_hours(page: DoctorPage, session: DbSession, now: Now, day: Day = None) -> Response:
    """The plan as it stands in the seven days from one on, today unless another is named."""
    plan = await schedule.get_weekly_hours(session, page.actor, first=day, now=now)
    values = {"valid_from": str(plan.first)}
    rows = {}
    for weekday, windows in wire.to_clock(plan.hours).items():
        for number, window in enumerate(windows):
            # A field for times knows no 24:00.
            for edge, shown in zip(_EDGES, window, strict=True):
                values[_field(weekday, number, edge)] = shown.replace("24:", "00:")
        rows[weekday] = min(len(windows) + 1, _MOST_WINDOWS)
    return _show(page, Form(values), rows, plan.first)


@router.post("/practice/hours")
async def set_weekly_hours(page: DoctorPage, form: SentForm, session: DbSession, now: Now, trail: Trail) -> Response:
    """Replaces the plan, from one day on; or, before that, shows one more window to fill in."""
    rows = {weekday: _count_rows(form, weekday) for weekday in WEEKDAYS}
    if (weekday := form.value("add")) in rows:
        rows[weekday] = min(rows[weekday] + 1, _MOST_WINDOWS)
        return _show(page, form, rows, None)
    try:
        typed = _read(form, rows)
        _, affected = await schedule.set_weekly_hours(
            session, page.actor, typed.hours, valid_from=typed.valid_from, valid_to=typed.valid_to, now=now
        )
    except DomainError as error:
        raise refuse(page, "practice_hours.html", form, error, **_content(page, rows, None)) from error
    trail.shows(*affected.appointments)
    return tell_affected(page, affected, "/practice/hours", page.gettext("Your hours are changed."))


def tell_affected(page: SignedInPage, affected: Affected, path: str, told: str) -> Response:
    """Leads on after a change of rules; to what lies outside of them now, if anything does."""
    if not affected.count:
        return page.redirect(path, told)
    outside = page.words.ngettext(
        "%(num)d visit is outside of them now; it stays booked until you move or cancel it.",
        "%(num)d visits are outside of them now; they stay booked until you move or cancel them.",
        affected.count,
    )
    return page.redirect("/practice/hours/conflicts", f"{told} {outside}", "note")


def _show(page: SignedInPage, form: Form, rows: Mapping[str, int], first: date | None) -> Response:
    return page.render("practice_hours.html", form=form, **_content(page, rows, first))


def _content(page: SignedInPage, rows: Mapping[str, int], first: date | None) -> dict[str, Any]:
    begins = page.words.locale.first_week_day
    order = [*WEEKDAYS[begins:], *WEEKDAYS[:begins]]
    return {
        "weekdays": [(weekday, NAMES[weekday], rows[weekday]) for weekday in order],
        "first": first,
        "most": _MOST_WINDOWS,
    }


def _field(weekday: str, number: int, edge: str) -> str:
    return f"{weekday}_{number}_{edge}"


def _count_rows(form: Form, weekday: str) -> int:
    return sum(_field(weekday, number, "from") in form.values for number in range(_MOST_WINDOWS))


def _read(form: Form, rows: Mapping[str, int]) -> wire.NewHours:
    """The week that was typed; ``invalid_request`` names the fields of the form."""
    week: dict[str, object] = {name: form.value(name) for name in ("valid_from", "valid_to") if form.value(name)}
    fields: dict[str, str] = {}
    for weekday in WEEKDAYS:
        windows: list[list[str]] = []
        for number in range(rows[weekday]):
            names = [_field(weekday, number, edge) for edge in _EDGES]
            begin, end = map(form.value, names)
            if not begin and not end:
                continue
            place = f"{weekday}.{len(windows)}"
            fields |= {place: names[1], f"{place}.0": names[0], f"{place}.1": names[1]}
            windows.append([begin, "24:00" if end == "00:00" else end])
        week[weekday] = windows
    try:
        return read_by(wire.NewHours.model_validate, week)
    except DomainError as error:
        raise of_fields(error, fields) from error
