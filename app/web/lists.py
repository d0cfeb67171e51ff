"""Lists that go on on another page."""

from collections.abc import Callable, Sequence

from pydantic import TypeAdapter

from app.routers.paging import write_cursor

MOST_LISTED = 15
"""Few enough for a page to stay light, though each may have a form. One more is asked for, to see if there is more."""


def cut_list[Record, Key](
    found: Sequence[Record], path: str, key_type: TypeAdapter[Key], key: Callable[[Record], Key]
) -> tuple[Sequence[Record], str | None]:
    """What is shown of what was found, and the address of what comes after it, if there is more."""
    shown = found[:MOST_LISTED]
    if len(found) == len(shown):
        return shown, None
    return shown, f"{path}?after={write_cursor(key(shown[-1]), key_type)}"
