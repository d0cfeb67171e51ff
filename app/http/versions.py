"""Versions as entity tags (RFC 9110 sections 8.8.3 and 13.1.1)."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Header, Response

from app.core.versions import content_version
from app.repositories.appointments import AppointmentRecord

ETAG_HEADER = {
    "ETag": {
        "description": "The version, to be sent back in `If-Match`.",
        "schema": {"type": "string"},
        "example": '"1"',
    }
}
_TAG = re.compile(r'"(\d{1,9})"')
_CONTENT_TAG = re.compile(r'"([0-9a-f-]{1,800})"')


async def read_if_match(
    if_match: Annotated[
        str | None,
        Header(
            max_length=2000,
            description="Only if the appointment still has this `ETag`; otherwise nothing happens, and 412 says so.",
            examples=['"1"'],
        ),
    ] = None,
) -> frozenset[int] | None:
    """The versions that the caller would change; ``None`` for whichever there is. A tag that is not ours is none."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = (_TAG.fullmatch(tag.strip()) for tag in if_match.split(","))
    return frozenset(int(tag[1]) for tag in tags if tag)


IfMatch = Annotated[frozenset[int] | None, Depends(read_if_match)]


def tagged(response: Response, appointment: AppointmentRecord) -> AppointmentRecord:
    """The appointment, after its version was written on the response."""
    response.headers["ETag"] = f'"{appointment.version}"'
    return appointment


async def read_content_tags(
    if_match: Annotated[
        str | None,
        Header(
            max_length=2000,
            description="Only if what is changed still has this `ETag`; otherwise nothing happens, and 412 says so.",
            examples=['"0a1b2c3d-4e5f6071"'],
        ),
    ] = None,
) -> frozenset[str] | None:
    """The versions of some content that the caller would change; ``None`` for any. A tag that is not ours is none."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = (_CONTENT_TAG.fullmatch(tag.strip()) for tag in if_match.split(","))
    return frozenset(tag[1] for tag in tags if tag)


IfContentMatch = Annotated[frozenset[str] | None, Depends(read_content_tags)]


def tag_content(response: Response, content: Mapping[str, Any]) -> None:
    """Writes the version of what is answered on the response."""
    response.headers["ETag"] = f'"{content_version(content)}"'
