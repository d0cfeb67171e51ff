"""The languages that doctors can select, with their names in the reader's language."""

from collections.abc import Iterable
from functools import cache

from babel.core import get_global
from babel.localedata import exists

from app.core.text import search_key
from app.web.kit.formatting import Formatter

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


def list_languages(formatter: Formatter, chosen: Iterable[str]) -> list[tuple[str, str]]:
    """Return tags and names, sorted by name: the official languages of countries, and those that are ``chosen``."""
    named = [(tag, formatter.language(tag)) for tag in _list_official().union(chosen)]
    return sorted(named, key=lambda each: search_key(each[1]))
