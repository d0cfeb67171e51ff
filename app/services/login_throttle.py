"""Slow down guesses at passwords and at codes of the second factor (ADR 0033)."""

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
"""How many failed attempts from one network cause no wait. Each further one doubles the wait."""
FREE_ATTEMPTS_OF_ALL = 20
"""How many failed attempts from all networks together cause no wait."""


@dataclass(frozen=True, slots=True)
class Counters:
    """The keys under which an attempt is counted: hashes of its group, and of its group and network.

    Each device that has logged in to the account is a group of its own. All other devices form one group.
    """

    of_network: str
    of_group: str


def password_counters(settings: Settings, email: str, client: Client, *, known_device: bool) -> Counters:
    """Return the counters of an attempt with a password for an address, whether or not it has an account."""
    # In canonical form, so that another spelling of the address does not give further attempts.
    return _counters(settings, f"password\n{canonical_email(email)}", client, known_device)


def code_counters(settings: Settings, user_id: UUID, client: Client, *, proven_device: bool) -> Counters:
    """Return the counters of an attempt with a code of the second factor, which follows the right password.

    They are separate from those of the password, so that resetting the password does not reset them. Only a device
    that has sent a right code before is a group of its own: a password reset makes devices known that have not.
    """
    return _counters(settings, f"code\n{user_id}", client, proven_device)


def _counters(settings: Settings, what: str, client: Client, own_group: bool) -> Counters:
    key = derive_key(settings.secret_key.get_secret_value(), "log-in attempts")
    group = f"{what}\n{client.device if own_group else ''}"
    return Counters(keyed_hash(key, f"{group}\n{client.network}"), keyed_hash(key, group))


async def count_attempt(transaction: Transaction, counters: Counters, now: datetime) -> None:
    """Count an attempt before it is checked. While it must wait, raises ``too_many_attempts`` and does not count it."""
    # Every request counts the network before the group: in another order, two requests could deadlock.
    for key_hash, free in ((counters.of_network, FREE_ATTEMPTS), (counters.of_group, FREE_ATTEMPTS_OF_ALL)):
        count = await login_attempts.count_attempt(transaction, key_hash, counters.of_group, now)
        if count is None:
            until = await login_attempts.get_block(transaction, key_hash) or now
            # This rolls the transaction back, so an attempt that its group refuses is not counted for its network
            # either.
            raise DomainError("too_many_attempts", retry_after=max(1, ceil((until - now).total_seconds())))
        if count >= free:
            # It only slows down and never locks: otherwise anyone could lock an account by guessing (ADR 0033). The
            # exponent is bounded, because a larger one would overflow `timedelta`.
            wait = min(timedelta(seconds=2 ** min(count - free, 30)), MAX_WAIT)
            await login_attempts.block(transaction, key_hash, now + wait)


async def forget_attempts(transaction: Transaction, counters: Counters) -> None:
    """Reset the counters after a success, for this network and for the group."""
    await login_attempts.forget_attempts(transaction, (counters.of_network, counters.of_group))


async def forget_wrong_passwords(transaction: Transaction, settings: Settings, email: str, client: Client) -> None:
    """Reset the counters of passwords in all networks: for this device, and for all unknown devices."""
    for known_device in (False, True):
        counters = password_counters(settings, email, client, known_device=known_device)
        await login_attempts.forget_group(transaction, counters.of_group)
