"""Review changes of the names and specialties of approved doctors (ADR 0038)."""

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
    """Return the name that the account requested last, reviewed or not; ``change_name`` compares ``versions`` to it."""
    if user.role is not Role.DOCTOR:
        return user.name
    return (await profile_changes.get_profile_review(transaction, user.id)).wanted[0]


async def hold_back(
    transaction: Transaction, doctor_id: UUID, changes: Mapping[str, Any], now: datetime, *, reviewed: bool
) -> dict[str, Any]:
    """Return those of a doctor's ``changes`` that take effect at once; store the others for review.

    If profiles are ``reviewed``, the name and the specialty of an approved doctor wait for a review. Before the
    approval they take effect at once, because the approval itself is the review. A pending change is deleted when the
    doctor requests what patients see already, or when the change takes effect at once.
    """
    if not changes.keys() & REVIEWED:
        return dict(changes)
    review = await profile_changes.get_profile_review(transaction, doctor_id)
    is_held_back = reviewed and review.approved_at is not None
    public = {"name": review.name, "specialty": review.specialty}
    wanted = dict(zip(("name", "specialty"), review.wanted, strict=True))
    requested = {name: value for name, value in changes.items() if name in REVIEWED}
    if not is_held_back:
        public |= requested
    if wanted | requested == public:
        if review.change:
            await profile_changes.delete_change(transaction, doctor_id)
    elif wanted | requested != wanted:
        await profile_changes.replace_change(transaction, doctor_id, uuid7(), **(wanted | requested), now=now)
    return {name: value for name, value in changes.items() if not (is_held_back and name in REVIEWED)}


async def rename_doctor(transaction: Transaction, doctor_id: UUID, name: str) -> UserRecord:
    """Change the name of a doctor, in the account and for searches."""
    # Lock the doctor's row before the account's, as every change of a doctor does. In another order, two changes could
    # deadlock.
    await doctors.update_name_key(transaction, doctor_id, name)
    return await users.update_name(transaction, doctor_id, name)


async def accept_change(transaction: Transaction, doctor_id: UUID, change_id: UUID) -> AccountRecord:
    """Apply the name and the specialty that a doctor has requested. Returns the account.

    Raises ``not_found`` if the doctor has replaced or withdrawn this change.
    """
    if (await profile_changes.get_profile_review(transaction, doctor_id)).change is None:
        raise DomainError("not_found")
    if not await doctors.lock_doctor(transaction, doctor_id):
        raise DomainError("not_found")
    await doctors.begin_rule_change(transaction, doctor_id)
    # By its id: a change that the doctor has requested meanwhile must not be accepted unseen (ADR 0038).
    change = await profile_changes.delete_change(transaction, doctor_id, change_id)
    if change is None:
        raise DomainError("not_found")
    await rename_doctor(transaction, doctor_id, change.name)
    await doctors.update_doctor(transaction, doctor_id, {"specialty": change.specialty})
    return await accounts.get_account(transaction, doctor_id)


async def decline_change(transaction: Transaction, doctor_id: UUID, change_id: UUID) -> AccountRecord:
    """Decline the name and the specialty that a doctor has requested. Returns the account.

    Raises ``not_found`` if the doctor has replaced or withdrawn this change.
    """
    if not await profile_changes.delete_change(transaction, doctor_id, change_id):
        raise DomainError("not_found")
    return await accounts.get_account(transaction, doctor_id)
