"""Decisions of administrators about accounts."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.core.errors import DomainError
from app.core.permissions import AccountStatus, Actor, Role
from app.core.settings import Settings
from app.core.versions import check_version
from app.db.database import Transaction
from app.db.locks import lock_ids
from app.repositories import accounts, doctors, invitations, second_factors, sessions, users
from app.repositories.accounts import AccountRecord
from app.repositories.appointments import AppointmentRecord, ChangedAppointment
from app.repositories.users import UserRecord
from app.services.privacy import erase, list_visits

_DECISIONS = UUID("019abcde-0000-7000-8000-000000001417")
"""The lock that lets one administrator decide at a time (ADR 0046)."""


async def begin_decision(transaction: Transaction, actor: Actor) -> None:
    """Let only this administrator decide until the transaction ends.

    Raises ``not_authenticated`` if the actor was suspended while this waited. So if two administrators suspend each
    other, only the first one succeeds.
    """
    await lock_ids(transaction, _DECISIONS)
    if (await accounts.get_account(transaction, actor.id)).status is not AccountStatus.ACTIVE:
        raise DomainError("not_authenticated")


async def approve_doctor(
    transaction: Transaction,
    settings: Settings,
    user_id: UUID,
    now: datetime,
    *,
    versions: frozenset[str] | None = None,
) -> AccountRecord:
    """List a doctor, so that patients can book. Approving again changes nothing.

    Raises ``not_found`` if the account is not a doctor's; ``doctor_not_confirmed`` if a confirmed address is required
    and the doctor's is not; and ``version_mismatch`` if ``versions`` (see ``core.versions``) does not contain that of
    ``reviewed_content``.
    """
    # Locked, so that the name and the specialty cannot change between the check and the approval.
    if not await doctors.lock_doctor(transaction, user_id):
        raise DomainError("not_found")
    account = await accounts.get_account(transaction, user_id)
    check_version(account.reviewed_content, versions)
    if settings.requires_confirmed_email and account.email_confirmed_at is None:
        raise DomainError("doctor_not_confirmed")
    await accounts.approve_doctor(transaction, user_id, now)
    return await accounts.get_account(transaction, user_id)


async def suspend_user(transaction: Transaction, actor: Actor, user_id: UUID, now: datetime) -> AccountRecord:
    """Suspend an account, end its sessions and delete the invitations that it has sent.

    A doctor is no longer listed. Appointments are not changed. Raises ``not_yourself``, so that there is always an
    active administrator.
    """
    if user_id == actor.id:
        raise DomainError("not_yourself")
    # Waits for log-ins in progress, so that their sessions are deleted below.
    await users.lock_user(transaction, user_id)
    await accounts.suspend_user(transaction, user_id, now)
    await sessions.delete_sessions(transaction, user_id)
    await users.delete_password_resets(transaction, user_id)
    # Otherwise the links that a suspended administrator has sent could still create doctors.
    await invitations.delete_invitations_by(transaction, user_id)
    return await accounts.get_account(transaction, user_id)


async def reinstate_user(transaction: Transaction, user_id: UUID) -> AccountRecord:
    """Reinstate a suspended account."""
    await accounts.reinstate_user(transaction, user_id)
    return await accounts.get_account(transaction, user_id)


async def erase_user(
    transaction: Transaction, actor: Actor, user_id: UUID, now: datetime
) -> tuple[AccountRecord, Sequence[ChangedAppointment]]:
    """Erase the account of a patient or a doctor, as they can do themselves. Erasing again changes nothing.

    Returns the account and the appointments that were cancelled. Upcoming appointments of a suspended doctor are
    cancelled, because the doctor cannot do it. Raises ``has_appointments`` for another doctor who has upcoming
    appointments, ``not_yourself``, and ``wrong_role`` for another administrator.
    """
    if user_id == actor.id:
        raise DomainError("not_yourself")
    account = await accounts.get_account(transaction, user_id)
    if account.status is AccountStatus.ERASED:
        return account, ()
    # Still true when `erase` has waited for its locks, because only decisions change it (ADR 0046).
    is_suspended = account.status is AccountStatus.SUSPENDED
    cancelled = await erase(transaction, user_id, account.role, now, by=actor.id, cancel_visits=is_suspended)
    return await accounts.get_account(transaction, user_id), cancelled


async def end_sessions(transaction: Transaction, user_id: UUID) -> AccountRecord:
    """End all sessions of an account, and delete its reset tokens."""
    await users.lock_user(transaction, user_id)
    account = await accounts.get_account(transaction, user_id)
    await sessions.delete_sessions(transaction, user_id)
    await users.delete_password_resets(transaction, user_id)
    return account


async def remove_second_factor(transaction: Transaction, actor: Actor, user_id: UUID) -> tuple[AccountRecord, bool]:
    """Remove the second factor of a user who has lost the authenticator and the recovery codes; end all sessions.

    Returns the account, and whether it had a confirmed second factor. Raises ``not_yourself``: administrators remove
    their own second factor in their account settings.
    """
    if user_id == actor.id:
        raise DomainError("not_yourself")
    account = await end_sessions(transaction, user_id)
    return account, await second_factors.delete_second_factor(transaction, user_id)


async def break_glass(
    transaction: Transaction, patient_id: UUID, now: datetime
) -> tuple[UserRecord, Sequence[AppointmentRecord]]:
    """Return a patient and all their visits, for an administrator. Raises ``not_found`` for other accounts."""
    account = await accounts.get_account(transaction, patient_id)
    if account.role is not Role.PATIENT:
        raise DomainError("not_found")
    patient = await users.get_user(transaction, patient_id)
    return patient, await list_visits(transaction, patient_id, now)
