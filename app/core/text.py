"""Text as people type it: what is refused, and the forms by which two spellings are the same."""

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

from confusable_homoglyphs.confusables import confusables_data

# Embeddings, overrides and isolates (UAX #9) can make a name read as another one (CVE-2021-42574).
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
DIRECTION_MARKS = frozenset("\u061c\u200e\u200f")
"""Invisible letters of one direction; Arabic and Hebrew keyboards have them, and people need them beside digits."""
LINE_BREAKS = frozenset("\n\t")
_NEWLINE = re.compile("\r\n|[\r\x85\u2028\u2029]")


def find_unsafe_character(text: str, *, allowed: frozenset[str] = frozenset()) -> str | None:
    """Names the first kind of character that has no place in a text a person reads, or ``None``.

    Control characters (NUL among them), lone surrogates, and bidirectional controls, unless they are ``allowed``.
    """
    for character in text:
        if character in allowed:
            continue
        if character in _BIDI_CONTROLS or character in DIRECTION_MARKS:
            return "a bidirectional control character"
        category = unicodedata.category(character)
        if category == "Cs":
            return "a lone surrogate"
        if category in {"Cc", "Zl", "Zp"}:
            return "a control character"
    return None


def normalize_newlines(text: str) -> str:
    """The text with a line feed for each of the newlines of other systems (Unicode, section 5.8)."""
    return _NEWLINE.sub("\n", text)


def isolate(text: str) -> str:
    """The text for use in a sentence that is written from left to right.

    A text with letters that are written from right to left is put between isolates (UAX #9), or it would change the
    order of what stands beside it.
    """
    if any(unicodedata.bidirectional(character) in {"R", "AL"} for character in text):
        return f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}"
    return text


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
