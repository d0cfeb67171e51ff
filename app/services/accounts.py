"""Register accounts, and change names and passwords."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from uuid_utils.compat import uuid7

from app.core.audit_actions import AuditAction
from app.core.clients import Client
from app.core.errors import DomainError, invalid_field
from app.core.mail_kinds import MailKind
from app.core.permissions import Actor, Role
from app.core.security import Passwords, find_weakness, hash_token, new_device, new_token
from app.core.settings import Settings
from app.core.text import canonical_email
from app.core.versions import check_version
from app.db.database import Database, Transaction
from app.repositories import doctors, login_attempts, patients, sessions, users
from app.repositories.confirmations import confirm_email
from app.repositories.doctors import DoctorRecord
from app.repositories.email_changes import delete_email_change
from app.repositories.patients import PatientRecord
from app.repositories.users import RESET_TOKEN_LIFETIME, Credentials, UserRecord
from app.services.audit import Event, record
from app.services.confirmation import count_message, list_if_confirmed
from app.services.login_throttle import forget_attempts, forget_wrong_passwords, password_counters
from app.services.profile_review import get_wanted_name, hold_back, rename_doctor
from app.services.sessions import check_password
from app.services.submissions import Submission

MIN_RESET_SECONDS = timedelta(milliseconds=100)
"""The minimum duration of a request for a password reset, so that its timing does not reveal accounts."""


@dataclass(frozen=True, slots=True)
class PasswordResetMail:
    """The content of the mail that lets the owner of an account reset the password."""

    address: str
    token: str


@dataclass(frozen=True, slots=True)
class PasswordSet:
    """The result of a password reset: the address to notify, and the cookie that identifies the device from now on."""

    address: str
    device: str


async def register(
    transaction: Transaction,
    passwords: Passwords,
    *,
    email: str,
    password: str,
    name: str,
    role: Role,
    now: datetime,
    refuse_weak: bool,
    specialty: str | None = None,
    time_zone: str = "UTC",
    approved: bool = True,
    confirmed: bool = False,
    client: Client | None = None,
) -> UserRecord:
    """Create an account and, for a doctor, the public entry, which is listed once the doctor is ``approved``.

    ``confirmed`` says that the address is known to be the owner's. Raises ``email_taken`` if the address has an
    account, and ``invalid_request`` for a weak password if ``refuse_weak``.
    """
    check_new_password(password, email=email, name=name, refuse_weak=refuse_weak, field="password")
    # Before the first statement, so that no connection is held while the password is hashed.
    async with passwords.take_turn(canonical_email(email)):
        password_hash = await passwords.hash(password)
    user = UserRecord(uuid7(), email, name, role, now, email_confirmed_at=now if confirmed else None)
    event = Event(AuditAction.REGISTER, client=client)
    await add_account(
        transaction, user, password_hash, specialty=specialty, time_zone=time_zone, approved=approved, event=event
    )
    return user


async def add_account(
    transaction: Transaction,
    user: UserRecord,
    password_hash: str,
    *,
    specialty: str | None,
    time_zone: str,
    approved: bool,
    event: Event,
) -> None:
    """Insert an account, with its entry as a doctor or its record as a patient.

    ``event`` is recorded in the audit trail. Raises ``email_taken`` if the address has an account.
    """
    now = user.created_at
    await users.insert_user(transaction, user, password_hash)
    if user.role is Role.DOCTOR:
        entry = DoctorRecord(user.id, user.name, specialty, time_zone)
        await doctors.insert_doctor(transaction, entry, approved_at=now if approved else None)
    if user.role is Role.PATIENT:
        await patients.insert_patient(transaction, PatientRecord(user.id, user.id, user.name, now))
    patient_id = user.id if user.role is Role.PATIENT else None
    done = replace(event, actor_id=user.id, actor_role=user.role, object_id=user.id, patient_id=patient_id)
    await record(transaction, done, now=now)


async def change_name(
    transaction: Transaction,
    actor: Actor,
    name: str,
    now: datetime,
    *,
    reviewed: bool = False,
    versions: frozenset[str] | None = None,
) -> UserRecord:
    """Change the actor's name. If names are ``reviewed``, a doctor's takes effect when an administrator accepts it.

    Raises ``version_mismatch`` if ``versions`` (see ``core.versions``) does not contain that of ``get_wanted_name``.
    """
    # Lock the doctor before the account, like every change of a doctor. In another order, two changes could deadlock.
    if actor.role is Role.DOCTOR and not await doctors.lock_doctor(transaction, actor.id):
        raise DomainError("not_authenticated")
    if versions is not None:
        # Locked, so that the name cannot change between the comparison and the update.
        await users.lock_user(transaction, actor.id)
        wanted = await get_wanted_name(transaction, await users.get_user(transaction, actor.id))
        check_version({"name": wanted}, versions)
    if actor.role is not Role.DOCTOR:
        return await users.update_name(transaction, actor.id, name)
    if not await hold_back(transaction, actor.id, {"name": name}, now, reviewed=reviewed):
        return await users.get_user(transaction, actor.id)
    return await rename_doctor(transaction, actor.id, name)


async def request_password_reset(
    database: Database, settings: Settings, *, email: str, now: datetime, submission: Submission | None = None
) -> PasswordResetMail | None:
    """Create a reset token, to be mailed after the response has been sent.

    Returns ``None`` for an unknown address, with the same amount of work; for an address that has received too many
    messages within the hour; and for a form that was sent twice. Runs in a transaction of its own and takes at least
    ``MIN_RESET_SECONDS``, so that timing does not reveal accounts.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + MIN_RESET_SECONDS.total_seconds()
    async with database.write() as transaction:
        # Each request stores a row, even for an unknown address, so each request also deletes expired ones (ADR 0005).
        await users.delete_expired_password_resets(transaction, now)
        user = await users.find_user(transaction, email) if submission else None
        is_repeated = submission and user and not await submission.accept(transaction, user.id, now)
        mail = None if is_repeated else await _make_reset_mail(transaction, settings, email, now)
    # Also after a repeated form, which must not reveal either whether the address has an account.
    await asyncio.sleep(max(0.0, end - loop.time()))
    return mail


