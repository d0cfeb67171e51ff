"""Mail: the messages, and how they are sent."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.core.mail_kinds import MailKind
from app.core.text import mask_email

MAX_SENDING_SECONDS = 10.0
"""The time limit for sending one message. It is sent after the response, but the request counts as in flight until the
message is sent, so a slow mail server would use up the client's limit."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mail:
    """A message to one person."""

    kind: MailKind
    to: str
    subject: str
    text: str


type Mailer = Callable[[Mail], Awaitable[None]]
"""A function that delivers a message, or raises. Never call it inside a transaction."""


def bounded(mailer: Mailer) -> Mailer:
    """Return the mailer with a time limit of ``MAX_SENDING_SECONDS``. It logs failures and never raises.

    The log contains the kind of the message and the type of the exception. The text of the exception is not logged,
    because it may quote the address.
    """

    async def send(mail: Mail) -> None:
        try:
            async with asyncio.timeout(MAX_SENDING_SECONDS):
                await mailer(mail)
        except Exception as error:  # noqa: BLE001 - a mailer may raise anything, and the response was sent already
            log.warning("a message was not sent: %s (%s)", mail.kind, type(error).__name__)

    return send


# Messages name paths without a host, because the client chooses the `Host` header: a link made from it could lead to a
# site of an attacker who has requested the message for another person (ADR 0043).
def password_reset_mail(address: str, token: str) -> Mail:
    """Return the message with the code that resets a forgotten password."""
    return Mail(
        kind=MailKind.PASSWORD_RESET,
        to=address,
        subject="Choose a new password",
        text=(
            "A password reset was requested for your account. Enter this code and your new password on the page /reset "
            f"within 30 minutes (API clients: POST /auth/reset-password):\n\n{token}\n\n"
            "If you did not request it, do nothing: your password stays the same."
        ),
    )


def email_confirmation_mail(address: str, token: str) -> Mail:
    """Return the message with the code that confirms an address."""
    return Mail(
        kind=MailKind.EMAIL_CONFIRMATION,
        to=address,
        subject="Confirm your email address",
        text=(
            "An account was created with this address. Sign in and enter this code on the page /confirm-email within "
            f"24 hours (API clients: POST /auth/confirm-email):\n\n{token}\n\n"
            "If you did not create the account, do nothing: without this code it stays unconfirmed. You can take it "
            "over by choosing a new password on the page /forgotten."
        ),
    )


def email_change_mail(address: str, token: str) -> Mail:
    """Return the message with the code that makes an address that of an account."""
    return Mail(
        kind=MailKind.EMAIL_CHANGE,
        to=address,
        subject="Confirm your new email address",
        text=(
            "A change of your account's email address to this one was requested. Sign in with the current address and "
            "enter this code on the page /my/account/email within 24 hours (API clients: POST /auth/email/confirm):"
            f"\n\n{token}\n\nIf you did not request it, do nothing: without this code nothing changes."
        ),
    )


def email_change_requested_mail(address: str, new_address: str) -> Mail:
    """Return the message to the current address that says that another one was requested."""
    return Mail(
        kind=MailKind.EMAIL_CHANGE_REQUESTED,
        to=address,
        subject="A new email address was requested",
        text=(
            f"A change of your account's email address from this one to {mask_email(new_address)} was requested. It "
            "takes effect when the code that was sent to the new address is entered.\n\nIf you did not request it, "
            "choose a new password on the page /forgotten. This cancels the change and ends all your sessions."
        ),
    )


def email_changed_mail(address: str, new_address: str) -> Mail:
    """Return the message to the previous address that says that the account now has another one."""
    return Mail(
        kind=MailKind.EMAIL_CHANGED,
        to=address,
        subject="Your email address was changed",
        text=(
            f"Your account now uses the address {mask_email(new_address)} instead of this one. You can no longer sign "
            "in or reset your password with this address.\n\nIf you did not change it, contact an administrator at "
            "once: they can suspend the account."
        ),
    )


