"""Requests that were sent with a key, and what they were answered."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import DomainError
from app.db.guards import insert_unless_taken
from app.db.session import has_waited_too_long
from app.models import IdempotencyKey

_SWEPT = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered."""

    status: int
    etag: str | None
    body: str


async def reserve_key(
    session: AsyncSession, user_id: UUID, key: str, request_hash: str, *, now: datetime, forgotten: datetime
) -> Answer | None:
    """Takes a key for this request, or finds what the same request was answered when it was sent before.

    ``key_reused`` if it was another request. Keys from before ``forgotten``, whoever's, are swept away, some at a
    time. Whoever sends the same key meanwhile waits until this transaction has ended; ``request_in_flight`` if that
    takes too long.
    """
    # Others who sweep take other rows; only the key itself must be out of the way.
    swept = (
        select(IdempotencyKey.user_id, IdempotencyKey.key)
        .where(IdempotencyKey.created_at <= forgotten)
        .order_by(IdempotencyKey.created_at)
        .limit(_SWEPT)
        .with_for_update(skip_locked=True)
    )
    identity = tuple_(IdempotencyKey.user_id, IdempotencyKey.key)
    await session.execute(delete(IdempotencyKey).where(identity.in_(swept)))
    values = {"user_id": user_id, "key": key, "request_hash": request_hash, "created_at": now}
    try:
        if await insert_unless_taken(session, IdempotencyKey, values):
            return None
    except DBAPIError as error:
        if has_waited_too_long(error):
            raise DomainError("request_in_flight") from error
        raise
    row = (
        await session.execute(
            select(
                IdempotencyKey.request_hash,
                IdempotencyKey.status,
                IdempotencyKey.etag,
                IdempotencyKey.body,
                IdempotencyKey.created_at,
            ).where(IdempotencyKey.user_id == user_id, IdempotencyKey.key == key)
        )
    ).one()
    if row.created_at <= forgotten:  # more are to be swept than one sweep takes
        raise DomainError("request_in_flight")
    if row.request_hash != request_hash:
        raise DomainError("key_reused")
    return Answer(row.status, row.etag, row.body)


async def keep_answer(session: AsyncSession, user_id: UUID, key: str, answer: Answer) -> None:
    """Keeps what the request with this key is going to be answered; committed together with what it did."""
    await session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.user_id == user_id, IdempotencyKey.key == key)
        .values(status=answer.status, etag=answer.etag, body=answer.body)
    )
