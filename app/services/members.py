"""Join and leave clinics, and change roles and scopes (ADR 0055)."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from uuid import UUID

from app.core.clinic_permissions import ClinicActor, ClinicPermission, MemberRole
from app.core.errors import DomainError, invalid_field
from app.core.time_zones import get_clinic_day
from app.core.versions import check_version
from app.db.database import Transaction
from app.repositories import clinics, invitations, members
from app.repositories.clinics import ClinicRecord
from app.repositories.members import MemberRecord, RoleRecord
from app.services.clinics import begin_change


async def join_clinic(
    transaction: Transaction,
    clinic_id: UUID,
    user_id: UUID,
    role: RoleRecord,
    now: datetime,
    *,
    invited_by: UUID | None,
) -> None:
    """Give a role in a clinic to somebody who has accepted an invitation. The clinic must be locked."""
    await members.save_role(transaction, clinic_id, user_id, role, now=now, created_by=invited_by)
    if role.role is MemberRole.DOCTOR:
        await _save_clinic_doctor(transaction, clinic_id, user_id, role, now)


async def change_member(
    transaction: Transaction,
    actor: ClinicActor,
    user_id: UUID,
    *,
    roles: Sequence[RoleRecord] | None,
    doctors: Iterable[UUID] | None,
    now: datetime,
    versions: frozenset[str] | None = None,
) -> MemberRecord:
    """Replace the roles and the scope of a member; ``None`` leaves them as they are. Return the changed member.

    Raises ``not_found``; ``version_mismatch`` unless the member has one of these versions; ``last_manager``;
    ``invitation_required`` if the member is to become a doctor of the clinic; and ``invalid_request`` if the scope
    names others than doctors of the clinic.
    """
    clinic = await begin_change(transaction, actor, now)
    member = await members.get_member(transaction, clinic.id, user_id)
    check_version(member.content, versions)
    if doctors is not None:
        await _replace_scope(transaction, member, clinic, frozenset(doctors), now)
    if roles is not None:
        before = await _rate_managers(transaction, clinic, now)
        await _replace_roles(transaction, actor, clinic, member, roles, now)
        await _check_managers(transaction, clinic, now, before)
    return await members.get_member(transaction, clinic.id, user_id)


async def _replace_scope(
    transaction: Transaction, member: MemberRecord, clinic: ClinicRecord, doctors: frozenset[UUID], now: datetime
) -> None:
    # Doctors who have left stay in a scope: without them, it could become empty, which means the whole clinic.
    if await clinics.find_foreign_doctors(transaction, clinic.id, doctors - frozenset(member.doctors)):
        raise invalid_field("doctors", "not_in_clinic")
    await members.replace_scope(transaction, clinic.id, member.user_id, doctors, now)


async def _replace_roles(
    transaction: Transaction,
    actor: ClinicActor,
    clinic: ClinicRecord,
    member: MemberRecord,
    roles: Sequence[RoleRecord],
    now: datetime,
) -> None:
    had, kept = {each.role for each in member.roles}, {each.role for each in roles}
    if MemberRole.DOCTOR in kept - had:
        raise DomainError("invitation_required")
    for role in roles:
        await members.save_role(transaction, clinic.id, member.user_id, role, now=now, created_by=actor.id)
        if role.role is MemberRole.DOCTOR:
            await _save_clinic_doctor(transaction, clinic.id, member.user_id, role, now)
    await members.end_roles(transaction, clinic.id, member.user_id, now, keep=kept)
    if MemberRole.DOCTOR in had - kept:
        await clinics.delete_clinic_doctor(transaction, clinic.id, member.user_id)
    if MemberRole.MANAGER in had - kept:
        await invitations.delete_invitations_by(transaction, member.user_id, clinic_id=clinic.id)


async def _save_clinic_doctor(
    transaction: Transaction, clinic_id: UUID, doctor_id: UUID, role: RoleRecord, now: datetime
) -> None:
    days = {"valid_from": role.valid_from, "valid_until": role.valid_until}
    await clinics.save_clinic_doctor(transaction, clinic_id, doctor_id, now=now, **days)


async def end_membership(transaction: Transaction, actor: ClinicActor, user_id: UUID, now: datetime) -> None:
    """Remove a member from the clinic, or let the actor leave it.

    Raises ``wrong_role`` if the actor may only leave themselves, ``not_found`` and ``last_manager``.
    """
    if user_id == actor.id:
        clinic = await clinics.lock_clinic(transaction, actor.clinic_id)
    elif actor.may(ClinicPermission.MANAGE_CLINIC):
        clinic = await begin_change(transaction, actor, now)
    else:
        raise DomainError("wrong_role")
    await members.get_member(transaction, clinic.id, user_id)
    before = await _rate_managers(transaction, clinic, now)
    await _leave(transaction, clinic.id, user_id, now)
    await _check_managers(transaction, clinic, now, before)


async def leave_clinics(transaction: Transaction, user_id: UUID, now: datetime, *, by_themselves: bool) -> None:
    """End all memberships of an account that is being erased. A clinic in which nobody is left is closed.

    Raises ``last_manager`` if the owner of the account leaves a clinic with members and without a manager. An
    administrator who erases the account can appoint another manager afterwards.
    """
    # In one order, to avoid deadlocks.
    for clinic_id in sorted(await members.list_roles_of(transaction, user_id)):
        clinic = await clinics.lock_clinic(transaction, clinic_id)
        before = await _rate_managers(transaction, clinic, now)
        await _leave(transaction, clinic_id, user_id, now)
        if not await members.has_members(transaction, clinic_id):
            await clinics.close_clinic(transaction, clinic_id, now)
        elif by_themselves:
            await _check_managers(transaction, clinic, now, before)


async def _leave(transaction: Transaction, clinic_id: UUID, user_id: UUID, now: datetime) -> None:
    await members.end_roles(transaction, clinic_id, user_id, now)
    await members.replace_scope(transaction, clinic_id, user_id, (), now)
    await clinics.delete_clinic_doctor(transaction, clinic_id, user_id)
    # Otherwise somebody who has left could still let others in.
    await invitations.delete_invitations_by(transaction, user_id, clinic_id=clinic_id)


async def _rate_managers(transaction: Transaction, clinic: ClinicRecord, now: datetime) -> int:
    """Return 2 if the clinic has a manager without a last day, 1 if it has one today, and 0 if it has none."""
    today: date = get_clinic_day(clinic.time_zone, now)
    managers = await members.list_managers(transaction, clinic.id)
    valid = [each for each in managers[clinic.id] if each.is_valid(today)]
    if any(each.valid_until is None for each in valid):
        return 2
    return 1 if valid else 0


async def _check_managers(transaction: Transaction, clinic: ClinicRecord, now: datetime, before: int) -> None:
    if await _rate_managers(transaction, clinic, now) < before:
        raise DomainError("last_manager")
