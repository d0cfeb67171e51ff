"""Versions as entity tags (RFC 9110 sections 8.8.3 and 13.1.1)."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Header, Response

from app.core.versions import content_version
from app.repositories.appointments import AppointmentRecord

ETAG_HEADER = {
    "ETag": {
        "description": "The version. Send it in `If-Match` to change only this version.",
        "schema": {"type": "string"},
        "example": '"1"',
    }
}
# A strong tag. Weak ones (W/"1") never match in If-Match, and more digits would not fit into the database's integer.
_TAG = re.compile(r'"(\d{1,9})"')
_CONTENT_TAG = re.compile(r'"([0-9a-f-]{1,800})"')


async def read_if_match(
    if_match: Annotated[
        str | None,
        Header(
            max_length=2000,
            description="Make the change only if the appointment still has this `ETag`. Otherwise nothing is changed "
            "and the response is 412.",
            examples=['"1"'],
        ),
    ] = None,
) -> frozenset[int] | None:
    """Return the versions that ``If-Match`` names, or ``None`` for any version. Malformed tags match no version."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = (_TAG.fullmatch(tag.strip()) for tag in if_match.split(","))
    return frozenset(int(tag[1]) for tag in tags if tag)


IfMatch = Annotated[frozenset[int] | None, Depends(read_if_match)]


def tag_appointment(response: Response, appointment: AppointmentRecord) -> AppointmentRecord:
    """Set the ``ETag`` of the response to the version of the appointment. Return the appointment."""
    response.headers["ETag"] = f'"{appointment.version}"'
    return appointment


async def read_content_tags(
    if_match: Annotated[
        str | None,
        Header(
            max_length=2000,
            description="Make the change only if the resource still has this `ETag`. Otherwise nothing is changed and "
            "the response is 412.",
            examples=['"0a1b2c3d-4e5f6071"'],
        ),
    ] = None,
) -> frozenset[str] | None:
    """Return the content versions that ``If-Match`` names, or ``None`` for any. Malformed tags match no version."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = (_CONTENT_TAG.fullmatch(tag.strip()) for tag in if_match.split(","))
    return frozenset(tag[1] for tag in tags if tag)


IfContentMatch = Annotated[frozenset[str] | None, Depends(read_content_tags)]


def tag_content(response: Response, content: Mapping[str, Any]) -> None:
    """Set the ``ETag`` of the response to the version of ``content``."""
    response.headers["ETag"] = f'"{content_version(content)}"'
