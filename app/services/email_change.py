"""Change the email address of an account (ADR 0054)."""

from dataclasses import dataclass
from datetime import datetime

from app.core.audit_actions import AuditAction
from app.core.clients import Client
from app.core.errors import DomainError
from app.core.mail_kinds import MailKind
from app.core.permissions import Actor, Role
from app.core.security import Passwords, hash_token, new_token
from app.core.settings import Settings
from app.db.database import Database, Transaction
from app.repositories import confirmations, email_changes, sessions, users
from app.repositories.email_changes import EMAIL_CHANGE_LIFETIME
from app.services.accounts import check_current_password
from app.services.audit import Event, record
from app.services.confirmation import list_if_confirmed, require_message
from app.services.login_throttle import forget_attempts, password_counters
from app.services.submissions import Submission


@dataclass(frozen=True, slots=True)
class RequestedChange:
    """What is mailed after a request: the code to the new address, a notice to the current one. Both are counted."""

    address: str
    new_address: str
    token: str


@dataclass(frozen=True, slots=True)
class ChangedAddress:
    """The previous address, to be notified, and the new one."""

    previous: str
    new: str


async def request_email_change(
    database: Database,
    passwords: Passwords,
    settings: Settings,
    actor: Actor,
    *,
    new_email: str,
    current_password: str,
    client: Client,
    now: datetime,
    submission: Submission | None = None,
) -> RequestedChange:
    """Store a request to change the actor's address, which replaces an earlier one.

    Whether the new address has an account is not looked up, so the result cannot reveal it (ADR 0005). Raises
    ``invalid_request`` for a wrong password, which counts as a failed log-in, ``too_many_attempts``, and
    ``too_many_messages`` if one of the two addresses has received too many within the hour, and ``key_reused`` for a
    form that was sent twice.
    """
    async with database.read() as transaction:
        user = await users.get_user(transaction, actor.id)
    credentials = await check_current_password(
        database,
        passwords,
        settings,
        AuditAction.REQUEST_EMAIL_CHANGE,
        email=user.email,
        password=current_password,
        client=client,
        now=now,
    )
    async with database.write() as transaction:
        # Committed even if the request is refused below: the password was right.
        counters = password_counters(settings, user.email, client, known_device=credentials.known_device)
        await forget_attempts(transaction, counters)
    token = new_token()
    async with database.write() as transaction:
        # While the password was compared, another request may have changed it or the address.
        if not await users.holds_credentials(transaction, actor.id, user.email, credentials.password_hash):
            raise DomainError("not_authenticated")
        if submission and not await submission.accept(transaction, actor.id, now):
            raise DomainError("key_reused")
        await require_message(transaction, settings, MailKind.EMAIL_CHANGE, new_email, now)
        # The notice is required, too. If it were left out like others, several requests would hide a further one; and
        # an account could send codes to any number of addresses.
        await require_message(transaction, settings, MailKind.EMAIL_CHANGE_REQUESTED, user.email, now)
        await email_changes.replace_email_change(
            transaction, actor.id, new_email, token_hash=hash_token(token), expires_at=now + EMAIL_CHANGE_LIFETIME
        )
        requested = Event(
            AuditAction.REQUEST_EMAIL_CHANGE,
            actor_id=actor.id,
            actor_role=actor.role,
            object_id=actor.id,
            client=client,
        )
        await record(transaction, requested, now=now)
    return RequestedChange(user.email, new_email, token)


async def change_email(
    transaction: Transaction, settings: Settings, actor: Actor, token: str, now: datetime
) -> ChangedAddress:
    """Change the actor's address to the requested one, which is confirmed from now on.

    Ends all other sessions, and all tokens that were mailed to the previous address. Raises
    ``invalid_confirmation_token`` if this is not the token of the actor's newest request, and ``email_taken`` if the
    address has an account, in canonical form.
    """
    if actor.role is Role.DOCTOR and not actor.email_confirmed:
        # Locks the doctor before the account, like every change of a doctor.
        await list_if_confirmed(transaction, settings, actor.id, now)
    user = await users.lock_user_to_change_address(transaction, actor.id)
    if user is None:
        raise DomainError("not_authenticated")
    new_email = await email_changes.redeem_email_change(transaction, actor.id, token_hash=hash_token(token), now=now)
    if new_email is None:
        raise DomainError("invalid_confirmation_token")
    if not await email_changes.update_email(transaction, actor.id, new_email, now):
        raise DomainError("email_taken")
    await confirmations.delete_token(transaction, actor.id)
    await users.delete_valid_password_resets(transaction, actor.id, now)
    # The counters of wrong passwords stay as they are, also those of the new address (ADR 0054).
    await sessions.delete_sessions(transaction, actor.id, keep=actor.get_login().session_id)
    return ChangedAddress(user.email, new_email)
