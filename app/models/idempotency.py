"""Stored responses, so that a repeated request gets the same response and has no second effect."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.db.types import UtcDateTime


class IdempotencyKey(Base):
    """An ``Idempotency-Key`` of an account, and the response to its request."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None]
    """The status of the response; ``NULL`` while the request is in progress, which only its own transaction sees."""
    # Not of limited length: the version of a content has a part for each field (ADR 0039).
    etag: Mapped[str | None] = mapped_column(Text)
    body: Mapped[str | None] = mapped_column(Text)
    concerns: Mapped[str | None] = mapped_column(Text)
    """Whom the response concerns, as JSON, for the audit trail."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index(None, "created_at"),)  # for the clean-up of expired keys
