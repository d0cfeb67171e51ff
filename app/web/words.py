"""How days, times and visits are said: in one place, so that a visit is called the same everywhere."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_datetime, get_timezone_location

from app.web.languages import translations

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Words:
    """A language, with the day on which it is spoken: a date of this year needs no year."""

    locale: Locale
    today: date

    def gettext(self, text: str, **values: object) -> str:
        """A text of the catalogue, with its gaps filled."""
        found = translations(self.locale.language).gettext(text)
        return found % values if values else found

    def ngettext(self, one: str, many: str, number: int, **values: object) -> str:
        """The same for a number of things; its gap is ``%(num)d``."""
        return translations(self.locale.language).ngettext(one, many, number) % {"num": number, **values}

    def day(self, day: date) -> str:
        """Tuesday 8 December; with its year if that is another one."""
        # Translators: patterns of CLDR, https://cldr.unicode.org/translation/date-time/date-time-patterns
        pattern = self.gettext("EEEE d MMMM") if day.year == self.today.year else self.gettext("EEEE d MMMM y")
        return self._format(day, pattern)

    def short_day(self, day: date) -> str:
        """8 Dec; with its year if that is another one."""
        pattern = self.gettext("d MMM") if day.year == self.today.year else self.gettext("d MMM y")
        return self._format(day, pattern)

    def weekday(self, day: date) -> str:
        """Tue."""
        return self._format(day, "EEE")

    def clock(self, moment: datetime, zone: ZoneInfo) -> str:
        """10:30, on the clock of a zone."""
        return self._format(moment.astimezone(zone), "HH:mm")

    def moment(self, moment: datetime, zone: ZoneInfo) -> str:
        """Tuesday 8 December, 10:30."""
        return f"{self.day(moment.astimezone(zone).date())}, {self.clock(moment, zone)}"

    def span(self, start: datetime, end: datetime, zone: ZoneInfo) -> str:
        """10:30 to 11:00, as figures."""
        return f"{self.clock(start, zone)}\N{EN DASH}{self.clock(end, zone)}"

    def minutes(self, number: int) -> str:
        """30 minutes."""
        return self.ngettext("%(num)d minute", "%(num)d minutes", number)

    def visit(self, start: datetime, end: datetime, zone: ZoneInfo, doctor: str) -> str:
        """The one sentence for a visit: Tuesday 8 December, 10:30 to 11:00, 30 minutes, with Dr Amara Okafor."""
        return self.gettext(
            "%(day)s, %(span)s, %(length)s, with %(doctor)s",
            day=self.day(start.astimezone(zone).date()),
            span=self.span(start, end, zone),
            length=self.minutes((end - start) // _MINUTE),
            doctor=doctor,
        )

    def elsewhere(self, start: datetime, end: datetime, zone: ZoneInfo, there: ZoneInfo) -> str | None:
        """The same time on the doctor's clock, with her place; ``None`` where both clocks show the same."""
        here_shows, there_shows = start.astimezone(zone), start.astimezone(there)
        if here_shows.utcoffset() == there_shows.utcoffset():
            return None
        span = self.span(start, end, there)
        if here_shows.date() != there_shows.date():
            span = f"{self.day(there_shows.date())}, {span}"
        return self.gettext("%(span)s in %(place)s", span=span, place=self.place(there))

    def place(self, zone: ZoneInfo) -> str:
        """Berlin, for Europe/Berlin."""
        return get_timezone_location(zone.key, locale=self.locale, return_city=True)

    def _format(self, moment: date, pattern: str) -> str:
        at = moment.replace(tzinfo=None) if isinstance(moment, datetime) else datetime(*moment.timetuple()[:3])  # noqa: DTZ001 - wall time
        return format_datetime(at, pattern, locale=self.locale)
