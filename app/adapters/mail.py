"""Sending mail."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mail:
    """A message to one person."""

    to: str
    subject: str
    text: str


type Mailer = Callable[[Mail], Awaitable[None]]
"""Delivers a message, or raises. Never called inside a transaction."""


def password_reset_mail(address: str, token: str) -> Mail:
    """What somebody receives who forgot the password."""
    return Mail(
        to=address,
        subject="Choose a new password",
        text=(
            "Somebody, probably you, asked for a new password. Send this token with the new password to "
            f"POST /auth/reset-password within 30 minutes:\n\n{token}\n\n"
            "If it was not you, do nothing: your password stays as it is."
        ),
    )


def password_changed_mail(address: str) -> Mail:
    """What somebody receives whose password was changed."""
    return Mail(
        to=address,
        subject="Your password was changed",
        text=(
            "The password of your account was changed just now. If it was not you, choose a new one with "
            "POST /auth/forgot-password, and look at GET /auth/sessions."
        ),
    )


async def print_mail(mail: Mail) -> None:
    """The default mailer: writes the message to the server's console, for whoever runs it to read."""
    sys.stdout.write(f"\n--- mail to {mail.to}\n{mail.subject}\n\n{mail.text}\n---\n")
    sys.stdout.flush()
