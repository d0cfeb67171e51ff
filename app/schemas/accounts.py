"""Accounts on the wire."""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from app.core.permissions import Role
from app.schemas.fields import (
    ANN,
    PASSWORD_LENGTH,
    Answer,
    Body,
    Email,
    LoginName,
    Name,
    NewPassword,
    Secret,
    SelfChosenRole,
    TimeZone,
    example,
)


class Registration(Body):
    """A new account."""

    email: Email
    password: NewPassword
    name: Name = Field(examples=["Ann Lee"])
    role: SelfChosenRole
    specialty: Name | None = Field(None, description="For doctors.", examples=["Dermatology"])
    time_zone: TimeZone | None = Field(None, description="For doctors; `UTC` unless given.")

    @model_validator(mode="after")
    def _keep_doctors_fields_for_doctors(self) -> Self:
        if self.role != "doctor" and (self.specialty is not None or self.time_zone is not None):
            raise ValueError("specialty and time_zone are for doctors only")
        return self

    model_config = example(
        email="amara.okafor@example.com",
        password="correct horse battery",
        name="Dr Amara Okafor",
        role="doctor",
        specialty="Dermatology",
        time_zone="America/New_York",
    )


class User(Answer):
    """An account, as its owner sees it."""

    id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime

    model_config = example(
        id=ANN, email="ann@example.com", name="Ann Lee", role="patient", created_at="2026-12-01T08:00:00Z"
    )


class LoginForm(BaseModel):
    """The OAuth2 password grant (RFC 6749 section 4.3); parameters that are not known are ignored, as it demands."""

    grant_type: Literal["password"] = "password"
    username: LoginName = Field(description="The e-mail address.", examples=["ann@example.com"])
    password: Secret = Field(min_length=1, max_length=PASSWORD_LENGTH, examples=["correct horse battery"])


class Token(Answer):
    """An access token, to be sent as `Authorization: Bearer …`."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a word of the protocol
    expires_in: int = Field(description="Seconds.")

    model_config = example(
        access_token="eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.…", token_type="bearer", expires_in=1800
    )


class ForgottenPassword(Body):
    """Whose password is forgotten."""

    email: Email


class Message(Answer):
    """A sentence for a person."""

    message: str = Field(examples=["A message is on its way."])


class PasswordReset(Body):
    """A new password, by a reset token."""

    token: Secret = Field(min_length=1, max_length=200, examples=["Zm9yIGV4YW1wbGUgb25seQ"])
    new_password: NewPassword
