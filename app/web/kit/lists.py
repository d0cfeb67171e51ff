"""Lists that go on on another page."""

from collections.abc import Callable, Iterable, Sequence
from html import escape

from pydantic import TypeAdapter

from app.http.paging import write_cursor

MAX_LISTED = 15
"""Few enough for a page to stay light, though each may have a form. One more is asked for, to see if there is more."""


MAX_LIST_BYTES = 33 * 1024
"""Of a list in a page: it ends earlier if texts are long, or full of what HTML escapes."""
MARKUP_BYTES = 600  # of one row


def weigh_texts(texts: Iterable[str | None]) -> int:
    """How many bytes these texts have in a page."""
    return sum(len(escape(text).encode()) for text in texts if text)


def weigh_record(record: object) -> int:
    """A rough weight of a row: of all that the record holds, whether it is shown or not."""
    return MARKUP_BYTES + weigh_texts([repr(record)])


def fit[Record](
    found: Sequence[Record], weigh: Callable[[Record], int], most_bytes: int = MAX_LIST_BYTES
) -> Sequence[Record]:
    """As many of the first records as a page has room for; at least one."""
    weight = 0
    for number, record in enumerate(found):
        weight += weigh(record)
        if weight > most_bytes:
            return found[: max(number, 1)]
    return found


def cut_list[Record, Key](
    found: Sequence[Record], path: str, key_type: TypeAdapter[Key], key: Callable[[Record], Key]
) -> tuple[Sequence[Record], str | None]:
    """What is shown of what was found, and the address of what comes after it, if there is more."""
    shown = fit(found[:MAX_LISTED], weigh_record)
    if len(found) == len(shown):
        return shown, None
    return shown, f"{path}?after={write_cursor(key(shown[-1]), key_type)}"
