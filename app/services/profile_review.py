"""Reviewing the names and specialties of approved doctors."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from app.core.errors import DomainError
from app.core.permissions import Role
from app.db.database import Transaction
from app.repositories import accounts, doctors, profile_changes, users
from app.repositories.accounts import AccountRecord
from app.repositories.users import UserRecord

REVIEWED = frozenset({"name", "specialty"})


async def get_wanted_name(transaction: Transaction, user: UserRecord) -> str:
    """The name that an account asked for last, reviewed or not; ``change_name`` checks ``versions`` against it."""
    if user.role is not Role.DOCTOR:
        return user.name
    return (await profile_changes.get_profile_review(transaction, user.id)).wanted[0]


async def hold_back(
    transaction: Transaction, doctor_id: UUID, changes: Mapping[str, Any], now: datetime, *, reviewed: bool
) -> dict[str, Any]:
    """What of a doctor's ``changes`` takes effect at once; where it is ``reviewed``, a name or specialty waits instead.

    Only those of an approved doctor: before that, the approval itself is the review. Asking for what patients see
    already ends the wait, and so does what takes effect at once.
    """
    if not changes.keys() & REVIEWED:
        return dict(changes)
    standing = await profile_changes.get_profile_review(transaction, doctor_id)
    waits = reviewed and standing.approved_at is not None
    seen = {"name": standing.name, "specialty": standing.specialty}
    wanted = dict(zip(("name", "specialty"), standing.wanted, strict=True))
    asked_for = {name: value for name, value in changes.items() if name in REVIEWED}
    if not waits:
        seen |= asked_for
    if wanted | asked_for == seen:
        if standing.change:
            await profile_changes.delete_change(transaction, doctor_id)
    elif wanted | asked_for != wanted:
        await profile_changes.replace_change(transaction, doctor_id, uuid7(), **(wanted | asked_for), now=now)
    return {name: value for name, value in changes.items() if not (waits and name in REVIEWED)}


async def rename_doctor(transaction: Transaction, doctor_id: UUID, name: str) -> UserRecord:
    """Gives a doctor another name, in the account and where patients search."""
    # Before the account, as in every change of a practice: two in another order would wait for each other.
    await doctors.update_name_key(transaction, doctor_id, name)
    return await users.update_name(transaction, doctor_id, name)


async def accept_change(transaction: Transaction, doctor_id: UUID, change_id: UUID) -> AccountRecord:
    """Shows patients the name and specialty that a doctor wants; ``not_found`` if it is not what they want any more."""
    if (await profile_changes.get_profile_review(transaction, doctor_id)).change is None:
        raise DomainError("not_found")
    if not await doctors.lock_doctor(transaction, doctor_id):
        raise DomainError("not_found")
    await doctors.begin_rule_change(transaction, doctor_id)
    change = await profile_changes.delete_change(transaction, doctor_id, change_id)
    if change is None:
        raise DomainError("not_found")
    await rename_doctor(transaction, doctor_id, change.name)
    await doctors.update_doctor(transaction, doctor_id, {"specialty": change.specialty})
    return await accounts.get_account(transaction, doctor_id)


async def decline_change(transaction: Transaction, doctor_id: UUID, change_id: UUID) -> AccountRecord:
    """Leaves what patients see as it is; ``not_found`` if it is not what the doctor wants any more."""
    if not await profile_changes.delete_change(transaction, doctor_id, change_id):
        raise DomainError("not_found")
    return await accounts.get_account(transaction, doctor_id)
