"""Lists that continue on another page."""

from collections.abc import Callable, Iterable, Sequence
from html import escape

from pydantic import TypeAdapter

from app.http.paging import write_cursor

MAX_LISTED = 15
"""The number of rows on a page: few enough to keep it light, though each row may have a form.

Queries fetch one row more, to find out whether the list continues.
"""


MAX_LIST_BYTES = 34 * 1024
"""The size of a list on a page. It ends earlier if texts are long, or have many characters that HTML escapes."""
MARKUP_BYTES = 600
"""The size of the markup of one row."""


def weigh_texts(texts: Iterable[str | None]) -> int:
    """Return how many bytes these texts take in a page."""
    return sum(len(escape(text).encode()) for text in texts if text)


def weigh_record(record: object) -> int:
    """Return the approximate bytes of a row, counting all fields of the record, shown or not."""
    return MARKUP_BYTES + weigh_texts([repr(record)])


def fit[Record](
    found: Sequence[Record], weigh: Callable[[Record], int], max_bytes: int = MAX_LIST_BYTES
) -> Sequence[Record]:
    """Return as many of the first records as fit on a page, and at least one."""
    weight = 0
    for number, record in enumerate(found):
        weight += weigh(record)
        if weight > max_bytes:
            # At least one, so that *Show more* always makes progress.
            return found[: max(number, 1)]
    return found


def cut_list[Record, Key](
    found: Sequence[Record], path: str, key_type: TypeAdapter[Key], key: Callable[[Record], Key]
) -> tuple[Sequence[Record], str | None]:
    """Return the rows to show, and the address of the next page, if there is one."""
    shown = fit(found[:MAX_LISTED], weigh_record)
    if len(found) == len(shown):
        return shown, None
    return shown, f"{path}?after={write_cursor(key(shown[-1]), key_type)}"