def invitation_mail(address: str, token: str) -> Mail:
    """Return the message that invites a doctor."""
    return Mail(
        kind=MailKind.INVITATION,
        to=address,
        subject="You are invited to join as a doctor",
        text=(
            "An administrator has invited you to join as a doctor. Open this page within 7 days to create your account "
            f"(API clients: POST /auth/accept-invitation):\n\n{invitation_path(token)}\n\n"
            "If you did not expect this, do nothing: no account is created."
        ),
    )


def clinic_invitation_mail(address: str, token: str) -> Mail:
    """Return the message that invites somebody to work for a clinic.

    It does not contain the name of the clinic: any doctor can choose one, and could advertise with it.
    """
    return Mail(
        kind=MailKind.INVITATION,
        to=address,
        subject="You are invited to work for a clinic",
        text=(
            "A clinic has invited you to join its staff. Open this page within 7 days to see which one, and to accept "
            f"(API clients: POST /auth/accept-invitation):\n\n{invitation_path(token)}\n\n"
            "If you did not expect this, do nothing."
        ),
    )


def invitation_path(token: str) -> str:
    """Return the path of the page on which an invitation is accepted."""
    return f"/invitation?token={token}"


def password_changed_mail(address: str) -> Mail:
    """Return the message that tells the owner of an account that the password was changed."""
    return Mail(
        kind=MailKind.PASSWORD_CHANGED,
        to=address,
        subject="Your password was changed",
        text=(
            "The password of your account has just been changed. If you did not change it, choose a new password on "
            "the page /forgotten, and check your sessions on /my/account/sessions."
        ),
    )


def second_factor_set_up_mail(address: str) -> Mail:
    """Return the message that tells the owner of an account that a second factor was set up."""
    return _notice(
        MailKind.SECOND_FACTOR_SET_UP,
        address,
        "A second factor was set up",
        "From now on, signing in to your account requires a code.",
    )


def second_factor_removed_mail(address: str) -> Mail:
    """Return the message that says that the second factor was removed, by its owner or by an administrator."""
    return _notice(
        MailKind.SECOND_FACTOR_REMOVED,
        address,
        "Your second factor was removed",
        "Signing in to your account now requires only the password.",
    )


def recovery_codes_renewed_mail(address: str) -> Mail:
    """Return the message that says that the recovery codes were renewed."""
    return _notice(
        MailKind.RECOVERY_CODES_RENEWED,
        address,
        "Your recovery codes were renewed",
        "New recovery codes were created for your account. The old ones no longer work.",
    )


def recovery_code_used_mail(address: str) -> Mail:
    """Return the message that says that a recovery code was used to log in."""
    return _notice(
        MailKind.RECOVERY_CODE_USED,
        address,
        "A recovery code was used",
        "A recovery code was used to sign in to your account, instead of a code of the authenticator app.",
    )


def session_ended_mail(address: str) -> Mail:
    """Return the message that says that a session was ended because its refresh token was used twice."""
    return _notice(
        MailKind.SESSION_ENDED,
        address,
        "A session was ended",
        "A refresh token of your account was used a second time, so it may have been stolen. Its session has ended.",
    )


def _notice(kind: MailKind, address: str, subject: str, event: str) -> Mail:
    return Mail(
        kind=kind,
        to=address,
        subject=subject,
        text=(
            f"{event}\n\nIf you did not do this, choose a new password on the page /forgotten, which ends all your "
            "sessions, and contact an administrator."
        ),
    )


async def print_mail(mail: Mail) -> None:
    """Write the message to standard output. This is the default mailer; in production the server warns at its start."""
    # Not through a logger: no log may contain an address or a token (ADR 0020).
    sys.stdout.write(f"\n--- mail to {mail.to}\n{mail.subject}\n\n{mail.text}\n---\n")
    sys.stdout.flush()