async def _make_reset_mail(
    transaction: Transaction, settings: Settings, email: str, now: datetime
) -> PasswordResetMail | None:
    token = new_token()
    token_hash = hash_token(token)
    user = await users.find_reset_recipient(transaction, email, now)
    # For an unknown address, a message is counted under a unique key, so that the response takes the same time.
    if not await count_message(transaction, settings, MailKind.PASSWORD_RESET, email if user else token_hash, now):
        user = None
    await users.insert_password_reset(
        transaction, user.id if user else None, token_hash=token_hash, expires_at=now + RESET_TOKEN_LIFETIME
    )
    return PasswordResetMail(user.email, token) if user else None


async def reset_password(
    database: Database,
    passwords: Passwords,
    settings: Settings,
    *,
    token: str,
    new_password: str,
    client: Client,
    now: datetime,
    submission: Submission | None = None,
) -> PasswordSet:
    """Set a new password, and end all sessions, reset tokens and an open change of the address.

    Failed attempts with passwords are reset, those with codes of the second factor are not: a second factor remains
    required. The token came by mail, so the address counts as confirmed. Raises ``invalid_reset_token`` if the token
    cannot be used.
    """
    token_hash = hash_token(token)
    async with database.read() as transaction:
        user = await users.find_password_reset(transaction, token_hash=token_hash, now=now)
    if user is None:
        raise DomainError("invalid_reset_token")
    check_new_password(
        new_password,
        email=user.email,
        name=user.name,
        refuse_weak=settings.refuses_weak_passwords,
        field="new_password",
    )
    # Between two transactions, so that no connection is held while the password is hashed.
    async with passwords.take_turn(str(user.id)):
        password_hash = await passwords.hash(new_password)
    async with database.write() as transaction:
        # Do this before redeeming the token, which locks the account: a doctor is locked before the account.
        if user.role is Role.DOCTOR and user.email_confirmed_at is None:
            await list_if_confirmed(transaction, settings, user.id, now)
        # The token may have been used while the password was hashed.
        if not await users.redeem_password_reset(transaction, user.id, token_hash=token_hash, now=now):
            raise DomainError("invalid_reset_token")
        if submission:
            await submission.accept(transaction, user.id, now)
        await users.update_password(transaction, user.id, password_hash)
        await confirm_email(transaction, user.id, now)
        await delete_email_change(transaction, user.id)
        await sessions.delete_sessions(transaction, user.id)
        # So that the owner can log in at once: earlier guesses do not count, and this device is known from now on.
        await forget_wrong_passwords(transaction, settings, user.email, client)
        await login_attempts.forget_devices(transaction, user.id, keep=None)
        device = client.device or new_device(settings.secret_key.get_secret_value())
        # Without a second factor: a reset proves only the mailbox, and must not give new guesses at codes (ADR 0033).
        await login_attempts.remember_device(
            transaction, user.id, device, now, keeps_cookie=client.device is not None, second_factor=False
        )
        await record(transaction, Event(AuditAction.RESET_PASSWORD, object_id=user.id, client=client), now=now)
    return PasswordSet(user.email, device)


