"""The search index: the visit types that can be found, and the languages of their doctors (docs/search.md)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.db.types import UtcDateTime, stored_enum
from app.scheduling.visits import VisitMode

ANY_LANGUAGE = ""
"""The language of the rows that are read by searches without a language."""


class Offer(Base):
    """A visit type that a doctor offers, or the usual visit of a doctor without visit types.

    ``not_before`` is a lower bound of its next slot (ADR 0022): a booking does not change it, and freeing time lowers
    it. There is one row for any language and one for each language under which the doctor is found. They differ only
    in the language. To change them, lock the row for any language first.
    """

    __tablename__ = "offers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """The id of the visit type, or of the doctor."""
    language: Mapped[str] = mapped_column(String(35), primary_key=True)
    """As in ``DoctorLanguage``, or ``ANY_LANGUAGE``."""
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctors.id", ondelete="CASCADE"), index=True)
    visit_type_id: Mapped[UUID | None] = mapped_column(ForeignKey("visit_types.id", ondelete="CASCADE"))
    specialty_key: Mapped[str | None] = mapped_column(String(200))
    visit_key: Mapped[str | None] = mapped_column(String(200))
    """Both: see ``core.text.search_key``."""
    mode: Mapped[VisitMode] = mapped_column(stored_enum(VisitMode))
    minutes: Mapped[int]
    ring_position: Mapped[int]
    """Its position on the ring of ``scheduling.tie_break``."""
    not_before: Mapped[datetime] = mapped_column(UtcDateTime)
    """The lower bound: no visit of it that can be booked, now or later, starts earlier."""
    tie_break: Mapped[int]
    """Its tie-break among the offers with a visit at ``not_before``; 0 if it is unknown whether it has one."""
    known_until: Mapped[datetime] = mapped_column(UtcDateTime)
    """Until then, the next slot can be later than the bound only because slots have been booked."""
    found_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the bound was found, by the clock of the process that found it; ``NULL`` while nothing is known."""
    revision: Mapped[UUID]
    """Changes whenever the bound is lowered, which invalidates scans that have read earlier."""

    __table_args__ = (
        # For searches in the order of the bounds.
        Index(None, "language", "not_before", "tie_break", "id"),
        Index(None, "language", "specialty_key", "not_before", "tie_break", "id"),
        Index(None, "language", "visit_key", "not_before", "tie_break", "id"),
        # For searches in the order of the tie-break, where bounds exclude nothing: a part of the day, or a later day.
        Index(None, "language", "ring_position", "id"),
        Index(None, "language", "specialty_key", "ring_position", "id"),
        Index(None, "language", "visit_key", "ring_position", "id"),
        # For the job that raises outdated bounds and discards those of a clock that was ahead.
        Index(None, "language", "known_until"),
        Index(None, "language", "found_at"),
    )


class DoctorLanguage(Base):
    """A language range that matches a language of the doctor, in lower case: ``pt-br`` and ``pt`` for ``pt-BR``."""

    __tablename__ = "doctor_languages"

    language: Mapped[str] = mapped_column(String(35), primary_key=True)
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctors.id", ondelete="CASCADE"), primary_key=True, index=True)
