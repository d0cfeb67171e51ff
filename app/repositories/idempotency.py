"""Idempotency keys and the stored responses of their requests (ADR 0011)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, delete, or_, select, tuple_, update
from sqlalchemy.exc import DBAPIError

from app.core.errors import DomainError
from app.db.base import table_of
from app.db.database import Transaction, has_waited_too_long
from app.db.guards import insert_or_ignore
from app.db.prepared import Prepared
from app.models import IdempotencyKey

LIFETIME = timedelta(hours=24)

_TRIES = 2
_KEYS = table_of(IdempotencyKey)
_THIS = (_KEYS.c.user_id == bindparam("caller"), _KEYS.c.key == bindparam("sent"))
_FIND = Prepared(
    select(
        _KEYS.c.request_hash, _KEYS.c.status, _KEYS.c.etag, _KEYS.c.body, _KEYS.c.concerns, _KEYS.c.created_at
    ).where(*_THIS)
)
_FORGET = Prepared(
    delete(_KEYS).where(
        *_THIS, or_(_KEYS.c.created_at <= bindparam("forgotten"), _KEYS.c.created_at > bindparam("beyond"))
    )
)
_KEEP = Prepared(update(_KEYS).where(*_THIS))


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The stored response to a request."""

    status: int
    etag: str | None
    body: str
    concerns: str | None = None
    """What the audit trail records when the response is sent again; see ``app.http.audit``."""


async def reserve_key(
    transaction: Transaction, user_id: UUID, key: str, request_hash: str, now: datetime
) -> StoredResponse | None:
    """Reserve a key for this request, or return the response to the same request if it was sent before.

    Returns ``None`` if the key was reserved. A concurrent request with the same key waits until this transaction ends.
    Raises ``key_reused`` if the key was used for another request within 24 hours, and ``request_in_flight`` if waiting
    takes too long.
    """
    this = {"caller": user_id, "sent": key}
    # A key from the future was stored while a clock was ahead, and counts as expired.
    forgotten, beyond = now - LIFETIME, now + LIFETIME
    for _ in range(_TRIES):
        # Inserted before the effect: a simultaneous request with this key waits here, on the unique index (ADR 0011).
        values = {"user_id": user_id, "key": key, "request_hash": request_hash, "created_at": now}
        try:
            if await insert_or_ignore(transaction, IdempotencyKey, values):
                return None
        except DBAPIError as error:
            if has_waited_too_long(error):
                raise DomainError("request_in_flight") from error
            raise
        # There is no row if the request that held the key has failed meanwhile: an error stores no key.
        row = next(iter(await transaction.fetch(_FIND, this)), None)
        if row and forgotten < row.created_at <= beyond:
            if row.request_hash != request_hash:
                raise DomainError("key_reused")
            return StoredResponse(row.status, row.etag, row.body, row.concerns)
        # The statement compares the time again: another request may have just renewed the key.
        await transaction.send(_FORGET, [this | {"forgotten": forgotten, "beyond": beyond}])
    raise DomainError("request_in_flight")


async def store_response(transaction: Transaction, user_id: UUID, key: str, response: StoredResponse) -> None:
    """Store the response to the request with this key. It is committed together with the effects of the request."""
    values = {"status": response.status, "etag": response.etag, "body": response.body, "concerns": response.concerns}
    await transaction.send(_KEEP, [{"caller": user_id, "sent": key} | values])


async def has_key(transaction: Transaction, key: str, *, since: datetime, until: datetime) -> bool:
    """Return whether any account has used this key in this time. The key must be unique across accounts."""
    found = select(IdempotencyKey.key).where(IdempotencyKey.created_at.between(since, until), IdempotencyKey.key == key)
    return await transaction.scalar(found) is not None


async def delete_expired_keys(transaction: Transaction, now: datetime) -> None:
    """Delete expired keys of all accounts, with their responses. Skips those that are locked."""
    forgotten = (
        select(IdempotencyKey.user_id, IdempotencyKey.key)
        .where(IdempotencyKey.created_at <= now - LIFETIME)
        .with_for_update(skip_locked=True)
    )
    await transaction.execute(
        delete(IdempotencyKey).where(tuple_(IdempotencyKey.user_id, IdempotencyKey.key).in_(forgotten))
    )
