"""Sessions and their refresh tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, delete, insert, join, select, update

from app.core.clients import Client
from app.core.permissions import Actor, Login
from app.core.security import CLOCK_SKEW, AccessClaims, hash_token
from app.db.base import table_of
from app.db.database import Transaction
from app.db.prepared import Prepared
from app.db.records import read_record
from app.models import Clinic, Doctor, LoginSession, Member, MemberScope, RefreshToken, User
from app.repositories.members import RoleRecord

_USER_AGENT = 200
_SKEW = timedelta(seconds=CLOCK_SKEW)
"""If a session was refreshed further in the future than this, the clock was ahead, and the session is refused."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session, as shown to its owner."""

    id: UUID
    user_id: UUID
    created_at: datetime
    refreshed_at: datetime
    expires_at: datetime
    ends_at: datetime
    second_factor: bool
    client_address: str
    user_agent: str


_RECORD = select(
    LoginSession.id,
    LoginSession.user_id,
    LoginSession.created_at,
    LoginSession.refreshed_at,
    LoginSession.expires_at,
    LoginSession.ends_at,
    LoginSession.second_factor,
    LoginSession.client_address,
    LoginSession.user_agent,
)


_USERS, _SESSIONS, _DOCTORS = table_of(User), table_of(LoginSession), table_of(Doctor)
_FOUND = (
    select(
        _USERS.c.role,
        _USERS.c.name,
        _USERS.c.email_confirmed_at,
        _SESSIONS.c.created_at,
        _SESSIONS.c.second_factor,
    )
    .join(_USERS, _USERS.c.id == _SESSIONS.c.user_id)
    .where(
        _SESSIONS.c.id == bindparam("session_id"),
        _SESSIONS.c.user_id == bindparam("user_id"),
        # Checked with every request, so that a suspension takes effect with its commit (ADR 0013).
        _USERS.c.suspended_at.is_(None),
    )
)
_ACTOR = Prepared(_FOUND)


async def find_actor(transaction: Transaction, claims: AccessClaims) -> Actor | None:
    """Return the caller of a request; ``None`` if the session of the token has ended or the account is suspended.

    This query and ``find_membership`` are the only ones that authenticate a request.
    """
    # The expiry is not compared: an access token has its own, and never outlives its session (ADR 0013).
    found = await transaction.fetch(_ACTOR, {"session_id": claims.session_id, "user_id": claims.user_id})
    if not found:
        return None
    [row] = found
    return _actor(claims, row)


def _actor(claims: AccessClaims, row: Any) -> Actor:
    login = Login(claims.session_id, row.created_at, row.second_factor)
    return Actor(claims.user_id, row.role, row.name, login, email_confirmed=row.email_confirmed_at is not None)


@dataclass(frozen=True, slots=True)
class MembershipRecord:
    """The caller of a request to a clinic, with their roles there, whether they are valid today or not."""

    actor: Actor
    time_zone: str
    """The time zone of the clinic; an empty string if the caller has no role there or the clinic is closed."""
    roles: frozenset[RoleRecord]
    """The roles that have not been ended."""
    scope: frozenset[UUID]
    """The doctors to whom the caller is restricted; an empty set: the whole clinic."""


_MEMBERS, _CLINICS, _SCOPES = table_of(Member), table_of(Clinic), table_of(MemberScope)
_IN_CLINIC = join(_MEMBERS, _CLINICS, and_(_CLINICS.c.id == _MEMBERS.c.clinic_id, _CLINICS.c.closed_at.is_(None)))
_MEMBERSHIP = Prepared(
    # A row for each role and each doctor of the scope. Outer joins, because a caller who is not a member is
    # authenticated all the same.
    _FOUND.add_columns(
        _CLINICS.c.time_zone,
        _MEMBERS.c.role.label("member_role"),
        _MEMBERS.c.valid_from,
        _MEMBERS.c.valid_until,
        _SCOPES.c.doctor_id,
    )
    .outerjoin(
        _IN_CLINIC,
        and_(
            _MEMBERS.c.user_id == _USERS.c.id,
            _MEMBERS.c.clinic_id == bindparam("clinic_id"),
            _MEMBERS.c.ended_at.is_(None),
        ),
    )
    .outerjoin(_SCOPES, and_(_SCOPES.c.clinic_id == _MEMBERS.c.clinic_id, _SCOPES.c.user_id == _MEMBERS.c.user_id))
)


