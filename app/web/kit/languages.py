"""The languages of the pages: the catalogues, and which one a browser asks for."""

import re
from functools import cache
from io import BytesIO
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.core import parse_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

LANGUAGES = {"en": "English", "de": "Deutsch", "es": "Espa\N{LATIN SMALL LETTER N WITH TILDE}ol"}
"""Each with its own name for itself."""
CATALOGUES = Path(__file__).parents[1] / "locales"

_DEFAULT = {"en": "en_GB", "de": "de_DE", "es": "es_ES"}
"""Where nobody says of which country."""
_WANTED = re.compile(
    r"([a-zA-Z]{2,3}(?:-[a-zA-Z0-9]{2,8})*)(?:-[a-zA-Z0-9]-[a-zA-Z0-9-]+)?(?:;q=([01](?:\.\d{0,3})?))?"
)
"""A language range, its extensions, and its weight."""


def N_(text: str) -> str:  # noqa: N802 - the name by which extractors know it
    """The text itself: marks it for the catalogue where it is looked up later."""
    return text


@cache
def translations(language: str) -> NullTranslations:
    """The catalogue of a language, compiled in memory; the texts in the code are the English one."""
    if language == "en":
        return NullTranslations()
    with (CATALOGUES / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)


def choose_locale(chosen: str | None, accepted: str) -> Locale:
    """The language that was chosen, else the best of an ``Accept-Language`` (RFC 9110 section 12.5.4), else English.

    Its country decides on which day a week begins; it may be named by the header alone.
    """
    wanted = _read_wanted(accepted)
    known = [(language, country) for language, country in wanted if language in LANGUAGES]
    language = chosen if chosen in LANGUAGES else known[0][0] if known else "en"
    country = next((country for named, country in known if named == language and country), None)
    try:
        return Locale(language, country.upper()) if country else Locale.parse(_DEFAULT[language])
    except UnknownLocaleError:
        return Locale.parse(_DEFAULT[language])


def find_country(accepted: str) -> str | None:
    """The country that goes with the preferred language of an ``Accept-Language``, if it has one."""
    wanted = _read_wanted(accepted)
    return wanted[0][1] if wanted else None


def _read_wanted(accepted: str) -> list[tuple[str, str | None]]:
    """The languages and countries of an ``Accept-Language``, the best first."""
    wanted = [
        match for part in accepted[:200].split(",") if (match := _WANTED.fullmatch(part.strip().replace(" ", "")))
    ]
    weights = {match[1]: float(match[2] or 1) for match in wanted}
    acceptable = sorted((tag for tag, weight in weights.items() if weight), key=lambda tag: -weights[tag])
    return [_split_tag(tag) for tag in acceptable]


def _split_tag(tag: str) -> tuple[str, str | None]:
    """Language and country of a tag, without script and variants: es and 419 for es-419."""
    try:
        language, country, *_ = parse_locale(tag, sep="-")
    except ValueError:
        return tag.partition("-")[0].lower(), None
    return language, country
