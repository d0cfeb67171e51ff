"""What administrators decide about accounts."""

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
"""The holder of this lock may decide something as an administrator."""


async def begin_decision(transaction: Transaction, actor: Actor) -> None:
    """Lets administrators decide one at a time, until the transaction ends.

    ``not_authenticated`` for one who was suspended while this waited: nothing that they asked for happens afterwards.
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
    """Lists a doctor, so that patients can book; again changes nothing. ``not_found`` if it is no doctor.

    ``doctor_not_confirmed`` where a confirmed address is required and the doctor's is not. ``version_mismatch`` if
    ``versions`` (see ``core.versions``) does not name that of ``reviewed_content``.
    """
    if not await doctors.lock_doctor(transaction, user_id):
        raise DomainError("not_found")
    account = await accounts.get_account(transaction, user_id)
    check_version(account.reviewed_content, versions)
    if settings.requires_confirmed_email and account.email_confirmed_at is None:
        raise DomainError("doctor_not_confirmed")
    await accounts.approve_doctor(transaction, user_id, now)
    return await accounts.get_account(transaction, user_id)


async def suspend_user(transaction: Transaction, actor: Actor, user_id: UUID, now: datetime) -> AccountRecord:
    """Keeps somebody out and ends their sessions and the invitations that they have sent.

    A doctor is no longer listed, and what is booked stays.

    ``not_yourself``, so that there is always an administrator left.
    """
    if user_id == actor.id:
        raise DomainError("not_yourself")
    await users.lock_user(transaction, user_id)
    await accounts.suspend_user(transaction, user_id, now)
    await sessions.delete_sessions(transaction, user_id)
    await users.delete_password_resets(transaction, user_id)
    await invitations.delete_invitations_by(transaction, user_id)
    return await accounts.get_account(transaction, user_id)


async def reinstate_user(transaction: Transaction, user_id: UUID) -> AccountRecord:
    """Lets somebody in again who was suspended."""
    await accounts.reinstate_user(transaction, user_id)
    return await accounts.get_account(transaction, user_id)


async def erase_user(
    transaction: Transaction, actor: Actor, user_id: UUID, now: datetime
) -> tuple[AccountRecord, Sequence[ChangedAppointment]]:
    """Erases the account of a patient or a doctor, as they can themselves; again changes nothing.

    Returns the account and the appointments that were cancelled. Only a doctor who is suspended may have upcoming
    ones: nobody else can cancel them. Otherwise ``has_appointments``. ``not_yourself``, and ``wrong_role`` for another
    administrator.
    """
    if user_id == actor.id:
        raise DomainError("not_yourself")
    account = await accounts.get_account(transaction, user_id)
    if account.status is AccountStatus.ERASED:
        return account, ()
    is_suspended = account.status is AccountStatus.SUSPENDED
    whose = Actor(account.id, account.role, account.name)
    cancelled = await erase(transaction, whose, now, by=actor.id, cancel_visits=is_suspended)
    return await accounts.get_account(transaction, user_id), cancelled


async def end_sessions(transaction: Transaction, user_id: UUID) -> AccountRecord:
    """Logs somebody out everywhere."""
    await users.lock_user(transaction, user_id)
    account = await accounts.get_account(transaction, user_id)
    await sessions.delete_sessions(transaction, user_id)
    await users.delete_password_resets(transaction, user_id)
    return account


async def remove_second_factor(transaction: Transaction, actor: Actor, user_id: UUID) -> tuple[AccountRecord, bool]:
    """For somebody who has lost authenticator and recovery codes; logs her out everywhere.

    Returns whose it was, and whether a second factor was asked for. ``not_yourself``, for whoever has logged in a
    moment ago removes her own as everybody does.
    """
    if user_id == actor.id:
        raise DomainError("not_yourself")
    account = await end_sessions(transaction, user_id)
    return account, await second_factors.delete_second_factor(transaction, user_id)


async def break_glass(
    transaction: Transaction, patient_id: UUID, now: datetime
) -> tuple[UserRecord, Sequence[AppointmentRecord]]:
    """A patient and her visits, for somebody who has no part in them; ``not_found`` if it is no patient."""
    account = await accounts.get_account(transaction, patient_id)
    if account.role is not Role.PATIENT:
        raise DomainError("not_found")
    patient = await users.get_user(transaction, patient_id)
    return patient, await list_visits(transaction, patient, now)
