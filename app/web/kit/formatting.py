"""Days, times and visits as text, in one place, so that they look the same on every page."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_interval, format_time, get_timezone_location

from app.core.phone_numbers import format_phone
from app.core.text import capitalize_first, isolate
from app.scheduling.intervals import to_instant
from app.scheduling.status import AppointmentStatus
from app.scheduling.visits import VisitMode
from app.scheduling.zones import day_of, day_span
from app.web.kit.languages import N_, translations

NAMED_UTC = ZoneInfo("Etc/UTC")
"""A zone whose name is always shown beside its times."""

_MINUTE, _A_DAY = timedelta(minutes=1), timedelta(days=1)
_MINUTES_OF_DAY = 1440
_SPACES = re.compile(r"\s")
_DASH = "\N{EN DASH}\N{WORD JOINER}"
"""The dash of a range. Without the joiner, a line could break after it."""
_PARTS = {"morning": N_("Morning"), "afternoon": N_("Afternoon"), "evening": N_("Evening")}
_STATUSES = {
    AppointmentStatus.PENDING: N_("Reserved for you"),
    AppointmentStatus.BOOKED: N_("Booked"),
    AppointmentStatus.ARRIVED: N_("Arrived"),
    AppointmentStatus.FULFILLED: N_("Completed"),
    AppointmentStatus.CANCELLED: N_("Cancelled"),
    AppointmentStatus.NOSHOW: N_("No-show"),
}
# The order matters: most browsers also name others in their User-Agent, so the first match is the right one.
_BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrom": "Chrome", "Safari": "Safari"}
_SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS": "macOS",
    "Linux": "Linux",
}
_MODES = {
    VisitMode.IN_PERSON: N_("In person"),
    VisitMode.VIDEO: N_("By video"),
    VisitMode.PHONE: N_("By phone"),
}


_MONTH_FIRST = {
    "EEEE d MMMM": "EEEE, MMMM d",
    "EEEE d MMMM y": "EEEE, MMMM d, y",
    "d MMM": "MMM d",
    "d MMM y": "MMM d, y",
}
"""English date patterns (CLDR) for countries that write the month first, like the United States."""

_REMOTE = frozenset({VisitMode.VIDEO, VisitMode.PHONE})


def is_clock_ambiguous(
    moment: datetime, there: ZoneInfo, *, chosen: ZoneInfo | None, zones: Iterable[ZoneInfo], mode: VisitMode | None
) -> bool:
    """Return whether the time zone must be named beside a time, because a reader could assume another one.

    ``there`` is the doctor's zone, ``chosen`` the visitor's, ``zones`` those of all doctors. A visit by video or
    phone always needs it, because doctor and patient may be in different zones. A clinic in one zone needs it for no
    other visits.
    """
    others = [chosen] if chosen else zones
    return mode in _REMOTE or any(
        moment.astimezone(other).utcoffset() != moment.astimezone(there).utcoffset() for other in others
    )


@dataclass(frozen=True, slots=True)
class Formatter:
    """Formats texts for a locale. ``today`` decides whether a date needs its year."""

    locale: Locale
    today: date

    def gettext(self, text: str, **values: object) -> str:
        """Return the translation of a text, with its placeholders filled."""
        found = translations(self.locale.language).gettext(text)
        return found % values if values else found

    def ngettext(self, one: str, many: str, number: int, **values: object) -> str:
        """Return the translation of a text with a plural form. The placeholder for the number is ``%(num)d``."""
        return translations(self.locale.language).ngettext(one, many, number) % {"num": number, **values}

    def day(self, day: date) -> str:
        """Tuesday 8 December; with the year if it is not this year."""
        # Translators: patterns of CLDR, https://cldr.unicode.org/translation/date-time/date-time-patterns
        pattern = self.gettext("EEEE d MMMM") if day.year == self.today.year else self.gettext("EEEE d MMMM y")
        return self._format(day, pattern)

    def full_day(self, day: date) -> str:
        """Tuesday 8 December 2026."""
        return self._format(day, self.gettext("EEEE d MMMM y"))

    def short_day(self, day: date) -> str:
        """8 Dec; with the year if it is not this year."""
        pattern = self.gettext("d MMM") if day.year == self.today.year else self.gettext("d MMM y")
        return self._format(day, pattern)

    def short_date(self, day: date) -> str:
        """9 Mar 2020."""
        return self._format(day, self.gettext("d MMM y"))

    def days(self, first: date, last: date) -> str:
        """7 Dec to 13 Dec with a dash, or a single day. Years are left out if both days are in this year."""
        if first == last:
            return self.short_day(first)
        without_year, with_year = self.gettext("d MMM"), self.gettext("d MMM y")
        crosses_years = first.year != last.year
        is_this_year = last.year == self.today.year
        return " \N{EN DASH} ".join(
            [
                self._format(first, with_year if crosses_years else without_year),
                self._format(last, with_year if crosses_years or not is_this_year else without_year),
            ]
        )

    def weekday(self, day: date) -> str:
        """Tue."""
        return self._format(day, "EEE")

    def clock(self, moment: datetime, zone: ZoneInfo) -> str:
        """10:30 or 10:30 AM, in a zone; with the abbreviation of the zone if the time is repeated that day."""
        shown = moment.astimezone(zone)
        # The offsets also differ for a time that is skipped, but no instant has such a wall time.
        is_shown_twice = shown.replace(fold=0).utcoffset() != shown.replace(fold=1).utcoffset()
        is_named = is_shown_twice or zone is NAMED_UTC
        time_of_day = self.time_of_day(_minutes_of(shown))
        return f"{time_of_day} {shown.tzname()}" if is_named else time_of_day

    def time_of_day(self, minutes: int) -> str:
        """10:30 for 630 minutes after midnight, or 10:30 AM where the country writes it so (CLDR)."""
        return _format_time(minutes, self.locale, "short")

    def hour(self, minutes: int) -> str:
        """10:00, or 10 AM, for a scale of hours."""
        return _format_time(
            minutes, self.locale, "h\N{NARROW NO-BREAK SPACE}a" if _has_12_hours(self.locale) else "short"
        )

    def hours(self, start: int, end: int) -> str:
        """10:30 to 11:00 with a dash, or 10:30 to 11:00 AM, from minutes after midnight."""
        if _has_12_hours(self.locale):
            return _format_interval(start, end, self.locale)
        return f"{self.time_of_day(start)}{_DASH}{self.time_of_day(end)}"

    def moment(self, moment: datetime, zone: ZoneInfo, place: str | None = None) -> str:
        """Tuesday 8 December, 10:30; with the ``place`` of the time zone if one is given."""
        text = f"{self.day(moment.astimezone(zone).date())}, {self.clock(moment, zone)}"
        return self.at_place(text, place)

    def span(self, start: datetime, end: datetime, zone: ZoneInfo, place: str | None = None) -> str:
        """10:30 to 11:00 with a dash; with the ``place`` of the zone if one is given. A whole day is "all day"."""
        if (to_instant(start), to_instant(end)) == day_span(start.astimezone(zone).date(), zone):
            return self.gettext("all day")
        first, last = self.clock(start, zone), self.clock(end, zone)
        edges = [_minutes_of(moment.astimezone(zone)) for moment in (start, end)]
        # A range can share AM or PM only if neither end needs the name of its zone.
        is_named = (first, last) != tuple(map(self.time_of_day, edges))
        return self.at_place(f"{first}{_DASH}{last}" if is_named else self.hours(*edges), place)

    def at_place(self, time: str, place: str | None) -> str:
        """10:30 (Berlin time); without a ``place``, the time alone."""
        return self.gettext("%(time)s (%(place)s time)", time=time, place=place) if place else time

    def time_left(self, until: datetime, now: datetime) -> str:
        """5 minutes: rounded up, and at least one."""
        return self.minutes(max(1, -((now - until) // _MINUTE)))

    def period(self, start: datetime, end: datetime, zone: ZoneInfo, *, all_day: bool = False) -> str:
        """A span within a day or across days, with times unless it consists of whole days.

        A single whole day is the day alone, or the day with "all day" if ``all_day``.
        """
        # An end is not part of its span, so one at midnight belongs to the day before.
        first, last = day_of(to_instant(start), zone), day_of(to_instant(end) - 1, zone)
        is_whole = (to_instant(start), to_instant(end)) == (day_span(first, zone)[0], day_span(last, zone)[1])
        if is_whole and (first != last or not all_day):
            return self.day(first) if first == last else f"{self.day(first)} \N{EN DASH} {self.day(last)}"
        if is_whole or end - start < _A_DAY:
            return f"{self.day(first)}, {self.span(start, end, zone)}"
        return f"{self.moment(start, zone)} \N{EN DASH} {self.moment(end, zone)}"

    def minutes(self, number: int) -> str:
        """30 minutes."""
        return self.ngettext("%(num)d minute", "%(num)d minutes", number)

    def visit(self, start: datetime, end: datetime, zone: ZoneInfo, doctor: str, place: str | None = None) -> str:
        """Tuesday 8 December, 10:30 to 11:00, 30 minutes, with Dr Amara Okafor.

        The ``place`` names the time zone where that is needed.
        """
        sentence = self.gettext(
            "%(day)s, %(span)s, %(length)s, with %(doctor)s",
            day=self.day(start.astimezone(zone).date()),
            span=self.span(start, end, zone, place),
            length=self.minutes((end - start) // _MINUTE),
            doctor=isolate(doctor),
        )
        return capitalize_first(sentence)

    def elsewhere(self, start: datetime, end: datetime, zone: ZoneInfo, there: ZoneInfo) -> str | None:
        """Return the span in the doctor's zone, with its place; ``None`` if both zones have the same local time."""
        here_shows, there_shows = start.astimezone(zone), start.astimezone(there)
        if here_shows.utcoffset() == there_shows.utcoffset():
            return None
        span = self.span(start, end, there, self.place(there))
        if here_shows.date() != there_shows.date():
            span = f"{self.day(there_shows.date())}, {span}"
        return span

    def place(self, zone: ZoneInfo) -> str:
        """Berlin, for Europe/Berlin."""
        return _place(zone.key, self.locale.language)

    def length(self, minutes: int) -> str:
        """30 minutes, 24 hours, 2 days: in the largest unit of which it is a whole number (days from two on)."""
        hours, days = minutes // 60, minutes // 1440
        if minutes % 1440 == 0 and days > 1:
            return self.ngettext("%(num)d day", "%(num)d days", days)
        if minutes % 60 == 0:
            return self.ngettext("%(num)d hour", "%(num)d hours", hours)
        return self.minutes(minutes)

    def status(self, status: AppointmentStatus) -> str:
        """Return the word for the status of an appointment."""
        return self.gettext(_STATUSES[status])

    def part(self, part: str) -> str:
        """Morning, afternoon or evening."""
        return self.gettext(_PARTS[part])

    def mode(self, mode: VisitMode) -> str:
        """In person, by video, or by phone."""
        return self.gettext(_MODES[mode])

    def phone(self, number: str) -> str:
        """+44 20 7183 8750, for a number in the format E.164."""
        return format_phone(number)

    def browser(self, user_agent: str) -> str:
        """Firefox (Linux): the name of a browser and its system, from a User-Agent."""
        for word, name in _BROWSERS.items():
            if word in user_agent:
                system = next((name for word, name in _SYSTEMS.items() if word in user_agent), None)
                return f"{name} ({system})" if system else name
        return self.gettext("Unknown browser")

    def language(self, tag: str) -> str:
        """Return the name of a language by its BCP 47 tag; the tag itself if the language is not known."""
        try:
            named = Locale.parse(tag, sep="-").get_display_name(self.locale)
        except (ValueError, UnknownLocaleError):
            named = None
        return capitalize_first(named) if named else tag

    def languages(self, tags: Iterable[str]) -> str:
        """Return the names of languages, separated by commas."""
        return ", ".join(map(self.language, tags))

    def _format(self, day: date, pattern: str) -> str:
        if _puts_month_first(self.locale):
            pattern = _MONTH_FIRST.get(pattern, pattern)
        return _format_date(day, pattern, str(self.locale))


