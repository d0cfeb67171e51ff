"""The languages of the pages: their catalogues, and the choice of a language for a browser."""

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
"""The name of each language in that language."""
CATALOGUES = Path(__file__).parents[1] / "locales"

_DEFAULT = {"en": "en_GB", "de": "de_DE", "es": "es_ES"}
"""The locale of each language if the browser names no country."""
_WANTED = re.compile(
    r"([a-zA-Z]{2,3}(?:-[a-zA-Z0-9]{2,8})*)(?:-[a-zA-Z0-9]-[a-zA-Z0-9-]+)?(?:;q=([01](?:\.\d{0,3})?))?"
)
"""A language range with its extensions, which are ignored, and its weight (RFC 9110 section 12.5.4)."""


def N_(text: str) -> str:  # noqa: N802 - the name by which extractors know it
    """Return the text unchanged. Marks a text for the catalogue that is translated later."""
    return text


@cache
def translations(language: str) -> NullTranslations:
    """Return the catalogue of a language, compiled in memory. English needs none: its texts are the message ids."""
    if language == "en":
        return NullTranslations()
    # Compiled here, so that pages need no build step (ADR 0024).
    with (CATALOGUES / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)


def choose_locale(chosen: str | None, accepted: str) -> Locale:
    """Return the chosen language, else the best one of ``Accept-Language`` (RFC 9110 section 12.5.4), else English.

    The country, which always comes from the header, decides on which day a week begins.
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
    """Return the country of the preferred language of ``Accept-Language``, if it names one."""
    wanted = _read_wanted(accepted)
    return wanted[0][1] if wanted else None


def _read_wanted(accepted: str) -> list[tuple[str, str | None]]:
    """Return the languages and countries of ``Accept-Language``, the preferred one first."""
    wanted = [
        match for part in accepted[:200].split(",") if (match := _WANTED.fullmatch(part.strip().replace(" ", "")))
    ]
    weights = {match[1]: float(match[2] or 1) for match in wanted}
    # A weight of 0 means that the language is not acceptable (RFC 9110 section 12.4.2).
    acceptable = sorted((tag for tag, weight in weights.items() if weight), key=lambda tag: -weights[tag])
    return [_split_tag(tag) for tag in acceptable]


def _split_tag(tag: str) -> tuple[str, str | None]:
    """Return the language and country of a tag, without script and variants: es and 419 for es-419."""
    try:
        language, country, *_ = parse_locale(tag, sep="-")
    except ValueError:
        return tag.partition("-")[0].lower(), None
    return language, country