async def find_membership(transaction: Transaction, claims: AccessClaims, clinic_id: UUID) -> MembershipRecord | None:
    """Return the caller of a request, as ``find_actor`` does, with their roles and their scope in a clinic."""
    this = {"session_id": claims.session_id, "user_id": claims.user_id, "clinic_id": clinic_id}
    if not (found := await transaction.fetch(_MEMBERSHIP, this)):
        return None
    return MembershipRecord(
        _actor(claims, found[0]),
        found[0].time_zone or "",
        frozenset(RoleRecord(row.member_role, row.valid_from, row.valid_until) for row in found if row.time_zone),
        frozenset(row.doctor_id for row in found if row.doctor_id),
    )


@dataclass(frozen=True, slots=True)
class VisitorRecord:
    """The signed-in visitor of a page, with the times of the session."""

    actor: Actor
    refreshed_at: datetime
    ends_at: datetime


_VISITOR = Prepared(
    _FOUND.add_columns(
        _SESSIONS.c.refreshed_at,
        _SESSIONS.c.ends_at,
        and_(_DOCTORS.c.id.is_not(None), _DOCTORS.c.approved_at.is_(None)).label("waits_for_approval"),
    )
    .outerjoin(_DOCTORS, _DOCTORS.c.id == _USERS.c.id)
    .where(_SESSIONS.c.expires_at > bindparam("now"), _SESSIONS.c.refreshed_at <= bindparam("latest"))
)


async def find_visitor(transaction: Transaction, claims: AccessClaims, now: datetime) -> VisitorRecord | None:
    """Return the visitor of a page, as ``find_actor`` does; ``None`` also if the session has expired.

    The expiry must be checked here, because a cookie does not contain one as an access token does.
    """
    this = {"session_id": claims.session_id, "user_id": claims.user_id, "now": now, "latest": now + _SKEW}
    if not (found := await transaction.fetch(_VISITOR, this)):
        return None
    [row] = found
    actor = replace(_actor(claims, row), waits_for_approval=bool(row.waits_for_approval))
    return VisitorRecord(actor, row.refreshed_at, row.ends_at)


async def insert_session(
    transaction: Transaction,
    session_id: UUID,
    user_id: UUID,
    client: Client,
    *,
    second_factor: bool,
    now: datetime,
    expires_at: datetime,
    ends_at: datetime,
) -> None:
    """Insert a session."""
    await transaction.execute(
        insert(LoginSession).values(
            id=session_id,
            user_id=user_id,
            created_at=now,
            refreshed_at=now,
            expires_at=expires_at,
            ends_at=ends_at,
            second_factor=second_factor,
            client_address=client.address,
            user_agent=client.user_agent[:_USER_AGENT],
        )
    )


async def insert_refresh_token(transaction: Transaction, session_id: UUID, token_hash: str) -> None:
    """Insert a refresh token of a session."""
    await transaction.execute(insert(RefreshToken).values(token_hash=token_hash, session_id=session_id))


async def find_session(transaction: Transaction, token_hash: str, now: datetime) -> SessionRecord | None:
    """Return the session of a refresh token, used or not; ``None`` if the session has ended or expired.

    The session is locked until the transaction ends.
    """
    # The session is locked before the token, in the same order as when a session is ended.
    row = (
        await transaction.execute(
            _RECORD.join(RefreshToken, RefreshToken.session_id == LoginSession.id)
            .where(
                RefreshToken.token_hash == token_hash,
                LoginSession.expires_at > now,
                LoginSession.refreshed_at <= now + _SKEW,
            )
            .with_for_update(of=LoginSession)
        )
    ).one_or_none()
    return row and read_record(SessionRecord, row)


