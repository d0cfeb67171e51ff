"""``Idempotency-Key``: a request that is sent again is answered again, and not done again."""

import json
from functools import partial
from hashlib import sha256
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request, Response

from app.core.permissions import Actor
from app.db.database import Transaction
from app.http.requests import StoredAnswer
from app.repositories import idempotency
from app.repositories.idempotency import Answer

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
            description="Any string of yours, new for every request: if the answer is lost, send the same request "
            "with the same key again. It is done once, and answered the same, for 24 hours.",
            examples=["6f1c1b8e-2b0e-4d8c-9d25-3f6f0a4f7c1b"],
        ),
    ] = None,
) -> None:
    """Lets a request through once; the next time it is answered from what was kept.

    Only what succeeded is kept, in the transaction that it was done in: an error has changed nothing, and the same
    key can try again. Keys are the caller's own.
    """
    caller: Actor | None = request.state.actor
    if key is None or caller is None:
        return
    said = f"{request.method} {request.scope['path']}\n{request.headers.get('If-Match', '')}\n".encode()
    request_hash = sha256(said + await _meaning(request)).hexdigest()
    transaction: Transaction = request.state.transaction
    answer = await idempotency.reserve_key(transaction, caller.id, key, request_hash, request.state.now)
    if answer:
        headers = {"Idempotency-Replayed": "true"} | ({"ETag": answer.etag} if answer.etag else {})
        raise StoredAnswer(Response(answer.body, answer.status, headers, media_type="application/json"))
    request.state.before_commit.append(partial(_keep, transaction, caller.id, key))


async def _meaning(request: Request) -> bytes:
    """The body, however it is written: who sends it again may do so in another order."""
    try:
        return _SORTED.encode(await request.json()).encode()
    except (ValueError, RecursionError):  # none is needed, or it is refused for this
        return await request.body()


async def _keep(transaction: Transaction, caller: UUID, key: str, response: Response) -> None:
    answer = Answer(response.status_code, response.headers.get("ETag"), bytes(response.body).decode())
    await idempotency.keep_answer(transaction, caller, key, answer)


Idempotent = Annotated[None, Depends(reserve_key)]
"""What a route with an effect names in its signature, after the caller, whose key it is."""
