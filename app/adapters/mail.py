"""Sending mail."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.core.mail_kinds import MailKind

MAX_SENDING_SECONDS = 10.0
"""A message is sent within the request that caused it, after the answer, and so takes the place of another one."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mail:
    """A message to one person."""

    kind: MailKind
    to: str
    subject: str
    text: str


type Mailer = Callable[[Mail], Awaitable[None]]
"""Delivers a message, or raises. Never called inside a transaction."""


def bounded(mailer: Mailer) -> Mailer:
    """The mailer with a time limit of ``MAX_SENDING_SECONDS``; what cannot be sent is logged, and nothing is raised.

    The log names the kind of message. What the mailer raises may quote the address, so only its type is logged.
    """

    async def send(mail: Mail) -> None:
        try:
            async with asyncio.timeout(MAX_SENDING_SECONDS):
                await mailer(mail)
        except Exception as error:  # noqa: BLE001 - whatever a mailer raises, the request was answered
            log.warning("a message was not sent: %s (%s)", mail.kind, type(error).__name__)

    return send


def password_reset_mail(address: str, token: str) -> Mail:
    """What somebody receives who forgot the password."""
    return Mail(
        kind=MailKind.PASSWORD_RESET,
        to=address,
        subject="Choose a new password",
        text=(
            "Somebody, probably you, asked for a new password. Type this code on the page /reset, with the new one, "
            f"within 30 minutes (programs: POST /auth/reset-password):\n\n{token}\n\n"
            "If it was not you, do nothing: your password stays as it is."
        ),
    )


def email_confirmation_mail(address: str, token: str) -> Mail:
    """The code that confirms an address."""
    return Mail(
        kind=MailKind.EMAIL_CONFIRMATION,
        to=address,
        subject="Confirm your e-mail address",
        text=(
            "An account was created with this address. Sign in and type this code on the page /confirm-email within "
            f"24 hours (programs: POST /auth/confirm-email):\n\n{token}\n\n"
            "If you did not create the account, do nothing: without this code it stays unconfirmed. You can take it "
            "over by choosing a new password on the page /forgotten."
        ),
    )


def invitation_mail(address: str, token: str) -> Mail:
    """What a doctor receives who is invited."""
    return Mail(
        kind=MailKind.INVITATION,
        to=address,
        subject="You are invited to join as a doctor",
        text=(
            "An administrator has invited you to join as a doctor. Open this page within 7 days to create your account "
            f"(programs: POST /auth/accept-invitation):\n\n{invitation_path(token)}\n\n"
            "If you did not expect this, do nothing: no account is created."
        ),
    )


def invitation_path(token: str) -> str:
    """The page on which an invitation is accepted."""
    return f"/invitation?token={token}"


def password_changed_mail(address: str) -> Mail:
    """What somebody receives whose password was changed."""
    return Mail(
        kind=MailKind.PASSWORD_CHANGED,
        to=address,
        subject="Your password was changed",
        text=(
            "The password of your account was changed just now. If it was not you, choose a new one on the page "
            "/forgotten, and look at /my/account/sessions."
        ),
    )


def second_factor_set_up_mail(address: str) -> Mail:
    """What somebody receives whose log-in asks for a second factor from now on."""
    return _notice(
        MailKind.SECOND_FACTOR_SET_UP,
        address,
        "A second factor was set up",
        "From now on a log-in to your account asks for a code.",
    )


def second_factor_removed_mail(address: str) -> Mail:
    """What somebody receives whose second factor was removed, by herself or by an administrator."""
    return _notice(
        MailKind.SECOND_FACTOR_REMOVED,
        address,
        "Your second factor was removed",
        "A log-in to your account asks for nothing but the password now.",
    )


def recovery_codes_renewed_mail(address: str) -> Mail:
    """What somebody receives who has new recovery codes."""
    return _notice(
        MailKind.RECOVERY_CODES_RENEWED,
        address,
        "Your recovery codes were renewed",
        "There are new ones; those from before work no longer.",
    )


def recovery_code_used_mail(address: str) -> Mail:
    """What somebody receives to whose account a recovery code opened the door."""
    return _notice(
        MailKind.RECOVERY_CODE_USED,
        address,
        "A recovery code was used",
        "Somebody logged in to your account with a recovery code in place of the authenticator's.",
    )


def session_ended_mail(address: str) -> Mail:
    """What somebody receives whose refresh token came a second time."""
    return _notice(
        MailKind.SESSION_ENDED,
        address,
        "A session was ended",
        "A refresh token of your account was used a second time, so it may have been stolen. Its session has ended.",
    )


def _notice(kind: MailKind, address: str, subject: str, what: str) -> Mail:
    return Mail(
        kind=kind,
        to=address,
        subject=subject,
        text=(
            f"{what}\n\nIf this was not your doing, choose a new password on the page /forgotten, which ends every "
            "session, and tell an administrator."
        ),
    )


async def print_mail(mail: Mail) -> None:
    """The default mailer: writes the message to the server's console, for whoever runs it to read."""
    sys.stdout.write(f"\n--- mail to {mail.to}\n{mail.subject}\n\n{mail.text}\n---\n")
    sys.stdout.flush()
