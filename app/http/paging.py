"""Paging of lists: an opaque cursor, and a ``Link`` header to the next page (RFC 8288)."""

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated
from urllib.parse import quote, urlencode
from uuid import UUID

from fastapi import Request, Response
from pydantic import AwareDatetime, Field, TypeAdapter

from app.core.errors import invalid_field
from app.repositories.appointments import PageKey
from app.scheduling.intervals import from_instant
from app.scheduling.tie_break import RING_SIZE
from app.schemas.fields import Instant

LINK_HEADER = {
    "Link": {
        "description": 'The next page, if there is one: `<…>; rel="next"`.',
        "schema": {"type": "string"},
    }
}

SEARCHED_UNTIL = "Searched-Until"
SEARCHED_UNTIL_HEADER = {
    SEARCHED_UNTIL: {
        "description": "The search is complete up to this time: everything that starts earlier is on this page or on "
        "an earlier one.",
        "schema": {"type": "string", "format": "date-time"},
    }
}

APPOINTMENT_CURSOR = TypeAdapter(tuple[Instant, bool, Instant, UUID])
SEARCH_CURSOR = TypeAdapter(tuple[AwareDatetime, Annotated[int, Field(ge=0, lt=RING_SIZE)], UUID])


def write_instant(instant: int) -> str:
    """Format an instant for headers and links: ISO 8601 in UTC, with ``Z``."""
    return from_instant(instant).isoformat().replace("+00:00", "Z")


def read_cursor[Key](cursor: str | None, key_type: TypeAdapter[Key]) -> Key | None:
    """Return the key in a cursor, or ``None`` without one. Raises ``invalid_request`` if the cursor is malformed."""
    if cursor is None:
        return None
    try:
        # Cursors have no padding, because = would be quoted in URLs. The decoder ignores more padding than it needs.
        return key_type.validate_json(base64.urlsafe_b64decode(cursor.encode() + b"=="))
    except ValueError:  # pydantic's ValidationError is a ValueError, too
        raise invalid_field("cursor", "cursor") from None


def read_appointment_cursor(cursor: str | None, now: datetime) -> tuple[PageKey | None, datetime]:
    """Return the position in a list of appointments (``None`` for the first page), and the time of its first page.

    The first page decides what is upcoming. Otherwise appointments would move from upcoming to past between two pages.
    """
    if (position := read_cursor(cursor, APPOINTMENT_CURSOR)) is None:
        return None, now
    after = PageKey(*position)
    return after, after.as_of


def cut_page[Record, Key](
    request: Request,
    response: Response,
    records: Sequence[Record],
    *,
    limit: int,
    key_type: TypeAdapter[Key],
    key: Callable[[Record], Key],
) -> Sequence[Record]:
    """Return the first ``limit`` of the records. If there are more, link the response to the next page."""
    if len(records) > limit:
        link_to_cursor(request, response, key(records[limit - 1]), key_type)
    return records[:limit]


def link_to_cursor[Key](request: Request, response: Response, key: Key, key_type: TypeAdapter[Key]) -> None:
    """Link the response to the page after ``key``."""
    link_to(request, response, {"cursor": write_cursor(key, key_type)})


def write_cursor[Key](key: Key, key_type: TypeAdapter[Key]) -> str:
    """Return a cursor that ``read_cursor`` can read."""
    return base64.urlsafe_b64encode(key_type.dump_json(key)).decode().rstrip("=")


def link_to(request: Request, response: Response, changes: Mapping[str, str]) -> None:
    """Link the response to the next page: the same request, with the parameters in ``changes`` replaced."""
    query = [(name, value) for name, value in request.query_params.multi_items() if name not in changes]
    # The link is relative to this host, because the client chooses the Host header.
    path = quote(request.scope["path"])
    response.headers["Link"] = f'<{path}?{urlencode([*query, *changes.items()])}>; rel="next"'