async def change_password(
    database: Database,
    passwords: Passwords,
    settings: Settings,
    actor: Actor,
    *,
    current_password: str,
    new_password: str,
    client: Client,
    now: datetime,
    submission: Submission | None = None,
) -> str:
    """Set a new password, and end all other sessions, all reset tokens and an open change of the address.

    Returns the address of the account.
    Raises ``invalid_request`` for a wrong current password, which counts as a failed log-in.
    """
    async with database.read() as transaction:
        user = await users.get_user(transaction, actor.id)
    check_new_password(
        new_password,
        email=user.email,
        name=user.name,
        refuse_weak=settings.refuses_weak_passwords,
        field="new_password",
    )
    credentials = await check_current_password(
        database,
        passwords,
        settings,
        AuditAction.CHANGE_PASSWORD,
        email=user.email,
        password=current_password,
        client=client,
        now=now,
    )
    async with passwords.take_turn(str(user.id)):
        password_hash = await passwords.hash(new_password)
    async with database.write() as transaction:
        # While the new password was hashed, another request may have changed it or the address.
        if not await users.holds_credentials(
            transaction, actor.id, user.email, credentials.password_hash, to_change_it=True
        ):
            raise DomainError("not_authenticated")
        if submission:
            await submission.accept(transaction, actor.id, now)
        await users.update_password(transaction, actor.id, password_hash)
        await sessions.delete_sessions(transaction, actor.id, keep=actor.get_login().session_id)
        await users.delete_password_resets(transaction, actor.id)
        await delete_email_change(transaction, actor.id)
        await login_attempts.forget_devices(transaction, actor.id, keep=client.device)
        counters = password_counters(settings, user.email, client, known_device=credentials.known_device)
        await forget_attempts(transaction, counters)
        done = Event(
            AuditAction.CHANGE_PASSWORD, actor_id=actor.id, actor_role=actor.role, object_id=actor.id, client=client
        )
        await record(transaction, done, now=now)
    return user.email


async def check_current_password(
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
    """Check the password of a user who is logged in, as ``check_password`` does.

    Raises ``invalid_request`` for the field ``current_password`` instead of ``invalid_credentials``.
    """
    try:
        return await check_password(
            database, passwords, settings, action, email=email, password=password, client=client, now=now
        )
    except DomainError as error:
        if error.code != "invalid_credentials":
            raise
        raise invalid_field("current_password", "wrong_password") from error


def check_new_password(password: str, *, email: str, name: str, refuse_weak: bool, field: str) -> None:
    """Raise ``invalid_request`` for ``field`` if ``refuse_weak`` and the password is easy to guess."""
    if refuse_weak and (weakness := find_weakness(password, email=email, name=name)):
        raise invalid_field(field, weakness)
