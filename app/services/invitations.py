"""Invite doctors, and accept invitations, also those of clinics (ADR 0043, ADR 0055)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from app.core.audit_actions import AuditAction
from app.core.clients import Client
from app.core.clinic_permissions import MemberRole
from app.core.errors import DomainError, invalid_field
from app.core.mail_kinds import MailKind
from app.core.permissions import Actor, Permission, Role
from app.core.security import Passwords, hash_token, new_token
from app.core.settings import Settings
from app.db.database import Database, Transaction
from app.repositories import accounts, clinics, invitations, users
from app.repositories.invitations import INVITATION_LIFETIME, InvitationRecord
from app.repositories.members import RoleRecord
from app.repositories.users import UserRecord
from app.services.accounts import add_account, check_new_password
from app.services.audit import Event, record
from app.services.confirmation import issue_token, require_message
from app.services.members import join_clinic
from app.services.submissions import Submission


async def invite_doctor(
    transaction: Transaction,
    settings: Settings,
    actor: Actor,
    *,
    email: str,
    name: str | None,
    specialty: str | None,
    time_zone: str | None,
    now: datetime,
) -> tuple[InvitationRecord, str]:
    """Create an invitation, which replaces an earlier one to the same address. Returns it with its token.

    Must be called after ``begin_decision``: two concurrent calls could exceed the limit of open invitations. Raises
    ``email_taken`` if the address has an account, ``too_many`` if the limit of open invitations is reached, and
    ``too_many_messages`` if the address has received too many within the hour.
    """
    # Accepting checks this again: an invitation does not reserve an address (ADR 0043).
    if await accounts.page_accounts(transaction, email=email, q=None, role=None, status=None, after=None, limit=1):
        raise DomainError("email_taken")
    # Before the others are counted: a new invitation to the same address needs no additional room.
    await invitations.delete_invitations_of(transaction, email)
    if await invitations.count_invitations(transaction, now) >= settings.max_open_invitations:
        raise DomainError("too_many")
    await require_message(transaction, settings, MailKind.INVITATION, email, now)
    invitation = InvitationRecord(
        uuid7(),
        Role.DOCTOR,
        email,
        name,
        specialty,
        time_zone,
        created_at=now,
        expires_at=now + INVITATION_LIFETIME,
        created_by=actor.id,
    )
    token = new_token()
    await invitations.insert_invitation(transaction, invitation, token_hash=hash_token(token))
    return invitation, token


async def get_invitation(transaction: Transaction, token: str, now: datetime) -> InvitationRecord:
    """Return the open invitation with this token. Raises ``invalid_invitation_token`` if there is none."""
    invitation = await invitations.find_invitation(transaction, hash_token(token), now)
    if invitation is None:
        raise DomainError("invalid_invitation_token")
    return invitation


async def cancel_invitation(transaction: Transaction, invitation_id: UUID, now: datetime) -> None:
    """Cancel an open invitation. Raises ``not_found`` if it is not open."""
    if not await invitations.delete_invitation(transaction, invitation_id, now):
        raise DomainError("not_found")


@dataclass(frozen=True, slots=True)
class AcceptedInvitation:
    """The account of somebody who has accepted an invitation."""

    user: UserRecord
    confirmation_token: str | None = None
    """The token to be mailed that confirms the address; ``None`` if the address need not be confirmed."""


async def accept_invitation(
    database: Database,
    passwords: Passwords,
    settings: Settings,
    *,
    token: str,
    name: str,
    password: str,
    specialty: str | None,
    time_zone: str | None,
    client: Client,
    now: datetime,
    submission: Submission | None = None,
) -> AcceptedInvitation:
    """Create the account of an invited person. A person whom a clinic has invited becomes its member.

    A doctor whom an administrator has invited has a confirmed address and is approved. A clinic can give neither: its
    managers are shown the token, and anyone can become one of them. Raises ``invalid_invitation_token`` if the token
    cannot be used, ``email_taken`` if the address has an account by now, and ``invalid_request`` for a weak password,
    or if the time zone of a doctor is missing.
    """
    async with database.read() as transaction:
        invitation = await get_invitation(transaction, token, now)
    if invitation.role is Role.DOCTOR and time_zone is None:
        raise invalid_field("time_zone", "time_zone_of_doctor")
    check_new_password(
        password, email=invitation.email, name=name, refuse_weak=settings.refuses_weak_passwords, field="password"
    )
    # Outside of the transactions, so that no connection is held while the password is hashed.
    async with passwords.take_turn(str(invitation.id)):
        password_hash = await passwords.hash(password)
    # The token came by mail, so the address is confirmed (ADR 0043), unless others were shown it, too (ADR 0055).
    by_administrator = invitation.clinic_id is None
    user = UserRecord(
        uuid7(), invitation.email, name, invitation.role, now, email_confirmed_at=now if by_administrator else None
    )
    async with database.write() as transaction:
        # The token may have been used, or the invitation cancelled, while the password was hashed.
        await _redeem(transaction, invitation, token, now)
        await add_account(
            transaction,
            user,
            password_hash,
            specialty=specialty,
            time_zone=time_zone or "UTC",
            approved=by_administrator or settings.lists_new_doctors,
            event=Event(AuditAction.ACCEPT_INVITATION, client=client),
        )
        if submission:
            await submission.accept(transaction, user.id, now)
        await _join(transaction, invitation, user.id, now)
        confirmation = None if by_administrator else await issue_token(transaction, user.id, now)
    return AcceptedInvitation(user, confirmation)


async def accept_as_member(
    database: Database, actor: Actor, *, token: str, client: Client, now: datetime
) -> AcceptedInvitation:
    """Let an account that exists join the clinic that has invited it. The account keeps its role and its address.

    The address of the invitation need not be that of the account: whoever has the token may use it. Raises
    ``invalid_invitation_token`` if the token cannot be used; ``email_taken`` if the invitation is one of a doctor by an
    administrator, which only creates accounts; ``wrong_role`` for an administrator, who must not see patients; and
    ``not_a_doctor``.
    """
    async with database.write() as transaction:
        invitation = await get_invitation(transaction, token, now)
        if invitation.clinic_id is None:
            raise DomainError("email_taken")
        if actor.may(Permission.BREAK_GLASS):
            raise DomainError("wrong_role")
        if invitation.member_role is MemberRole.DOCTOR and not actor.may(Permission.SEE_OWN_CALENDAR):
            raise DomainError("not_a_doctor")
        await _redeem(transaction, invitation, token, now)
        await _join(transaction, invitation, actor.id, now)
        event = Event(
            AuditAction.ACCEPT_INVITATION,
            actor_id=actor.id,
            actor_role=actor.role,
            object_id=invitation.clinic_id,
            client=client,
        )
        await record(transaction, event, now=now)
        return AcceptedInvitation(await users.get_user(transaction, actor.id))


async def _redeem(transaction: Transaction, invitation: InvitationRecord, token: str, now: datetime) -> None:
    if invitation.clinic_id is not None:
        # Before the invitation, like everybody who changes both. In another order, two of them could deadlock.
        await clinics.lock_clinic(transaction, invitation.clinic_id)
    if not await invitations.redeem_invitation(transaction, hash_token(token), now):
        raise DomainError("invalid_invitation_token")


async def _join(transaction: Transaction, invitation: InvitationRecord, user_id: UUID, now: datetime) -> None:
    if invitation.clinic_id and invitation.member_role:
        role = RoleRecord(invitation.member_role, valid_until=invitation.valid_until)
        await join_clinic(transaction, invitation.clinic_id, user_id, role, now, invited_by=invitation.created_by)
