"""Log in, refresh and extend sessions, and log out."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hmac import compare_digest
from uuid import UUID

from uuid_utils.compat import uuid7

from app.core.audit_actions import AuditAction
from app.core.clients import Client
from app.core.errors import DomainError, Kind
from app.core.permissions import Actor
from app.core.security import AccessClaims, Passwords, derive_key, keyed_hash, new_device, new_token
from app.core.settings import Settings
from app.core.text import canonical_email
from app.db.database import Database, Transaction
from app.repositories import login_attempts, sessions, users
from app.repositories.sessions import VisitorRecord
from app.repositories.users import Credentials
from app.services import second_factor
from app.services.audit import Event, record
from app.services.login_throttle import Counters, code_counters, count_attempt, forget_attempts, password_counters
from app.services.second_factor import FactorUsed
from app.services.submissions import Submission

REFRESH_GRACE = timedelta(seconds=10)
"""How long the same client may repeat a refresh token, as happens with two tabs or a lost response (ADR 0037)."""
_STEPS_OF_IDLING = 10
"""A session is extended at most this often within its idle time, so that not every request writes."""


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """The tokens of a session."""

    claims: AccessClaims
    refresh_token: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class LogIn(IssuedTokens):
    """The result of a log-in."""

    device: str
    """The cookie that identifies the device from now on."""
    recovery_code_of: str | None = None
    """The address to notify if a recovery code was used."""


@dataclass(frozen=True, slots=True)
class PendingLogIn:
    """A log-in with the right password that still needs a code. It is not a session, and gives no access."""

    email: str
    proof: str
    """Derived from the account and its password hash, so that it becomes invalid when the password changes."""


class CodeRequiredError(DomainError):
    """``second_factor_required``, with the pending log-in to continue."""

    def __init__(self, pending: PendingLogIn) -> None:
        super().__init__("second_factor_required")
        self.pending = pending


class ReusedTokenError(DomainError):
    """A refresh token was used a second time: its session was ended, and its owner must be notified at ``address``."""

    def __init__(self, address: str) -> None:
        super().__init__("invalid_refresh_token")
        self.address = address


async def log_in(
    database: Database,
    passwords: Passwords,
    settings: Settings,
    *,
    email: str,
    password: str,
    otp: str | None,
    client: Client,
    now: datetime,
    submission: Submission | None = None,
) -> LogIn:
    """Start a session.

    A code that the same ``submission`` has already used is accepted again, because the browser has sent the form
    twice.

    Raises ``invalid_credentials`` for a wrong address and a wrong password alike; ``second_factor_required`` (a
    ``CodeRequiredError``) or ``invalid_second_factor`` only after the right password; and ``too_many_attempts`` while
    further attempts must wait.
    """
    credentials = await check_password(
        database, passwords, settings, AuditAction.LOG_IN, email=email, password=password, client=client, now=now
    )
    if otp is not None and credentials.second_factor:
        # Committed before the code is checked, so that concurrent attempts cannot all pass the limit.
        async with database.write() as transaction:
            await count_attempt(transaction, _code_counters(settings, credentials, client), now)
    tried = Event(AuditAction.LOG_IN, object_id=credentials.user_id, client=client)
    # If the hash has weaker parameters than the settings require, renew it: this needs the password.
    renewed_hash = await passwords.hash(password) if passwords.is_outdated(credentials.password_hash) else None
    try:
        return await _begin_session(
            database, settings, credentials, renewed_hash, tried, client, email, otp, now, submission
        )
    except DomainError as error:
        if renewed_hash and error.code == "invalid_credentials":
            # A concurrent log-in has renewed the hash: compare the password with the new one.
            return await log_in(
                database,
                passwords,
                settings,
                email=email,
                password=password,
                otp=otp,
                client=client,
                now=now,
                submission=submission,
            )
        # In a transaction of its own: that of the log-in was rolled back by the error.
        await _record_refusal(database, tried, error, now)
        if error.code == "second_factor_required":
            # The password was right, so its hash can be renewed. The second step cannot do this: it has no password.
            if renewed_hash:
                async with database.write() as transaction:
                    await users.renew_password_hash(
                        transaction, credentials.user_id, renewed_hash, instead_of=credentials.password_hash
                    )
            proof = _prove_password(settings, credentials.user_id, renewed_hash or credentials.password_hash)
            raise CodeRequiredError(PendingLogIn(email, proof)) from error
        raise


async def finish_log_in(
    database: Database,
    settings: Settings,
    pending: PendingLogIn,
    *,
    otp: str,
    client: Client,
    now: datetime,
    submission: Submission | None = None,
) -> LogIn:
    """Start the session of a pending log-in. The code is counted and marked as used as in ``log_in``.

    The caller decides how long a log-in stays pending. Raises ``invalid_credentials`` if the password has changed or
    the account can no longer log in, ``invalid_second_factor``, and ``too_many_attempts`` while further attempts must
    wait.
    """
    async with database.write() as transaction:
        credentials = await users.find_credentials(transaction, pending.email, device=client.device, now=now)
        if credentials is None or not compare_digest(
            pending.proof, _prove_password(settings, credentials.user_id, credentials.password_hash)
        ):
            raise DomainError("invalid_credentials")
        # Counted and committed before the code is checked, as in `log_in`.
        await count_attempt(transaction, _code_counters(settings, credentials, client), now)
    tried = Event(AuditAction.LOG_IN, object_id=credentials.user_id, client=client)
    try:
        return await _begin_session(
            database, settings, credentials, None, tried, client, pending.email, otp, now, submission
        )
    except DomainError as error:
        await _record_refusal(database, tried, error, now)
        raise


def _prove_password(settings: Settings, user_id: UUID, password_hash: str) -> str:
    key = derive_key(settings.secret_key.get_secret_value(), "pending log-ins")
    return keyed_hash(key, f"{user_id}\n{password_hash}")


async def _begin_session(
    database: Database,
    settings: Settings,
    credentials: Credentials,
    renewed_hash: str | None,
    tried: Event,
    client: Client,
    email: str,
    otp: str | None,
    now: datetime,
    submission: Submission | None,
) -> LogIn:
    async with database.write() as transaction:
        # While the password was compared, it or the address may have been changed, which ends all other sessions.
        if not await users.holds_credentials(
            transaction,
            credentials.user_id,
            email,
            credentials.password_hash,
            to_change_it=renewed_hash is not None,
        ):
            raise DomainError("invalid_credentials")
        # The form is accepted first: of two that arrive at once, the second waits here and does not use up the code
        # again (ADR 0042).
        if otp is None or submission is None or await submission.accept(transaction, credentials.user_id, now):
            shown = await second_factor.check(transaction, settings, credentials.user_id, otp, now)
        else:
            shown = FactorUsed.BEFORE
        if renewed_hash:
            await users.update_password(transaction, credentials.user_id, renewed_hash)
        # Only in its own group: a success of the owner must not give new attempts to others who guess (ADR 0033).
        await forget_attempts(
            transaction, password_counters(settings, email, client, known_device=credentials.known_device)
        )
        if shown is not FactorUsed.NOTHING:
            await forget_attempts(transaction, _code_counters(settings, credentials, client))
        device = client.device or new_device(settings.secret_key.get_secret_value())
        await login_attempts.remember_device(
            transaction,
            credentials.user_id,
            device,
            now,
            keeps_cookie=client.device is not None,
            second_factor=shown is not FactorUsed.NOTHING,
        )
        session_id = uuid7()
        ends_at = now + timedelta(hours=settings.session_hours)
        await sessions.insert_session(
            transaction,
            session_id,
            credentials.user_id,
            client,
            second_factor=shown is not FactorUsed.NOTHING,
            now=now,
            expires_at=_expiry(settings, now, ends_at),
            ends_at=ends_at,
        )
        await record(transaction, replace(tried, actor_id=credentials.user_id, actor_role=credentials.role), now=now)
        address = None
        if shown is FactorUsed.RECOVERY_CODE:
            address = (await users.get_user(transaction, credentials.user_id)).email
        claims = AccessClaims(credentials.user_id, session_id)
        return LogIn(claims, await _new_token(transaction, settings, session_id), ends_at, device, address)


def _code_counters(settings: Settings, credentials: Credentials, client: Client) -> Counters:
    return code_counters(settings, credentials.user_id, client, proven_device=bool(credentials.proven_device))


async def check_password(
    database: Database,
    passwords: Passwords,
    settings: Settings,
    action: AuditAction,
    *,
    email: str,
    password: str,
    client: Client,
    now: datetime,
) -> Credentials:
    """Return the account of an address and a password. Raises ``invalid_credentials`` or ``too_many_attempts``.

    The attempt is counted before the password is compared, so that concurrent attempts cannot all pass the limit. An
    address without an account takes the same steps. A wrong password is recorded under the name of the ``action``; an
    attempt that must wait is not. After a success, the caller must call ``forget_attempts`` with ``password_counters``.
    """
    # In a transaction of its own, so that no connection is held while the hash is computed.
    async with database.write() as transaction:
        credentials = await users.find_credentials(transaction, email, device=client.device, now=now)
        known = credentials is not None and credentials.known_device
        counters = password_counters(settings, email, client, known_device=known)
        await count_attempt(transaction, counters, now)
    # A known device has a queue of its own, so that it does not wait for others that attack the same account.
    async with passwords.take_turn(f"{canonical_email(email)}\n{client.device if known else ''}"):
        # Also without an account: a decoy hash takes the same time (ADR 0005).
        matches = await passwords.matches(password, credentials.password_hash if credentials else None)
    if credentials and matches:
        return credentials
    # Recorded for unknown addresses, too, so that the same statements run in both cases (ADR 0005).
    whom = credentials.user_id if credentials else None
    await _record_failure(database, Event(action, "invalid_credentials", object_id=whom, client=client), now)
    raise DomainError("invalid_credentials")


async def _record_refusal(database: Database, tried: Event, error: DomainError, now: datetime) -> None:
    """Record a log-in that was refused, but not one that failed because the server was busy."""
    if error.kind is Kind.UNAUTHENTICATED:
        await _record_failure(database, replace(tried, outcome=error.code), now)


async def _record_failure(database: Database, failure: Event, now: datetime) -> None:
    async with database.write() as transaction:
        await record(transaction, failure, now=now)


async def refresh(database: Database, settings: Settings, *, token: str, client: Client, now: datetime) -> IssuedTokens:
    """Continue a session with a new refresh token. Raises ``invalid_refresh_token`` if the session has ended.

    If a token is used a second time, it may have been stolen: the session is ended (RFC 9700 section 4.14.2), and
    ``ReusedTokenError`` is raised. Within ``REFRESH_GRACE``, the client that used it receives the same new token again.
    """
    token_hash = _hash_refresh_token(settings, token)
    grant = None
    error = DomainError("invalid_refresh_token")
    async with database.write() as transaction:
        found = await sessions.find_session(transaction, token_hash, now)
        # Compare in both directions, because the clocks of servers differ. A token that was used while a clock was far
        # ahead must not stay repeatable until that time.
        grace = now - REFRESH_GRACE, now + REFRESH_GRACE
        if found and await sessions.use_refresh_token(transaction, token_hash, client, now):
            await sessions.extend_session(
                transaction, found.id, now=now, expires_at=_expiry(settings, now, found.ends_at)
            )
            # The used token stays stored: if it comes back, two parties have it (RFC 9700 section 4.14.2).
            next_token = _next_token(settings, token)
            await sessions.insert_refresh_token(transaction, found.id, _hash_refresh_token(settings, next_token))
            grant = IssuedTokens(AccessClaims(found.user_id, found.id), next_token, found.ends_at)
        elif found and await sessions.was_used_by(transaction, token_hash, client, *grace):
            # Nothing is written: the successor was stored with the first use, and is computed again (ADR 0037).
            grant = IssuedTokens(AccessClaims(found.user_id, found.id), _next_token(settings, token), found.ends_at)
        elif found:
            await sessions.delete_session(transaction, found.user_id, found.id)
            stolen = Event(AuditAction.REFRESH, "invalid_refresh_token", object_id=found.user_id, client=client)
            await record(transaction, stolen, now=now)
            error = ReusedTokenError((await users.get_user(transaction, found.user_id)).email)
    if grant is None:
        # Raised after the transaction: inside it, the error would roll back the end of the session.
        raise error
    return grant


def _next_token(settings: Settings, token: str) -> str:
    # Derived from the old token with a key, so that it can be issued again although only its hash is stored.
    key = derive_key(settings.secret_key.get_secret_value(), "next refresh tokens")
    return keyed_hash(key, token)


def is_idle(settings: Settings, visitor: VisitorRecord, now: datetime) -> bool:
    """Return whether enough of the idle time has passed that extending the session is worth a write."""
    return now - visitor.refreshed_at >= timedelta(minutes=settings.session_idle_minutes) / _STEPS_OF_IDLING


async def extend_session(database: Database, settings: Settings, visitor: VisitorRecord, now: datetime) -> None:
    """Extend the session of a visitor in a transaction of its own. Does nothing if it has ended meanwhile."""
    session_id = visitor.actor.get_login().session_id
    async with database.write() as transaction:
        await sessions.extend_session(
            transaction, session_id, now=now, expires_at=_expiry(settings, now, visitor.ends_at)
        )


def _expiry(settings: Settings, now: datetime, ends_at: datetime) -> datetime:
    # A session ends at its maximum age, even if it is in use (NIST SP 800-63B-4 section 2.2.3).
    return min(now + timedelta(minutes=settings.session_idle_minutes), ends_at)


async def _new_token(transaction: Transaction, settings: Settings, session_id: UUID) -> str:
    token = new_token()
    await sessions.insert_refresh_token(transaction, session_id, _hash_refresh_token(settings, token))
    return token


def _hash_refresh_token(settings: Settings, token: str) -> str:
    # With a key, so that a new SECRET_KEY ends all sessions.
    return keyed_hash(derive_key(settings.secret_key.get_secret_value(), "refresh tokens"), token)


async def delete_expired(transaction: Transaction, now: datetime) -> None:
    """Delete expired sessions, and attempts and devices that no longer matter. This only saves space."""
    await sessions.delete_expired_sessions(transaction, now)
    await login_attempts.delete_old_attempts(transaction, now)
    await login_attempts.delete_old_devices(transaction, now)


async def end_all_sessions(transaction: Transaction, actor: Actor) -> None:
    """End all sessions of the actor, including that of a log-in that is in progress."""
    # Waits for a log-in in progress, which holds a shared lock on the account, so that its session is deleted, too.
    await users.lock_user(transaction, actor.id)
    await sessions.delete_sessions(transaction, actor.id)


async def end_session(transaction: Transaction, actor: Actor, session_id: UUID) -> None:
    """End one of the actor's sessions. Raises ``not_found`` if it is not the actor's, or has ended."""
    if not await sessions.delete_session(transaction, actor.id, session_id):
        raise DomainError("not_found")
