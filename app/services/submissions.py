"""Recognise forms that are sent twice, for example by a second tap (ADR 0042)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.core.security import derive_key, keyed_hash
from app.core.settings import Settings
from app.db.database import Transaction
from app.repositories import idempotency
from app.repositories.idempotency import StoredResponse

RESUBMISSION_WINDOW = timedelta(minutes=1)
_DONE = 204


@dataclass(frozen=True, slots=True)
class Submission:
    """A form with its content, from one browser. Only a keyed hash of it is stored."""

    key: str

    @classmethod
    def make(cls, settings: Settings, *parts: str) -> "Submission":
        """Return the submission of these parts. Equal parts give equal submissions."""
        key = derive_key(settings.secret_key.get_secret_value(), "repeated forms")
        return cls(f"form {keyed_hash(key, chr(0).join(parts))}")

    async def accept(self, transaction: Transaction, user_id: UUID, now: datetime) -> bool:
        """Record that this transaction processes the form for this account; return ``False`` if that was done before.

        Of two concurrent calls, the second waits for the first to end. Raises ``request_in_flight`` if that takes too
        long.
        """
        # The key is a hash of the whole form, so it is its own request hash, and `key_reused` cannot occur.
        if await idempotency.reserve_key(transaction, user_id, self.key, self.key[-64:], now):
            # Keys are stored for a day, but a form may be repeated for a minute only: its code must not work longer
            # (ADR 0042).
            return not await self.was_accepted(transaction, now)
        await idempotency.store_response(transaction, user_id, self.key, StoredResponse(_DONE, None, ""))
        return True

    async def was_accepted(self, transaction: Transaction, now: datetime) -> bool:
        """Return whether the same form was processed within the last minute, for any account."""
        # Compare in both directions, because the clocks of servers differ.
        return await idempotency.has_key(
            transaction, self.key, since=now - RESUBMISSION_WINDOW, until=now + RESUBMISSION_WINDOW
        )
