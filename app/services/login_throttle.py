"""Slowing down guesses at passwords and at codes of the second factor (ADR 0033)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from app.core.clients import Client
from app.core.errors import DomainError
from app.core.security import derive_key, keyed_hash
from app.core.settings import Settings
from app.core.text import canonical_email
from app.db.database import Transaction
from app.repositories import login_attempts
from app.repositories.login_attempts import MAX_WAIT

FREE_ATTEMPTS = 10
"""Attempts in a row that need no wait, from one network; each further one doubles the wait."""
FREE_ATTEMPTS_OF_ALL = 20
"""The same from all networks together."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Where an attempt is counted: the hash of its group, and of its group and network.

    The devices that have logged in to an account are a group each; all others together are one.
    """

    of_network: str
    of_group: str


def password_counters(settings: Settings, email: str, client: Client, *, known_device: bool) -> Counters:
    """The counters of a password that is tried for this address, whether or not it has an account."""
    return _counters(settings, f"password\n{canonical_email(email)}", client, known_device)


def code_counters(settings: Settings, user_id: UUID, client: Client, *, proven_device: bool) -> Counters:
    """The counters of a code of the second factor, which is tried after the right password.

    They are apart from those of the password, so a reset of the password does not begin them anew. Only a device that
    has shown a code before is a group of its own: a reset makes devices known that have not.
    """
    return _counters(settings, f"code\n{user_id}", client, proven_device)


def _counters(settings: Settings, what: str, client: Client, own_group: bool) -> Counters:
    key = derive_key(settings.secret_key.get_secret_value(), "log-in attempts")
    group = f"{what}\n{client.device if own_group else ''}"
    return Counters(keyed_hash(key, f"{group}\n{client.network}"), keyed_hash(key, group))


async def count_attempt(transaction: Transaction, counters: Counters, now: datetime) -> None:
    """Counts an attempt before it is looked at; ``too_many_attempts``, and it does not count, while it has to wait."""
    for key_hash, free in ((counters.of_network, FREE_ATTEMPTS), (counters.of_group, FREE_ATTEMPTS_OF_ALL)):
        count = await login_attempts.count_attempt(transaction, key_hash, counters.of_group, now)
        if count is None:
            until = await login_attempts.get_block(transaction, key_hash) or now
            raise DomainError("too_many_attempts", retry_after=max(1, ceil((until - now).total_seconds())))
        if count >= free:
            wait = min(timedelta(seconds=2 ** min(count - free, 30)), MAX_WAIT)
            await login_attempts.block(transaction, key_hash, now + wait)


async def forget_attempts(transaction: Transaction, counters: Counters) -> None:
    """Begins to count anew after a success, for this network and for the group."""
    await login_attempts.forget_attempts(transaction, (counters.of_network, counters.of_group))


async def forget_wrong_passwords(transaction: Transaction, settings: Settings, email: str, client: Client) -> None:
    """Begins to count anew in every network: for this device, and for all that are not known."""
    for known_device in (False, True):
        counters = password_counters(settings, email, client, known_device=known_device)
        await login_attempts.forget_group(transaction, counters.of_group)
