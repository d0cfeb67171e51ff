"""Code that several migrations share: search keys as the application computed them then, and reading rows in batches.

Applied migrations must not change, so this module must not change either. If the application computes keys in another
way, a new migration with its own code must rebuild them.

``LOOK_ALIKES`` is computed from the installed ``confusable_homoglyphs``. ``tests/migrations/test_frozen.py`` fails if
it changes.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from confusable_homoglyphs.confusables import confusables_data

BATCH = 1000

PLAIN_LETTERS = {
    "\u0142": "l",
    "\u00f8": "o",
    "\u0111": "d",
    "\u00f0": "d",
    "\u00fe": "th",
    "\u00df": "ss",
    "\u00e6": "ae",
    "\u0153": "oe",
    "\u0131": "i",
    "\u0127": "h",
    "\u0167": "t",
    "\u014b": "n",
    "\u0138": "k",
    "\u0259": "e",
    "\u0253": "b",
    "\u0257": "d",
    "\u0199": "k",
    "\u01b4": "y",
}
JOINERS = (
    "'`\u00b4\u00b7\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u02ca\u02cb"
    "\u2018\u2019\u201a\u201b\u2032\u2035\ua78c\uff07"
)
INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
FOLDED: dict[int, str] = (
    str.maketrans(PLAIN_LETTERS)
    | dict.fromkeys(map(ord, JOINERS + INVISIBLE), "")
    | dict.fromkeys([*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)], "")
)


def batches(query: sa.Select[Any], key: sa.ColumnElement[Any]) -> Iterator[Sequence[Any]]:
    """Yield the rows of a query in the order of a unique key, with at most ``BATCH`` of them in memory.

    The key must be the first column of the query.
    """
    page = query.order_by(key).limit(BATCH)
    rows = op.get_bind().execute(page).all()
    while rows:
        yield rows
        rows = op.get_bind().execute(page.where(key > rows[-1][0])).all()


def search_key(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(FOLDED))
    folded = "".join(map(fold_mark, decomposed)).casefold().translate(FOLDED)
    return " ".join(folded.split())[:200].rstrip()


def fold_mark(character: str) -> str:
    category = unicodedata.category(character)
    if unicodedata.combining(character) or category == "Cf":
        return ""
    return " " if category == "Pd" or character in ",." else character


def look_alike_key(text: str) -> str:
    visible = "".join(character for character in text if unicodedata.category(character) != "Cf")
    return " ".join(canonical_form(" ".join(visible.split())).split())[:200]


def canonical_form(text: str) -> str:
    while (form := unicodedata.normalize("NFKC", text).translate(LOOK_ALIKES).casefold().strip(" .")) != text:
        text = form
    return text


def latin_look_alikes() -> dict[int, str]:
    found = {}
    for character, looks in confusables_data.items():
        if len(character) == 1 and not character.isascii():
            latin = [look["c"] for look in looks if len(look["c"]) == 1 and look["c"].isascii() and look["c"].isalpha()]
            if latin:
                found[ord(character)] = "i" if character.isupper() and "l" in latin else min(latin).casefold()
    found[ord("\N{CYRILLIC SMALL LETTER PALOCHKA}")] = "l"
    return found


LOOK_ALIKES = latin_look_alikes()
