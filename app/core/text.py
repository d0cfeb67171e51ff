"""Text as people type it: what is refused, and the forms by which two spellings are the same."""

import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

from confusable_homoglyphs.confusables import confusables_data

# Bidirectional controls can make a name read as another one (CVE-2021-42574).
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_BREAKS = frozenset("\n\t")


def find_unsafe_character(text: str, *, multiline: bool = False) -> str | None:
    """Names the first kind of character that has no place in a text a person reads, or ``None``.

    Control characters (NUL among them; line feed and tab are allowed if ``multiline``), lone surrogates,
    and bidirectional controls.
    """
    for character in text:
        if character in _BIDI_CONTROLS:
            return "a bidirectional control character"
        category = unicodedata.category(character)
        if category == "Cs":
            return "a lone surrogate"
        if category in {"Cc", "Zl", "Zp"} and not (multiline and character in _LINE_BREAKS):
            return "a control character"
    return None


def _latin_look_alikes() -> Mapping[int, str]:
    """Letters beyond ASCII that look like one ASCII letter, by the data of Unicode TS 39."""
    found = {}
    for character, looks in confusables_data.items():
        if len(character) == 1 and not character.isascii():
            latin = [look["c"] for look in looks if len(look["c"]) == 1 and look["c"].isascii() and look["c"].isalpha()]
            if latin:
                # The data calls every upright stroke an l; as a capital it is read as an I.
                found[ord(character)] = "i" if character.isupper() and "l" in latin else min(latin).casefold()
    found[ord("\N{CYRILLIC SMALL LETTER PALOCHKA}")] = "l"  # an i in the data, but it has no dot
    return MappingProxyType(found)


_LOOK_ALIKES = _latin_look_alikes()


def canonical_email(address: str) -> str:
    """The form under which an address is unique: compatibility forms, case and look-alike letters folded away.

    ASCII letters and digits are never confused with each other: ``ann1`` and ``annl`` are two people. Only for
    comparing; mail goes to the address as it was registered, or a twin could receive somebody's reset token.
    """
    # Folding one thing can uncover another, so until nothing changes. Look-alikes before the case: some capitals look
    # like Latin ones while their small letters do not.
    while (form := unicodedata.normalize("NFKC", address).translate(_LOOK_ALIKES).casefold().strip(" .")) != address:
        address = form
    return address


def search_key(text: str) -> str:
    """The form in which names are searched: without case, accents and doubled spaces; at most 200 characters."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).casefold().split())[:200]
