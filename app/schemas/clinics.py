"""Requests and responses for clinics, their members and their invitations."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

import phonenumbers
from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from app.core.clinic_permissions import MemberRole, OnlineBooking
from app.schemas.fields import (
    AMARA,
    ANN,
    EXAMPLE_TOKEN,
    Body,
    Changes,
    Email,
    Language,
    LocalDate,
    Name,
    ResponseBody,
    TimeZone,
    absent,
    example,
    field_error,
)

CLINIC = "019abcde-f012-78ab-89ab-ef0123456789"
EXAMPLE: dict[str, Any] = {
    "name": "Skin and More, Dr Okafor and Colleagues",
    "public_name": "Okafor and Colleagues",
    "time_zone": "America/New_York",
    "country": "US",
    "locale": "en",
}
INVITATION: dict[str, Any] = {
    "id": ANN,
    "email": "bea@example.com",
    "role": "receptionist",
    "valid_until": None,
    "created_at": "2026-12-01T08:00:00Z",
    "expires_at": "2026-12-08T08:00:00Z",
}


def _find_country(code: str) -> str:
    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise field_error("unknown_country")
    return code


Country = Annotated[
    str,
    StringConstraints(to_upper=True, min_length=2, max_length=2),
    AfterValidator(_find_country),
    WithJsonSchema({"type": "string", "minLength": 2, "maxLength": 2, "examples": ["US"]}),
]
"""The ISO 3166-1 code of a country, in any letter case."""


class NewClinic(Body):
    """A new clinic."""

    name: Name
    public_name: Name | None = Field(
        None, description="The name in messages to patients, which need not reveal a specialty. Default: `name`."
    )
    time_zone: TimeZone
    country: Country = Field(description="The country whose telephone numbers need no country code.")
    locale: Language = Field("en", description="The language of messages to patients who have chosen none.")
    manager_email: Email | None = Field(
        None, description="Who is invited as the first manager. Required from administrators, and only from them."
    )

    model_config = example(**EXAMPLE, manager_email="bea@example.com")


class ClinicChanges(Changes):
    """Fields of a clinic to change."""

    name: Name = absent()
    public_name: Name = absent()
    time_zone: TimeZone = absent()
    country: Country = absent()
    locale: Language = absent()
    booking: OnlineBooking = absent(description="Who may book online.")
    desk_may_overbook: bool = absent(description="Whether receptionists, too, may book a time that is taken.")

    model_config = example(public_name="Okafor and Colleagues", booking="known")


class Clinic(ResponseBody):
    """A clinic, as its members see it."""

    id: UUID
    name: str
    public_name: str
    time_zone: str
    country: str
    locale: str
    booking: OnlineBooking
    desk_may_overbook: bool
    created_at: datetime

    model_config = example(
        id=CLINIC, **EXAMPLE, booking="everybody", desk_may_overbook=False, created_at="2026-12-01T08:00:00Z"
    )


class ListedClinic(Clinic):
    """A clinic in a list, with your roles in it."""

    roles: list[MemberRole] = Field(description="Your roles that are valid today.")

    model_config = example(
        id=CLINIC,
        **EXAMPLE,
        booking="everybody",
        desk_may_overbook=False,
        created_at="2026-12-01T08:00:00Z",
        roles=["manager"],
    )


class NewInvitation(Body):
    """Somebody to invite to work for the clinic."""

    email: Email
    role: MemberRole
    valid_until: LocalDate | None = Field(None, description="The last day of the role, for example of a locum.")

    model_config = example(email="bea@example.com", role="receptionist")


class NewManager(Body):
    """Somebody to invite as a manager."""

    email: Email

    model_config = example(email="bea@example.com")


class Invitation(ResponseBody):
    """An invitation to work for a clinic. It can be accepted until it expires."""

    id: UUID
    email: str
    role: MemberRole = Field(validation_alias="member_role")
    valid_until: date | None
    created_at: datetime
    expires_at: datetime

    model_config = example(**INVITATION)


class SentInvitation(Invitation):
    """A new invitation. Its token is shown only in this response."""

    token: str = Field(description="For `POST /auth/accept-invitation`. It works once.")
    path: str = Field(description="The path of the page on which the invitation can be accepted.")

    model_config = example(**INVITATION, token=EXAMPLE_TOKEN, path=f"/invitation?token={EXAMPLE_TOKEN}")


class GivenRole(Body):
    """A role in a clinic, with its first and its last day in the time zone of the clinic."""

    role: MemberRole
    valid_from: LocalDate | None = None
    valid_until: LocalDate | None = None

    @model_validator(mode="after")
    def _end_after_the_start(self) -> Self:
        if self.valid_from and self.valid_until and self.valid_until < self.valid_from:
            raise field_error("before_valid_from")
        return self

    model_config = example(role="nurse", valid_until="2026-12-31")


def _refuse_repeated_roles(given: list[GivenRole]) -> list[GivenRole]:
    distinct = {each.role for each in given}
    if len(distinct) < len(given):
        raise field_error("repeated_role")
    return given


class MemberChanges(Changes):
    """What to change of a member. Lists replace what there is."""

    roles: Annotated[list[GivenRole], Field(min_length=1, max_length=5), AfterValidator(_refuse_repeated_roles)] = (
        absent()
    )
    doctors: Annotated[list[UUID], Field(max_length=100)] = absent(
        description="The doctors of the clinic to whom the member is restricted. An empty list: the whole clinic."
    )

    model_config = example(roles=[{"role": "nurse", "valid_until": "2026-12-31"}], doctors=[AMARA])


class MemberRoleGiven(ResponseBody):
    """A role of a member, with its first and its last day in the time zone of the clinic."""

    role: MemberRole
    valid_from: date | None
    valid_until: date | None


class Member(ResponseBody):
    """A member of a clinic."""

    user_id: UUID
    name: str
    email: str
    roles: Sequence[MemberRoleGiven]
    doctors: Sequence[UUID] = Field(description="The doctors to whom the member is restricted; none: the whole clinic.")

    model_config = example(
        user_id=ANN,
        name="Bea Moss",
        email="bea@example.com",
        roles=[{"role": "receptionist", "valid_from": None, "valid_until": None}],
        doctors=[],
    )
