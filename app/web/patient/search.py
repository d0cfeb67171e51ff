"""The search, which is the home page: the earliest free times of all doctors, with filters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from typing import Any, Literal
from urllib.parse import urlencode

from fastapi import BackgroundTasks, Response
from pydantic import BaseModel

from app.core.dependencies import DbTransaction, Now, SearchTime
from app.core.errors import DomainError
from app.core.text import isolate, search_key
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
from app.web.kit.clocks import load_zones
from app.web.kit.forms import Form, refuse
from app.web.kit.languages import N_
from app.web.kit.lists import fit, weigh_texts
from app.web.kit.pages import Page
from app.web.kit.routes import page_router
from app.web.kit.slots import Slot, part_of

router = page_router()

# These limits keep the page under 60 KB, like every page (`docs/pages.md`).
MAX_SHOWN = 40
MAX_SUGGESTION_BYTES = 5 * 1024
MAX_RESULT_BYTES = 38 * 1024
MAX_OTHER_SPECIALTIES = 12
"""The number of specialties that are offered instead of one that no doctor has."""
_SIMILAR = 0.8  # cardiolgy and cardiology, but not neurology and dermatology
_ROW_BYTES, _TIME_BYTES = 600, 250  # of markup
_REMOVAL_TEXTS = {
    "specialty": N_("Any specialty"),
    "language": N_("Any language"),
    "mode": N_("Any visit mode"),
    "day": N_("From today"),
    "part": N_("Any time of day"),
    "after": N_("From the earliest time"),
}
"""The texts of the links that remove a filter."""
_HOURS = {"morning": (0, 12 * 60), "afternoon": (12 * 60, 17 * 60), "evening": (17 * 60, 24 * 60)}


class Search(BaseModel):
    """The filters of a search. ``None`` means any."""

    specialty: SearchText | None = None
    language: Language | None = None
    mode: VisitMode | None = None
    day: LocalDate | None = None
    part: Literal["morning", "afternoon", "evening"] | None = None
    after: Cursor | None = None

    @property
    def hours(self) -> WeeklyHours | None:
        """The part of the day as hours of each weekday; ``None`` for the whole day."""
        return {weekday: [_HOURS[self.part]] for weekday in range(7)} if self.part else None


@router.get("/")
async def search_slots(
    page: PublicPage, transaction: DbTransaction, search_time: SearchTime, now: Now, tasks: BackgroundTasks
) -> Response:
    """Show the earliest free times that match the filters."""
    form = Form(dict(page.request.query_params))
    await load_zones(page, transaction)
    specialties, languages = await doctors.list_specialties(transaction), await doctors.list_languages(transaction)
    shown: dict[str, Any] = {
        "clock_hint": _describe_clock(page),
        "specialties": fit(specialties, _weigh_suggestion, MAX_SUGGESTION_BYTES),
        "languages": _list_languages(page, form.value("language"), languages),
        "modes": [(each.value, page.formatter.mode(each)) for each in VisitMode],
    }
    try:
        wanted = form.read(Search)
        after = read_cursor(wanted.after, SEARCH_CURSOR)
        found = await search.search_slots(
            transaction,
            search_time,
            Criteria(specialty=wanted.specialty, language=wanted.language, mode=wanted.mode),
            # On the clock that is shown: the chosen one, else that of each doctor (ADR 0030).
            clock_filter=ClockFilter(page.zone, wanted.hours, wanted.day, page.zones)
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
    # After the response: a search is a GET, which cannot write, and must not wait for a lock (ADR 0022).
    save_bounds_after_response(tasks, page.resources.database, found.bound_updates)
    if not found.matches:
        empty = _explain_empty_result(page, wanted, found, specialties, languages)
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
    """Return the languages to choose from, sorted by name, including the chosen one.

    If there are too many for the page, those with the shortest tags are kept.
    """
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
    """Return the hint that names the time zone of the parts of the day; empty if there is only one."""
    if page.zone:
        return page.gettext("In the time zone of %(place)s.", place=page.formatter.place(page.zone))
    return page.gettext("In each doctor's own time zone.") if page.has_several_clocks else ""


type Group = tuple[OfferRecord, Sequence[Slot]]
"""A visit type of a doctor, and its free times."""


def _lay_out(page: Page, matches: Sequence[Match]) -> Mapping[date, Mapping[str, Sequence[Group]]]:
    """Group matches by day, part of the day, and doctor with visit type, each in the order of its first time."""
    days: dict[date, dict[str, dict[object, tuple[OfferRecord, list[Slot]]]]] = {}
    for match in matches:
        slot = Slot.of(match.visit)
        zone = page.clock_of(match.offer.doctor.time_zone)
        parts = days.setdefault(slot.start.astimezone(zone).date(), {})
        groups = parts.setdefault(part_of(slot.start, zone), {})
        groups.setdefault(match.offer.id, (match.offer, []))[1].append(slot)
    return {
        # Sorted again: in several zones the same instant belongs to different days and parts.
        day: {part: list(groups.values()) for part, groups in sorted(parts.items(), key=lambda each: _HOURS[each[0]])}
        for day, parts in sorted(days.items())
    }


@dataclass(frozen=True, slots=True)
class EmptyResult:
    """Why a search has no results, and what to try instead."""

    sentence: str
    dropped: Sequence[tuple[str, str]] = ()
    """For each filter, the address of the search without it, and the text of the link."""
    specialties: Sequence[tuple[str, str]] = ()
    """The addresses of the search with other specialties, if no doctor has the wanted one, and their names."""


def _explain_empty_result(
    page: Page, wanted: Search, found: SearchResult, specialties: Sequence[str], languages: Sequence[str]
) -> EmptyResult:
    """Return the reason: no doctors at all, or for a filter, the search was stopped, or there are no free times.

    ``specialties`` and ``languages`` are those of the listed doctors.
    """
    query = wanted.model_dump(mode="json", exclude_none=True)
    without = {name: {other: query[other] for other in query if other != name} for name in query}
    dropped = [
        (f"/?{urlencode(left)}" if left else "/", page.gettext(_REMOVAL_TEXTS[name])) for name, left in without.items()
    ]
    if not page.zones:
        return EmptyResult(page.gettext("No doctors can be booked here yet."))
    if missing := _explain_missing_doctors(page, wanted, query, specialties, languages):
        return replace(missing, dropped=dropped)
    start = max(to_instant(page.now), to_instant(datetime.combine(wanted.day or date.min, time(), UTC)))
    # With two days to spare, because the wanted day begins at another instant in each zone.
    if found.searched_until < start + MAX_LISTING - 2 * DAY:
        return EmptyResult(
            page.gettext("The search took too long and was stopped. Narrow it down, or try again."), dropped
        )
    if wanted.day:
        day = page.formatter.day(wanted.day)
        return EmptyResult(
            page.gettext("No free times in the two months from %(day)s match your filters.", day=day), dropped
        )
    if dropped:
        return EmptyResult(page.gettext("No free times in the next two months match your filters."), dropped)
    return EmptyResult(page.gettext("No doctor has any free times in the next two months."))


def _explain_missing_doctors(
    page: Page, wanted: Search, query: Mapping[str, str], specialties: Sequence[str], languages: Sequence[str]
) -> EmptyResult | None:
    """Return a message that no doctor has the specialty, or speaks the language; ``None`` if there are such doctors."""
    if wanted.specialty and search_key(wanted.specialty) not in map(search_key, specialties):
        sentence = page.gettext("No doctor here has this specialty: %(name)s.", name=isolate(wanted.specialty))
        others = _find_other_specialties(wanted.specialty, specialties)
        links = [(f"/?{urlencode({**query, 'specialty': name})}", name) for name in others]
        return EmptyResult(sentence, specialties=links)
    if wanted.language and wanted.language.casefold() not in languages:
        language = page.formatter.language(wanted.language)
        return EmptyResult(page.gettext("No doctor here speaks this language: %(language)s.", language=language))
    return None


def _find_other_specialties(wanted: str, specialties: Sequence[str]) -> Sequence[str]:
    """Return the specialties that are spelled or begin like the wanted one; if there are none, the first ones."""
    names = {search_key(name): name for name in fit(specialties, _weigh_suggestion, MAX_SUGGESTION_BYTES)}
    key = search_key(wanted)
    similar = [*get_close_matches(key, names, cutoff=_SIMILAR), *(each for each in names if key in each or each in key)]
    return [names[each] for each in dict.fromkeys(similar or names)][:MAX_OTHER_SPECIALTIES]


def _more(wanted: Search, shown: Sequence[Match]) -> str:
    start, tie_break, offer_id = shown[-1].cursor
    query = wanted.model_dump(mode="json", exclude_none=True)
    return f"/?{urlencode(query | {'after': write_cursor((from_instant(start), tie_break, offer_id), SEARCH_CURSOR)})}"
