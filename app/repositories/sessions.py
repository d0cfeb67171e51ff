"""Sessions and their refresh tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, delete, insert, select, update

from app.core.clients import Client
from app.core.permissions import Actor, Login
from app.core.security import CLOCK_SKEW, AccessClaims, hash_token
from app.db.base import table_of
from app.db.database import Transaction
from app.db.prepared import Prepared
from app.models import Doctor, LoginSession, RefreshToken, User

_USER_AGENT = 200
_SKEW = timedelta(seconds=CLOCK_SKEW)
"""A session that was refreshed later from now than this has its times from a clock that was ahead: it is refused."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session, as its owner sees it."""

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
        _USERS.c.suspended_at.is_(None),
    )
)
_ACTOR = Prepared(_FOUND)


async def find_actor(transaction: Transaction, claims: AccessClaims) -> Actor | None:
    """The caller, if what the token claims still holds: the one check per request."""
    found = await transaction.fetch(_ACTOR, {"session_id": claims.session_id, "user_id": claims.user_id})
    if not found:
        return None
    [row] = found
    return _actor(claims, row)


def _actor(claims: AccessClaims, row: Any) -> Actor:
    login = Login(claims.session_id, row.created_at, row.second_factor)
    return Actor(claims.user_id, row.role, row.name, login, email_confirmed=row.email_confirmed_at is not None)


@dataclass(frozen=True, slots=True)
class VisitorRecord:
    """Somebody who looks at pages, and since when her session is what it is."""

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
    """Who looks at a page: as ``find_actor``, but as no token says how long, her session must not have expired."""
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
    """Begins a session."""
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
    """Gives the session a refresh token."""
    await transaction.execute(insert(RefreshToken).values(token_hash=token_hash, session_id=session_id))


async def find_session(transaction: Transaction, token_hash: str, now: datetime) -> SessionRecord | None:
    """The session of a refresh token, used or not, unless it has expired; nobody else changes it until the end."""
    # The session before the token: whoever ends a session locks them in this order too.
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
    return row and SessionRecord(*row)


async def use_refresh_token(transaction: Transaction, token_hash: str, client: Client, now: datetime) -> bool:
    """Uses up a refresh token; ``False`` if that was done before."""
    used = update(RefreshToken).where(RefreshToken.token_hash == token_hash, RefreshToken.used_at.is_(None))
    values = used.values(used_at=now, used_by=_hash_client(client))
    return await transaction.scalar(values.returning(RefreshToken.token_hash)) is not None


async def was_used_by(
    transaction: Transaction, token_hash: str, client: Client, first: datetime, last: datetime
) -> bool:
    """Whether it was this client that used up a refresh token, from ``first`` to ``last``."""
    found = select(RefreshToken.token_hash).where(
        RefreshToken.token_hash == token_hash,
        RefreshToken.used_by == _hash_client(client),
        RefreshToken.used_at.between(first, last),
    )
    return await transaction.scalar(found) is not None


def _hash_client(client: Client) -> str:
    return hash_token(f"{client.network}\n{client.user_agent}")


async def extend_session(transaction: Transaction, session_id: UUID, *, now: datetime, expires_at: datetime) -> None:
    """Notes that the session is in use."""
    await transaction.execute(
        update(LoginSession).where(LoginSession.id == session_id).values(refreshed_at=now, expires_at=expires_at)
    )


async def mark_second_factor(transaction: Transaction, session_id: UUID) -> None:
    """Notes that a second factor was shown in this session."""
    await transaction.execute(update(LoginSession).where(LoginSession.id == session_id).values(second_factor=True))


async def forget_second_factor(transaction: Transaction, user_id: UUID) -> None:
    """What was shown in somebody's sessions counts no longer."""
    await transaction.execute(update(LoginSession).where(LoginSession.user_id == user_id).values(second_factor=False))


async def page_sessions(
    transaction: Transaction, user_id: UUID, now: datetime, *, after: UUID | None, limit: int
) -> Sequence[SessionRecord]:
    """Sessions of an account that have not expired, the last log-in first.

    Among them are those that a clock ahead of ours has dated: they are accepted later, unless they are ended.
    """
    found = _RECORD.where(LoginSession.user_id == user_id, LoginSession.expires_at > now)
    if after is not None:
        found = found.where(LoginSession.id < after)
    rows = await transaction.execute(found.order_by(LoginSession.id.desc()).limit(limit))
    return [SessionRecord(*row) for row in rows]


async def delete_session(transaction: Transaction, user_id: UUID, session_id: UUID) -> bool:
    """Ends one of somebody's sessions, and says whether there was such a one."""
    ended = delete(LoginSession).where(LoginSession.id == session_id, LoginSession.user_id == user_id)
    return await transaction.scalar(ended.returning(LoginSession.id)) is not None


async def delete_sessions(transaction: Transaction, user_id: UUID, *, keep: UUID | None = None) -> None:
    """Ends all of somebody's sessions, but for one."""
    ended = delete(LoginSession).where(LoginSession.user_id == user_id)
    await transaction.execute(ended if keep is None else ended.where(LoginSession.id != keep))


async def delete_expired_sessions(transaction: Transaction, now: datetime) -> None:
    """Deletes sessions that have expired."""
    expired = select(LoginSession.id).where(LoginSession.expires_at <= now).with_for_update(skip_locked=True)
    await transaction.execute(delete(LoginSession).where(LoginSession.id.in_(expired)))