async def use_refresh_token(transaction: Transaction, token_hash: str, client: Client, now: datetime) -> bool:
    """Mark a refresh token as used; return ``False`` if it was used already."""
    # The condition decides which of two simultaneous uses is the first.
    used = update(RefreshToken).where(RefreshToken.token_hash == token_hash, RefreshToken.used_at.is_(None))
    values = used.values(used_at=now, used_by=_hash_client(client))
    return await transaction.scalar(values.returning(RefreshToken.token_hash)) is not None


async def was_used_by(
    transaction: Transaction, token_hash: str, client: Client, first: datetime, last: datetime
) -> bool:
    """Return whether this client has used a refresh token between ``first`` and ``last``."""
    found = select(RefreshToken.token_hash).where(
        RefreshToken.token_hash == token_hash,
        RefreshToken.used_by == _hash_client(client),
        RefreshToken.used_at.between(first, last),
    )
    return await transaction.scalar(found) is not None


def _hash_client(client: Client) -> str:
    # The client of the first use counts, not that of the log-in: a phone may have changed its network since (ADR 0037).
    return hash_token(f"{client.network}\n{client.user_agent}")


async def extend_session(transaction: Transaction, session_id: UUID, *, now: datetime, expires_at: datetime) -> None:
    """Record that a session is in use, and when it expires now."""
    await transaction.execute(
        update(LoginSession).where(LoginSession.id == session_id).values(refreshed_at=now, expires_at=expires_at)
    )


async def mark_second_factor(transaction: Transaction, session_id: UUID) -> None:
    """Record that a second factor was used in a session."""
    await transaction.execute(update(LoginSession).where(LoginSession.id == session_id).values(second_factor=True))


async def forget_second_factor(transaction: Transaction, user_id: UUID) -> None:
    """Record that no session of an account counts as one with a second factor any more."""
    await transaction.execute(update(LoginSession).where(LoginSession.user_id == user_id).values(second_factor=False))


async def page_sessions(
    transaction: Transaction, user_id: UUID, now: datetime, *, after: UUID | None, limit: int
) -> Sequence[SessionRecord]:
    """Return a page of the sessions of an account that have not expired, the latest log-in first.

    They include sessions that were dated by a clock that was ahead: those are accepted later, so the owner must be able
    to see and end them.
    """
    found = _RECORD.where(LoginSession.user_id == user_id, LoginSession.expires_at > now)
    if after is not None:
        found = found.where(LoginSession.id < after)
    rows = await transaction.execute(found.order_by(LoginSession.id.desc()).limit(limit))
    return [read_record(SessionRecord, row) for row in rows]


async def delete_session(transaction: Transaction, user_id: UUID, session_id: UUID) -> bool:
    """Delete a session of an account; return whether it existed."""
    deleted = delete(LoginSession).where(LoginSession.id == session_id, LoginSession.user_id == user_id)
    return await transaction.scalar(deleted.returning(LoginSession.id)) is not None


async def delete_sessions(transaction: Transaction, user_id: UUID, *, keep: UUID | None = None) -> None:
    """Delete all sessions of an account, except ``keep``."""
    deleted = delete(LoginSession).where(LoginSession.user_id == user_id)
    await transaction.execute(deleted if keep is None else deleted.where(LoginSession.id != keep))


async def delete_expired_sessions(transaction: Transaction, now: datetime) -> None:
    """Delete expired sessions. Skips those that are locked."""
    expired = select(LoginSession.id).where(LoginSession.expires_at <= now).with_for_update(skip_locked=True)
    await transaction.execute(delete(LoginSession).where(LoginSession.id.in_(expired)))
