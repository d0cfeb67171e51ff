"""``Idempotency-Key``: a repeated request gets the stored response and has no second effect."""

import json
from functools import partial
from hashlib import sha256
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request, Response

from app.core.permissions import Actor
from app.db.database import Transaction
from app.http.audit import AuditRecorder
from app.http.requests import ReplayedResponse
from app.repositories import idempotency
from app.repositories.idempotency import StoredResponse

_SORTED = json.JSONEncoder(sort_keys=True)


async def reserve_key(
    request: Request,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description="A string that you make up for each request. If the response is lost, send the same request "
            "with the same key again: for 24 hours it is not done twice, and gets the same response.",
            examples=["6f1c1b8e-2b0e-4d8c-9d25-3f6f0a4f7c1b"],
        ),
    ] = None,
) -> None:
    """Let a request with this key through once. If it is repeated, raise ``ReplayedResponse``.

    Only successful responses are stored, in the transaction of the request. An error has changed nothing, so the same
    key can be used again. Keys are scoped to the caller.
    """
    caller: Actor | None = request.state.actor
    # A public route has no caller to scope the key to (ADR 0011).
    if key is None or caller is None:
        return
    # If-Match belongs to the request: the same change to another version is a different request.
    head = f"{request.method} {request.scope['path']}\n{request.headers.get('If-Match', '')}\n".encode()
    request_hash = sha256(head + await _canonical_body(request)).hexdigest()
    transaction: Transaction = request.state.transaction
    stored = await idempotency.reserve_key(transaction, caller.id, key, request_hash, request.state.now)
    trail: AuditRecorder | None = getattr(request.state, "trail", None)
    if stored:
        if trail and stored.concerns:
            trail.restore(stored.concerns)
        headers = {"Idempotency-Replayed": "true"} | ({"ETag": stored.etag} if stored.etag else {})
        raise ReplayedResponse(Response(stored.body, stored.status, headers, media_type="application/json"))
    # Store the response before the commit, so that the effect never exists without its response (ADR 0011).
    request.state.before_commit.append(partial(_store, transaction, caller.id, key, trail))


async def _canonical_body(request: Request) -> bytes:
    """Return the body with sorted members, because a client may repeat a request with members in another order."""
    try:
        return _SORTED.encode(await request.json()).encode()
    except (ValueError, RecursionError):  # the route needs no body, or refuses this one
        return await request.body()


async def _store(
    transaction: Transaction, caller: UUID, key: str, trail: AuditRecorder | None, response: Response
) -> None:
    etag, body = response.headers.get("ETag"), bytes(response.body).decode()
    stored = StoredResponse(response.status_code, etag, body, trail.dump() if trail else None)
    await idempotency.store_response(transaction, caller, key, stored)


Idempotent = Annotated[None, Depends(reserve_key)]
"""Parameter of every route that changes something. It comes after the caller, because keys are scoped to the caller."""
