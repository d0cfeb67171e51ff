"""Invite doctors, and accept invitations (ADR 0043)."""

from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from app.core.audit_actions import AuditAction
from app.core.clients import Client
from app.core.errors import DomainError
from app.core.mail_kinds import MailKind
from app.core.permissions import Actor, Role
from app.core.security import Passwords, hash_token, new_token
from app.core.settings import Settings
from app.db.database import Database, Transaction
from app.repositories import accounts, invitations
from app.repositories.invitations import INVITATION_LIFETIME, InvitationRecord
from app.repositories.users import UserRecord
from app.services.accounts import add_account, check_new_password
from app.services.audit import Event
from app.services.confirmation import require_message
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
        uuid7(), Role.DOCTOR, email, name, specialty, time_zone, created_at=now, expires_at=now + INVITATION_LIFETIME
    )
    token = new_token()
    await invitations.insert_invitation(transaction, invitation, token_hash=hash_token(token), created_by=actor.id)
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


async def accept_invitation(
    database: Database,
    passwords: Passwords,
    settings: Settings,
    *,
    token: str,
    name: str,
    password: str,
    specialty: str | None,
    time_zone: str,
    client: Client,
    now: datetime,
    submission: Submission | None = None,
) -> UserRecord:
    """Create the account of an invited doctor, with a confirmed address and approved.

    Raises ``invalid_invitation_token`` if the token cannot be used, ``email_taken`` if the address has an account by
    now, and ``invalid_request`` for a weak password.
    """
    async with database.read() as transaction:
        invitation = await get_invitation(transaction, token, now)
    check_new_password(
        password, email=invitation.email, name=name, refuse_weak=settings.refuses_weak_passwords, field="password"
    )
    # Outside of the transactions, so that no connection is held while the password is hashed.
    async with passwords.take_turn(str(invitation.id)):
        password_hash = await passwords.hash(password)
    # The token came by mail, so the address is confirmed (ADR 0043).
    user = UserRecord(uuid7(), invitation.email, name, invitation.role, now, email_confirmed_at=now)
    async with database.write() as transaction:
        # The token may have been used, or the invitation cancelled, while the password was hashed.
        if not await invitations.redeem_invitation(transaction, hash_token(token), now):
            raise DomainError("invalid_invitation_token")
        await add_account(
            transaction,
            user,
            password_hash,
            specialty=specialty,
            time_zone=time_zone,
            approved=True,
            event=Event(AuditAction.ACCEPT_INVITATION, client=client),
        )
        if submission:
            await submission.accept(transaction, user.id, now)
    return user
