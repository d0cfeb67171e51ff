"""Forms that are sent twice, by a second tap, before or after the first one was answered."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.core.security import derive_key, keyed_hash
from app.core.settings import Settings
from app.db.database import Transaction
from app.repositories import idempotency
from app.repositories.idempotency import Answer

REPEATABLE = timedelta(minutes=1)
_DONE = 204


@dataclass(frozen=True, slots=True)
class Submission:
    """One form with all that was typed into it, from one browser. Only a keyed hash of it is stored."""

    key: str

    @classmethod
    def make(cls, settings: Settings, *parts: str) -> "Submission":
        """The submission of these parts: the same parts make the same one."""
        key = derive_key(settings.secret_key.get_secret_value(), "repeated forms")
        return cls(f"form {keyed_hash(key, chr(0).join(parts))}")

    async def accept(self, transaction: Transaction, user_id: UUID, now: datetime) -> bool:
        """Notes that the form is carried out for this account, in this transaction; ``False`` if it was already.

        Of two at once the second waits until the first has ended. ``request_in_flight`` if that takes too long.
        """
        if await idempotency.reserve_key(transaction, user_id, self.key, self.key[-64:], now):
            return not await self.was_accepted(transaction, now)
        await idempotency.keep_answer(transaction, user_id, self.key, Answer(_DONE, None, ""))
        return True

    async def was_accepted(self, transaction: Transaction, now: datetime) -> bool:
        """Whether the same form was carried out within the last minute, for any account."""
        # On both sides, for clocks differ.
        return await idempotency.has_key(transaction, self.key, since=now - REPEATABLE, until=now + REPEATABLE)
