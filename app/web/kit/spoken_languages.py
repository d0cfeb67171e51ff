"""The languages that doctors can select, with their names in the reader's language."""

from collections.abc import Iterable
from functools import cache

from babel import Locale
from babel.core import get_global
from babel.localedata import exists

from app.core.text import search_key
from app.web.kit.formatting import Formatter
from app.web.kit.languages import LANGUAGES

_OFFICIAL = frozenset({"official", "de_facto_official"})
_ISO_639_1_LENGTH = 2


@cache
def _list_official() -> frozenset[str]:
    """Return the languages with a two-letter code that are official in a country (CLDR)."""
    return frozenset(
        tag
        for languages in get_global("territory_languages").values()
        for tag, facts in languages.items()
        if len(tag) == _ISO_639_1_LENGTH and facts["official_status"] in _OFFICIAL and exists(tag)
    )


@cache
def _list_other() -> frozenset[str]:
    """Return the other languages that are used in a country (CLDR) and have a name in all languages of the pages.

    Of those with three letters, only the ones that Babel has data for: all of them would make the page too large.
    """
    used = {tag for languages in get_global("territory_languages").values() for tag in languages}
    named = used.intersection(*(Locale(each).languages for each in LANGUAGES))
    kept = (tag for tag in named if "_" not in tag and (len(tag) == _ISO_639_1_LENGTH or exists(tag)))
    return frozenset(kept) - _list_official()


def list_languages(formatter: Formatter, chosen: Iterable[str]) -> list[tuple[str, str]]:
    """Return tags and names, sorted by name: the official languages of countries, and those that are ``chosen``."""
    return _name(formatter, _list_official().union(chosen))


def list_other_languages(formatter: Formatter, chosen: Iterable[str]) -> list[tuple[str, str]]:
    """Return tags and names of the languages that ``list_languages`` leaves out, sorted by name."""
    return _name(formatter, _list_other().difference(chosen))


def _name(formatter: Formatter, tags: Iterable[str]) -> list[tuple[str, str]]:
    named = [(tag, formatter.language(tag)) for tag in tags]
    return sorted(named, key=lambda each: search_key(each[1]))
