"""Requests that were sent with a key, and what they were answered."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import DomainError
from app.db.guards import insert_unless_taken
from app.db.session import has_waited_too_long
from app.models import IdempotencyKey


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

    ``key_reused`` if it was another request. Keys from before ``forgotten`` are free again. Whoever sends the same
    key meanwhile waits until this transaction has ended; ``request_in_flight`` if that takes too long.
    """
    expired = (
        select(IdempotencyKey.key)
        .where(IdempotencyKey.user_id == user_id, IdempotencyKey.created_at <= forgotten)
        .order_by(IdempotencyKey.key)
        .with_for_update()
    )
    values = {"user_id": user_id, "key": key, "request_hash": request_hash, "created_at": now}
    try:
        await session.execute(
            delete(IdempotencyKey).where(IdempotencyKey.user_id == user_id, IdempotencyKey.key.in_(expired))
        )
        if await insert_unless_taken(session, IdempotencyKey, values):
            return None
    except DBAPIError as error:
        if has_waited_too_long(error):
            raise DomainError("request_in_flight") from error
        raise
    row = (
        await session.execute(
            select(IdempotencyKey.request_hash, IdempotencyKey.status, IdempotencyKey.etag, IdempotencyKey.body).where(
                IdempotencyKey.user_id == user_id, IdempotencyKey.key == key
            )
        )
    ).one()
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