def _minutes_of(moment: datetime) -> int:
    return moment.hour * 60 + moment.minute


def _time_at(minutes: int) -> time:
    hours, minutes = divmod(minutes, 60)
    return time(hours % 24, minutes)


def _has_12_hours(locale: Locale) -> bool:
    pattern: str = locale.time_formats["short"].pattern
    return "a" in pattern


def _puts_month_first(locale: Locale) -> bool:
    pattern: str = locale.date_formats["long"].pattern
    return pattern.index("M") < pattern.index("d")


@lru_cache(5000)
def _format_time(minutes: int, locale: Locale, pattern: str) -> str:
    return format_time(_time_at(minutes), pattern, locale=locale)


@lru_cache(5000)
def _format_interval(start: int, end: int, locale: Locale) -> str:
    # Only a range within a day can share AM or PM: 9:00 AM to midnight is not 9:00 to 12:00 AM.
    if start < end < _MINUTES_OF_DAY:
        text = format_interval(_time_at(start), _time_at(end), "hm", locale=locale)
    else:
        text = " \N{EN DASH} ".join(_format_time(edge, locale, "short") for edge in (start, end))
    return _SPACES.sub("\N{NARROW NO-BREAK SPACE}", text).replace("\N{EN DASH}", _DASH)


@lru_cache(2000)  # a page with a week of times formats the same seven days hundreds of times
def _format_date(day: date, pattern: str, locale: str) -> str:
    return format_date(day, pattern, locale=locale)


@lru_cache(2000)  # the list of time zones has all places, in one of three languages
def _place(zone: str, locale: str) -> str:
    city: str = get_timezone_location(zone, locale=locale, return_city=True)
    return city.rpartition("/")[2]  # for some zones, CLDR has no city and returns the name of the zone
