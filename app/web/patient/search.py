"""The start: the earliest visits across all doctors, and how to narrow them down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Literal
from urllib.parse import urlencode

from fastapi import BackgroundTasks, Response
from pydantic import BaseModel

from app.core.dependencies import DbTransaction, Now, SearchTime
from app.core.errors import DomainError
from app.core.text import search_key
from app.http.after_response import save_bounds_after_response
from app.http.paging import SEARCH_CURSOR, read_cursor, write_cursor
from app.repositories import doctors
from app.repositories.search_offers import Criteria, OfferRecord
from app.scheduling.hours import WeeklyHours
from app.scheduling.intervals import DAY, HOUR, from_instant, to_instant
from app.scheduling.visits import VisitMode
from app.schemas.fields import Cursor, Language, LocalDate, SearchText
from app.services import search
from app.services.search import ClockFilter, Match, SearchResult
from app.services.slots import MAX_LISTING
from app.web.kit.auth import PublicPage
from app.web.kit.clocks import find_zones_in_play
from app.web.kit.forms import Form, refuse
from app.web.kit.languages import N_
from app.web.kit.lists import fit, weigh_texts
from app.web.kit.pages import Page
from app.web.kit.routes import page_router
from app.web.kit.slots import Slot, part_of

router = page_router()

MAX_SHOWN = 40
MAX_SUGGESTION_BYTES = 5 * 1024
MAX_RESULT_BYTES = 38 * 1024
_ROW_BYTES, _TIME_BYTES = 600, 250  # of markup
_WITHOUT = {
    "specialty": N_("Any specialty"),
    "language": N_("Any language"),
    "mode": N_("Any visit mode"),
    "day": N_("From today"),
    "part": N_("Any time of day"),
    "after": N_("From the earliest time"),
}
"""What stands on a link that drops a filter."""
_HOURS = {"morning": (0, 12 * 60), "afternoon": (12 * 60, 17 * 60), "evening": (17 * 60, 24 * 60)}


class Search(BaseModel):
    """What somebody looks for; what is left open does not matter."""

    specialty: SearchText | None = None
    language: Language | None = None
    mode: VisitMode | None = None
    day: LocalDate | None = None
    part: Literal["morning", "afternoon", "evening"] | None = None
    after: Cursor | None = None

    @property
    def hours(self) -> WeeklyHours | None:
        """The part of the day, on each day of the week."""
        return {weekday: [_HOURS[self.part]] for weekday in range(7)} if self.part else None


@router.get("/")
async def search_slots(
    page: PublicPage, transaction: DbTransaction, search_time: SearchTime, now: Now, tasks: BackgroundTasks
) -> Response:
    """The earliest visits that fit."""
    form = Form(dict(page.request.query_params))
    await find_zones_in_play(page, transaction)
    shown: dict[str, Any] = {
        "clock_hint": _describe_clock(page),
        "specialties": fit(await doctors.list_specialties(transaction), _weigh_suggestion, MAX_SUGGESTION_BYTES),
        "languages": _list_languages(page, form.value("language"), await doctors.list_languages(transaction)),
        "modes": [(each.value, page.formatter.mode(each)) for each in VisitMode],
    }
    try:
        wanted = form.read(Search)
        after = read_cursor(wanted.after, SEARCH_CURSOR)
        found = await search.search_slots(
            transaction,
            search_time,
            Criteria(specialty=wanted.specialty, language=wanted.language, mode=wanted.mode),
            clock_filter=ClockFilter(page.zone, wanted.hours, wanted.day, page.zones_in_play)
            if wanted.part or wanted.day
            else None,
            start=None,
            end=None,
            after=(to_instant(after[0]), after[1], after[2]) if after else None,
            limit=MAX_SHOWN,
            viewer=page.viewer.id if page.viewer else None,
            now=now,
        )
    except DomainError as error:
        raise refuse(page, "patient/search.html", form, error, **shown, days={}, more=None, empty=None) from error
    save_bounds_after_response(tasks, page.resources.database, found.bound_updates)
    if not found.matches:
        empty = _explain_nothing(page, wanted, found)
        return page.render(
            "patient/search.html", form=form, **shown, days={}, first=None, first_slot=None, more=None, empty=empty
        )
    matches = _cut_matches(found.matches)
    first = matches[0] if not wanted.after else None
    return page.render(
        "patient/search.html",
        form=form,
        **shown,
        days=_lay_out(page, matches),
        first=first,
        first_slot=Slot.of(first.visit) if first else None,
        more=_more(wanted, matches) if found.more or len(matches) < len(found.matches) else None,
        empty=None,
    )


def _weigh_suggestion(text: str) -> int:
    return len('<option value="">') + weigh_texts([text])


def _list_languages(page: Page, chosen: str, spoken: Sequence[str]) -> Sequence[tuple[str, str]]:
    """The languages to choose from, the shortest tags first if there are too many; with the one that is chosen."""
    shown = {*fit(sorted(spoken, key=len), _weigh_language, MAX_SUGGESTION_BYTES), *({chosen} & {*spoken})}
    named = [(each, page.formatter.language(each)) for each in shown]
    return sorted(named, key=lambda option: search_key(option[1]))


def _weigh_language(tag: str) -> int:
    return len('<option value="">Portuguese (Brazil)</option>') + 2 * len(tag)


def _cut_matches(matches: Sequence[Match]) -> Sequence[Match]:
    rows = set()

    def weigh(match: Match) -> int:
        doctor, visit_type = match.offer.doctor, match.offer.visit_type
        row = match.offer.id, match.visit[0] // (4 * HOUR)  # about a part of a day
        weight = _TIME_BYTES + weigh_texts([doctor.name])
        if row not in rows:
            rows.add(row)
            weight += _ROW_BYTES + weigh_texts([doctor.name, doctor.specialty, visit_type.name if visit_type else None])
        return weight

    return fit(matches, weigh, MAX_RESULT_BYTES)


def _describe_clock(page: Page) -> str:
    """Whose mornings and evenings are meant: of the clock that is shown."""
    if page.zone:
        return page.gettext("In %(place)s time.", place=page.formatter.place(page.zone))
    return page.gettext("In each doctor's own time zone.") if page.has_several_clocks else ""


type Group = tuple[OfferRecord, Sequence[Slot]]
"""A kind of visit of one doctor, and its times."""


def _lay_out(page: Page, matches: Sequence[Match]) -> Mapping[date, Mapping[str, Sequence[Group]]]:
    """By day, then by part of the day, then by doctor and kind of visit; each in the order of its first time."""
    days: dict[date, dict[str, dict[object, tuple[OfferRecord, list[Slot]]]]] = {}
    for match in matches:
        slot = Slot.of(match.visit)
        zone = page.clock_of(match.offer.doctor.time_zone)
        parts = days.setdefault(slot.start.astimezone(zone).date(), {})
        groups = parts.setdefault(part_of(slot.start, zone), {})
        groups.setdefault(match.offer.id, (match.offer, []))[1].append(slot)
    return {
        day: {part: list(groups.values()) for part, groups in sorted(parts.items(), key=lambda each: _HOURS[each[0]])}
        for day, parts in sorted(days.items())
    }


@dataclass(frozen=True, slots=True)
class Nothing:
    """Why nothing is listed, and what to try instead."""

    sentence: str
    dropped: Sequence[tuple[str, str]] = ()
    """For each filter, the address of the search without it, and what stands on the link."""


def _explain_nothing(page: Page, wanted: Search, found: SearchResult) -> Nothing:
    """An empty clinic, no free time at all, or filters that are too narrow: each is something else to a patient."""
    query = wanted.model_dump(mode="json", exclude_none=True)
    without = {name: {other: query[other] for other in query if other != name} for name in query}
    dropped = [
        (f"/?{urlencode(left)}" if left else "/", page.gettext(_WITHOUT[name])) for name, left in without.items()
    ]
    if not page.zones_in_play:
        return Nothing(page.gettext("No doctors can be booked here yet."))
    begins = max(to_instant(page.now), to_instant(datetime.combine(wanted.day or date.min, time(), UTC)))
    if found.searched_until < begins + MAX_LISTING - 2 * DAY:
        return Nothing(page.gettext("The search took too long and was stopped. Narrow it down, or try again."), dropped)
    if wanted.day:
        day = page.formatter.day(wanted.day)
        return Nothing(
            page.gettext("No free times in the two months from %(day)s match your filters.", day=day), dropped
        )
    if dropped:
        return Nothing(page.gettext("No free times in the next two months match your filters."), dropped)
    return Nothing(page.gettext("No doctor has a free time in the next two months."))


def _more(wanted: Search, shown: Sequence[Match]) -> str:
    start, tie_break, offer_id = shown[-1].cursor
    query = wanted.model_dump(mode="json", exclude_none=True)
    return f"/?{urlencode(query | {'after': write_cursor((from_instant(start), tie_break, offer_id), SEARCH_CURSOR)})}"
