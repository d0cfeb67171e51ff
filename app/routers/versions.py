"""Versions of an appointment as entity tags (RFC 9110 sections 8.8.3 and 13.1.1)."""

import re
from typing import Annotated

from fastapi import Depends, Header, Response

from app.repositories.appointments import AppointmentRecord

ETAG_HEADER = {
    "ETag": {
        "description": "The version, to be sent back in `If-Match`.",
        "schema": {"type": "string"},
        "example": '"1"',
    }
}
_TAG = re.compile(r'"(\d{1,9})"')


async def read_if_match(
    if_match: Annotated[
        str | None,
        Header(
            max_length=1000,
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
