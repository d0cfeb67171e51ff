"""Make and change clinics, and invite people to work there (ADR 0055)."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from app.core.clinic_permissions import ClinicActor, ClinicPermission, MemberRole, OnlineBooking
from app.core.errors import DomainError, invalid_field
from app.core.mail_kinds import MailKind
from app.core.permissions import AccountStatus, Actor, Permission, Role
from app.core.security import hash_token, new_token
from app.core.settings import Settings
from app.core.time_zones import get_clinic_day
from app.core.versions import check_version
from app.db.database import Transaction
from app.repositories import accounts, clinics, doctors, invitations, members
from app.repositories.clinics import ClinicRecord
from app.repositories.invitations import INVITATION_LIFETIME, InvitationRecord
from app.repositories.members import RoleRecord
from app.services.confirmation import require_message


async def make_clinic(
    transaction: Transaction,
    settings: Settings,
    actor: Actor | None,
    *,
    name: str,
    public_name: str | None,
    time_zone: str,
    country: str,
    locale: str,
    manager_email: str | None,
    now: datetime,
) -> tuple[ClinicRecord, str | None]:
    """Make a clinic. Return it, with the token of the invitation to its first manager if there is one.

    An administrator (or the command line, ``None``) invites the first manager. A doctor becomes the manager, and the
    only doctor. Raises ``wrong_role`` for a doctor who is not approved, ``already_in_clinic`` for one who works for a
    clinic, ``invalid_request`` if ``manager_email`` is missing or must be left out, and ``too_many_messages``.
    """
    clinic = ClinicRecord(
        uuid7(),
        name,
        public_name or name,
        time_zone,
        country,
        locale,
        OnlineBooking.EVERYBODY,
        desk_may_overbook=False,
        created_at=now,
    )
    if actor is None or actor.may(Permission.APPOINT_MANAGERS):
        if manager_email is None:
            raise invalid_field("manager_email", "manager_required")
        await clinics.insert_clinic(transaction, clinic)
        _, token = await _invite(
            transaction,
            settings,
            clinic.id,
            email=manager_email,
            role=MemberRole.MANAGER,
            valid_until=None,
            created_by=actor.id if actor else None,
            now=now,
        )
        return clinic, token
    if manager_email is not None:
        raise invalid_field("manager_email", "manager_is_caller")
    # Locked, so that two requests of the doctor do not make two clinics.
    is_doctor = await doctors.lock_doctor(transaction, actor.id)
    if not is_doctor or (await accounts.get_account(transaction, actor.id)).status is not AccountStatus.ACTIVE:
        raise DomainError("wrong_role")
    if await clinics.works_for_a_clinic(transaction, actor.id):
        raise DomainError("already_in_clinic")
    await clinics.insert_clinic(transaction, clinic)
    for role in (MemberRole.MANAGER, MemberRole.DOCTOR):
        await members.save_role(transaction, clinic.id, actor.id, RoleRecord(role), now=now, created_by=actor.id)
    await clinics.save_clinic_doctor(transaction, clinic.id, actor.id, valid_from=None, valid_until=None, now=now)
    return clinic, None


async def change_clinic(
    transaction: Transaction,
    member: ClinicActor,
    changes: Mapping[str, Any],
    now: datetime,
    *,
    versions: frozenset[str] | None = None,
) -> ClinicRecord:
    """Change some fields of a clinic. Raises ``version_mismatch`` unless it has one of these versions."""
    clinic = await begin_change(transaction, member, now)
    check_version(clinic.content, versions)
    if changes:
        await clinics.update_clinic(transaction, clinic.id, changes)
    return await clinics.get_clinic(transaction, clinic.id)


async def begin_change(transaction: Transaction, member: ClinicActor, now: datetime) -> ClinicRecord:
    """Let only this member change the clinic and its members until the transaction ends.

    Raises ``not_found`` if the member may no longer manage the clinic after this has waited. So if two managers remove
    each other, only the first one succeeds.
    """
    clinic = await clinics.lock_clinic(transaction, member.clinic_id)
    today = get_clinic_day(clinic.time_zone, now)
    roles = (await members.list_roles_of(transaction, member.id)).get(clinic.id, [])
    valid = frozenset(each.role for each in roles if each.is_valid(today))
    if not ClinicActor(member.actor, clinic.id, today, valid).may(ClinicPermission.MANAGE_CLINIC):
        raise DomainError("not_found")
    return clinic


async def invite_member(
    transaction: Transaction,
    settings: Settings,
    member: ClinicActor,
    *,
    email: str,
    role: MemberRole,
    valid_until: date | None,
    now: datetime,
) -> tuple[InvitationRecord, str]:
    """Invite somebody to work for the clinic of a manager. Return the invitation with its token.

    It replaces an earlier one to the same address. Whether the address has an account makes no difference, so that a
    manager does not learn it. Raises ``too_many`` if the clinic has reached the limit of open invitations, and
    ``too_many_messages`` if the address has received too many within the hour.
    """
    await begin_change(transaction, member, now)
    return await _invite(
        transaction,
        settings,
        member.clinic_id,
        email=email,
        role=role,
        valid_until=valid_until,
        created_by=member.id,
        now=now,
    )


async def appoint_manager(
    transaction: Transaction, settings: Settings, actor: Actor, clinic_id: UUID, *, email: str, now: datetime
) -> tuple[InvitationRecord, str]:
    """Invite a manager, as an administrator. Raises ``has_manager`` if the clinic has one who can log in."""
    clinic = await clinics.lock_clinic(transaction, clinic_id)
    if clinic_id in await find_managed_clinics(transaction, [clinic], now):
        raise DomainError("has_manager")
    return await _invite(
        transaction,
        settings,
        clinic_id,
        email=email,
        role=MemberRole.MANAGER,
        valid_until=None,
        created_by=actor.id,
        now=now,
    )


async def find_managed_clinics(
    transaction: Transaction, found: Iterable[ClinicRecord], now: datetime
) -> frozenset[UUID]:
    """Return the ids of those clinics that have a manager today who can log in."""
    days = {clinic.id: get_clinic_day(clinic.time_zone, now) for clinic in found}
    managers = await members.list_managers(transaction, *days)
    return frozenset(
        clinic_id for clinic_id, roles in managers.items() if any(each.is_valid(days[clinic_id]) for each in roles)
    )


async def _invite(
    transaction: Transaction,
    settings: Settings,
    clinic_id: UUID,
    *,
    email: str,
    role: MemberRole,
    valid_until: date | None,
    created_by: UUID | None,
    now: datetime,
) -> tuple[InvitationRecord, str]:
    # Before the others are counted: a new invitation to the same address needs no additional room.
    await invitations.delete_invitations_of(transaction, email, clinic_id=clinic_id)
    if await invitations.count_invitations(transaction, now, clinic_id=clinic_id) >= settings.max_open_invitations:
        raise DomainError("too_many")
    await require_message(transaction, settings, MailKind.INVITATION, email, now)
    invitation = InvitationRecord(
        uuid7(),
        Role.DOCTOR if role is MemberRole.DOCTOR else Role.STAFF,
        email,
        name=None,
        specialty=None,
        time_zone=None,
        created_at=now,
        expires_at=now + INVITATION_LIFETIME,
        created_by=created_by,
        clinic_id=clinic_id,
        member_role=role,
        valid_until=valid_until,
    )
    token = new_token()
    await invitations.insert_invitation(transaction, invitation, token_hash=hash_token(token))
    return invitation, token


async def cancel_invitation(transaction: Transaction, member: ClinicActor, invitation_id: UUID, now: datetime) -> None:
    """Cancel an open invitation to the clinic. Raises ``not_found`` if it is not open."""
    if not await invitations.delete_invitation(transaction, invitation_id, now, clinic_id=member.clinic_id):
        raise DomainError("not_found")
