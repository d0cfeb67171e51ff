"""Text that people type: unsafe characters, and canonical forms for comparing and searching."""

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

from confusable_homoglyphs.confusables import confusables_data

# Embeddings, overrides and isolates (UAX #9) can make a name read as another one (CVE-2021-42574).
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
DIRECTION_MARKS = frozenset("\u061c\u200e\u200f")
"""Invisible direction marks. Arabic and Hebrew keyboards have them, because people need them beside digits."""
LINE_BREAKS = frozenset("\n\t")
_NEWLINE = re.compile("\r\n|[\r\x85\u2028\u2029]")


def find_unsafe_character(text: str, *, allowed: frozenset[str] = frozenset()) -> str | None:
    """Return a description of the first unsafe character, or ``None``.

    Control characters (including NUL), lone surrogates and bidirectional controls are unsafe, unless ``allowed``.
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
    """Return the text with the newlines of all systems replaced by line feeds (Unicode, section 5.8)."""
    return _NEWLINE.sub("\n", text)


def capitalize_first(text: str) -> str:
    """Return the text with a capital at its start, for the beginning of a heading, a cell or a line.

    Some languages, like Spanish, write the names of days and languages in lower case elsewhere.
    """
    return text[:1].upper() + text[1:]


def isolate(text: str) -> str:
    """Return the text for use in a sentence that is written from left to right.

    A text with right-to-left letters is enclosed in isolates (UAX #9). Otherwise it would change the order of the text
    beside it.
    """
    if any(unicodedata.bidirectional(character) in {"R", "AL"} for character in text):
        return f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}"
    return text


def _latin_look_alikes() -> Mapping[int, str]:
    """Return the non-ASCII letters that look like one ASCII letter, from the data of Unicode TS 39."""
    found = {}
    for character, looks in confusables_data.items():
        if len(character) == 1 and not character.isascii():
            latin = [look["c"] for look in looks if len(look["c"]) == 1 and look["c"].isascii() and look["c"].isalpha()]
            if latin:
                # The data map every vertical stroke to l, but a capital letter that is a vertical stroke is read as I.
                found[ord(character)] = "i" if character.isupper() and "l" in latin else min(latin).casefold()
    found[ord("\N{CYRILLIC SMALL LETTER PALOCHKA}")] = "l"  # the data say i, but this letter has no dot
    return MappingProxyType(found)


_LOOK_ALIKES = _latin_look_alikes()


def canonical_email(address: str) -> str:
    """Return the form under which an address is unique: compatibility forms, case and look-alike letters are folded.

    ASCII letters and digits are not folded into each other: ``ann1`` and ``annl`` are two people. Use it only to
    compare. Mail must go to the address as it was registered: the owner of a look-alike address could otherwise receive
    the reset token.
    """
    # One folding can make another one possible, so repeat until nothing changes. Fold look-alikes before the case: some
    # capitals look like Latin ones although their small letters do not.
    while (form := unicodedata.normalize("NFKC", address).translate(_LOOK_ALIKES).casefold().strip(" .")) != address:
        address = form
    return address


# Letters that Unicode does not decompose, and how people type them on a keyboard without them. Transliteration
# libraries are no alternative: the keys are stored, and the libraries change from release to release. They also convert
# all scripts, with losses.
_PLAIN_LETTERS = {
    "\N{LATIN SMALL LETTER L WITH STROKE}": "l",
    "\N{LATIN SMALL LETTER O WITH STROKE}": "o",
    "\N{LATIN SMALL LETTER D WITH STROKE}": "d",
    "\N{LATIN SMALL LETTER ETH}": "d",
    "\N{LATIN SMALL LETTER THORN}": "th",
    "\N{LATIN SMALL LETTER SHARP S}": "ss",
    "\N{LATIN SMALL LETTER AE}": "ae",
    "\N{LATIN SMALL LIGATURE OE}": "oe",
    "\N{LATIN SMALL LETTER DOTLESS I}": "i",
    "\N{LATIN SMALL LETTER H WITH STROKE}": "h",
    "\N{LATIN SMALL LETTER T WITH STROKE}": "t",
    "\N{LATIN SMALL LETTER ENG}": "n",
    "\N{LATIN SMALL LETTER KRA}": "k",
    "\N{LATIN SMALL LETTER SCHWA}": "e",
    "\N{LATIN SMALL LETTER B WITH HOOK}": "b",
    "\N{LATIN SMALL LETTER D WITH HOOK}": "d",
    "\N{LATIN SMALL LETTER K WITH HOOK}": "k",
    "\N{LATIN SMALL LETTER Y WITH HOOK}": "y",
}
# Apostrophes, the characters that people type instead, and the dot of the Catalan l: "obrien" finds O'Brien.
_JOINERS = (
    "'`\u00b4\u00b7\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u02ca\u02cb"
    "\u2018\u2019\u201a\u201b\u2032\u2035\ua78c\uff07"
)
# Invisible characters that the Unicode category does not identify as such: fillers, variation selectors.
_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
_FOLDED: Mapping[int, str] = MappingProxyType(
    str.maketrans(_PLAIN_LETTERS)
    | dict.fromkeys(map(ord, _JOINERS + _INVISIBLE), "")
    | dict.fromkeys([*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)], "")
)


def mask_email(address: str) -> str:
    """Return an address with only the first character of its name and of its domain, and the top-level domain.

    Its owner recognises it, but nobody else can write to it: ``a…@e….com``.
    """
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}…@{domain[:1]}….{domain.rpartition('.')[2]}"


def look_alike_key(text: str) -> str:
    """Return the form under which a name is unique, at most 200 characters.

    It is folded like an address, without invisible characters and repeated spaces.
    """
    visible = "".join(character for character in text if unicodedata.category(character) != "Cf")
    return " ".join(canonical_email(" ".join(visible.split())).split())[:200]


def search_key(text: str) -> str:
    """Return the form in which names are searched: words in lower case, separated by one space, at most 200 characters.

    Accents, apostrophes and invisible characters are dropped, letters that do not decompose are replaced by plain ones,
    and dashes, commas and full stops separate words. Stored keys must be rebuilt by a migration if this changes.
    """
    # Translate before decomposing, which turns some apostrophes into a space and an accent, and again afterwards,
    # because decomposing yields new apostrophes and letters.
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_FOLDED))
    folded = "".join(map(_fold_mark, decomposed)).casefold().translate(_FOLDED)
    return " ".join(folded.split())[:200].rstrip()


def _fold_mark(character: str) -> str:
    category = unicodedata.category(character)
    if unicodedata.combining(character) or category == "Cf":
        return ""
    return " " if category == "Pd" or character in ",." else character


def search_words(text: str) -> list[str]:
    """Return the distinct words of the search key of ``text``, the longest first."""
    return sorted(set(search_key(text).split()), key=lambda word: (-len(word), word))
