"""Requests and responses for accounts, sessions and the second factor."""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from app.core.permissions import Role
from app.schemas.fields import (
    ANN,
    EXAMPLE_TOKEN,
    PASSWORD_LENGTH,
    SESSION,
    Body,
    Email,
    LoginName,
    Name,
    NewPassword,
    OneTimeCode,
    PastedToken,
    ResponseBody,
    Secret,
    SelfChosenRole,
    TimeZone,
    example,
    field_error,
)


class Registration(Body):
    """Data of a new account."""

    email: Email
    password: NewPassword
    name: Name = Field(examples=["Ann Lee"])
    role: SelfChosenRole
    specialty: Name | None = Field(None, description="For doctors only.", examples=["Dermatology"])
    time_zone: TimeZone | None = Field(None, description="For doctors only. Default: `UTC`.")

    @model_validator(mode="after")
    def _keep_doctors_fields_for_doctors(self) -> Self:
        if self.role != "doctor" and (self.specialty is not None or self.time_zone is not None):
            raise field_error("doctors_only")
        return self

    model_config = example(
        email="amara.okafor@example.com",
        password="correct horse battery",
        name="Dr Amara Okafor",
        role="doctor",
        specialty="Dermatology",
        time_zone="America/New_York",
    )


class User(ResponseBody):
    """Your own account."""

    id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime
    email_confirmed_at: datetime | None = Field(description="When the address was confirmed; null if it is not.")

    model_config = example(
        id=ANN,
        email="ann@example.com",
        name="Ann Lee",
        role="patient",
        created_at="2026-12-01T08:00:00Z",
        email_confirmed_at="2026-12-01T08:02:00Z",
    )


class EmailConfirmation(Body):
    """The code that was sent to your email address."""

    token: PastedToken = Field(examples=[EXAMPLE_TOKEN])


class EmailChangeRequest(Body):
    """A new email address and the current password."""

    new_email: Email = Field(examples=["ann.lee@example.com"])
    current_password: Secret = Field(min_length=1, max_length=PASSWORD_LENGTH, examples=["correct horse battery"])


class EmailChangeConfirmation(Body):
    """The code that was sent to your new email address."""

    token: PastedToken = Field(examples=[EXAMPLE_TOKEN])


class InvitationAcceptance(Body):
    """The token of an invitation, and the data of the new account unless you accept with the account you have."""

    token: PastedToken = Field(examples=[EXAMPLE_TOKEN])
    name: Name | None = Field(None, description="For a new account.", examples=["Dr Amara Okafor"])
    password: NewPassword | None = Field(None, description="For a new account.")
    time_zone: TimeZone | None = Field(None, description="For the new account of a doctor, who must have one.")
    specialty: Name | None = Field(None, description="For the new account of a doctor.", examples=["Dermatology"])

    @model_validator(mode="after")
    def _need_both_or_neither(self) -> Self:
        if (self.name is None) != (self.password is None):
            raise field_error("name_and_password")
        return self

    model_config = example(
        token=EXAMPLE_TOKEN,
        name="Dr Amara Okafor",
        password="correct horse battery",
        time_zone="America/New_York",
        specialty="Dermatology",
    )


class NameChange(Body):
    """A new name."""

    name: Name = Field(examples=["Ann Lee-Moss"])


class LoginForm(BaseModel):
    """The OAuth2 password grant (RFC 6749 section 4.3). Unknown parameters are ignored, as section 3.2 requires."""

    grant_type: Literal["password"] = "password"
    username: LoginName = Field(description="The email address.", examples=["ann@example.com"])
    # Not the limits of a new password: one that is too short is simply wrong, and must not be answered differently.
    password: Secret = Field(min_length=1, max_length=PASSWORD_LENGTH, examples=["correct horse battery"])
    otp: OneTimeCode | None = Field(
        None, description="A code of the second factor, or a recovery code.", examples=["492039"]
    )


class Token(ResponseBody):
    """An access token, to be sent as `Authorization: Bearer …`, and a refresh token to get the next one."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a word of the protocol
    expires_in: int = Field(description="How long the access token is valid, in seconds.")
    refresh_token: str = Field(description="For `POST /auth/refresh`. It works once.")

    model_config = example(
        access_token="eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.…",
        token_type="bearer",
        expires_in=1800,
        refresh_token=EXAMPLE_TOKEN,
    )


class Refresh(Body):
    """A refresh token."""

    refresh_token: Secret = Field(min_length=1, max_length=200, examples=[EXAMPLE_TOKEN])


class ForgottenPassword(Body):
    """The email address of the account."""

    email: Email


class Message(ResponseBody):
    """A message for a person."""

    message: str = Field(examples=["A message is on its way."])


class PasswordReset(Body):
    """A new password and a reset token."""

    token: PastedToken = Field(examples=[EXAMPLE_TOKEN])
    new_password: NewPassword


class PasswordChange(Body):
    """A new password and the current one."""

    current_password: Secret = Field(min_length=1, max_length=PASSWORD_LENGTH, examples=["correct horse battery"])
    new_password: NewPassword


class Session(ResponseBody):
    """One of your sessions."""

    id: UUID
    created_at: datetime
    refreshed_at: datetime
    expires_at: datetime = Field(description="When the session ends if it is not refreshed.")
    ends_at: datetime = Field(description="When the session ends at the latest.")
    client_address: str
    user_agent: str
    second_factor: bool
    current: bool = Field(description="Whether this request belongs to the session.")

    model_config = example(
        id=SESSION,
        created_at="2026-12-01T08:00:00Z",
        refreshed_at="2026-12-01T08:25:00Z",
        expires_at="2026-12-01T09:25:00Z",
        ends_at="2026-12-02T08:00:00Z",
        client_address="203.0.113.7",
        user_agent="Mozilla/5.0",
        second_factor=False,
        current=True,
    )


class Code(Body):
    """The code that the authenticator app shows."""

    otp: OneTimeCode = Field(examples=["492039"])


class SecondFactor(ResponseBody):
    """The status of the second factor."""

    enabled: bool
    recovery_codes_left: int

    model_config = example(enabled=True, recovery_codes_left=10)


class Enrolment(ResponseBody):
    """What an authenticator app needs: `provisioning_uri` as a QR code, or the secret."""

    secret: str
    provisioning_uri: str

    model_config = example(
        secret="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
        provisioning_uri="otpauth://totp/Doctor%20Appointments:ann%40example.com?secret=JBSWY3DPEHPK3PXP…",
    )


class RecoveryCodes(ResponseBody):
    """Codes to use when the authenticator is lost. Each works once. They are shown only in this response."""

    recovery_codes: list[str]

    model_config = example(recovery_codes=["K7QM-2ZPD-X4HA-9RTC-M5WB-8NEV", "…"])
