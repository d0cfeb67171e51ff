"""What administrators decide about accounts."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.core.errors import DomainError
from app.core.permissions import AccountStatus, Actor, Role
from app.core.settings import Settings
from app.core.versions import check_version
from app.db.session import Session
from app.repositories import accounts, doctors, invitations, second_factors, sessions, users
from app.repositories.accounts import AccountRecord
from app.repositories.appointments import AppointmentRecord, ChangedAppointment
from app.repositories.users import UserRecord
from app.services.privacy import erase, list_visits


async def approve_doctor(
    session: Session, settings: Settings, user_id: UUID, now: datetime, *, versions: frozenset[str] | None = None
) -> AccountRecord:
    """Lists a doctor, so that patients can book; again changes nothing. ``not_found`` if it is no doctor.

    ``doctor_not_confirmed`` where a confirmed address is required and the doctor's is not. ``version_mismatch`` if
    ``versions`` (see ``core.versions``) does not name that of ``reviewed_content``.
    """
    account = await accounts.get_account(session, user_id)
    if account.role is not Role.DOCTOR or account.status is AccountStatus.ERASED:
        raise DomainError("not_found")
    if versions is not None:
        # The doctor cannot change the name or specialty between this check and the approval.
        await doctors.begin_rule_change(session, user_id)
        account = await accounts.get_account(session, user_id)
        check_version(account.reviewed_content, versions)
    if settings.requires_confirmed_email and account.email_confirmed_at is None:
        raise DomainError("doctor_not_confirmed")
    await accounts.approve_doctor(session, user_id, now)
    return await accounts.get_account(session, user_id)


async def suspend_user(session: Session, actor: Actor, user_id: UUID, now: datetime) -> AccountRecord:
    """Keeps somebody out and ends their sessions and the invitations that they have sent.

    A doctor is no longer listed, and what is booked stays.

    ``not_yourself``, so that there is always an administrator left.
    """
    if user_id == actor.id:
        raise DomainError("not_yourself")
    # Of two who suspend each other one was first, and the other one is none any more.
    await users.lock_user(session, actor.id, user_id)
    if (await accounts.get_account(session, actor.id)).status is not AccountStatus.ACTIVE:
        raise DomainError("not_authenticated")
    await accounts.suspend_user(session, user_id, now)
    await sessions.delete_sessions(session, user_id)
    await users.delete_password_resets(session, user_id)
    await invitations.delete_invitations_by(session, user_id)
    return await accounts.get_account(session, user_id)


async def reinstate_user(session: Session, user_id: UUID) -> AccountRecord:
    """Lets somebody in again who was suspended."""
    await accounts.reinstate_user(session, user_id)
    return await accounts.get_account(session, user_id)


async def erase_user(
    session: Session, actor: Actor, user_id: UUID, now: datetime
) -> tuple[AccountRecord, Sequence[ChangedAppointment]]:
    """Erases the account of a patient or a doctor, as they can themselves; again changes nothing.

    Returns the account and the appointments that were cancelled. Only a doctor who is suspended may have upcoming
    ones: nobody else can cancel them. Otherwise ``has_appointments``. ``not_yourself``, and ``wrong_role`` for another
    administrator.
    """
    if user_id == actor.id:
        raise DomainError("not_yourself")
    account = await accounts.get_account(session, user_id)
    if account.status is AccountStatus.ERASED:
        return account, ()
    is_suspended = account.status is AccountStatus.SUSPENDED
    whose = Actor(account.id, account.role, account.name)
    cancelled = await erase(session, whose, now, by=actor.id, cancel_visits=is_suspended)
    return await accounts.get_account(session, user_id), cancelled


async def end_sessions(session: Session, user_id: UUID) -> AccountRecord:
    """Logs somebody out everywhere."""
    await users.lock_user(session, user_id)
    account = await accounts.get_account(session, user_id)
    await sessions.delete_sessions(session, user_id)
    await users.delete_password_resets(session, user_id)
    return account


async def remove_second_factor(session: Session, actor: Actor, user_id: UUID) -> tuple[AccountRecord, bool]:
    """For somebody who has lost authenticator and recovery codes; logs her out everywhere.

    Returns whose it was, and whether a second factor was asked for. ``not_yourself``, for whoever has logged in a
    moment ago removes her own as everybody does.
    """
    if user_id == actor.id:
        raise DomainError("not_yourself")
    account = await end_sessions(session, user_id)
    return account, await second_factors.delete_second_factor(session, user_id)


async def break_glass(
    session: Session, patient_id: UUID, now: datetime
) -> tuple[UserRecord, Sequence[AppointmentRecord]]:
    """A patient and her visits, for somebody who has no part in them; ``not_found`` if it is no patient."""
    account = await accounts.get_account(session, patient_id)
    if account.role is not Role.PATIENT:
        raise DomainError("not_found")
    patient = await users.get_user(session, patient_id)
    return patient, await list_visits(session, patient, now)
