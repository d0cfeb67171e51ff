"""What a search goes by: the visit types that can be found, and the languages of their doctors."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.db.types import UtcDateTime, stored_enum
from app.scheduling.visits import VisitMode

ANY_LANGUAGE = ""
"""Whose rows are those that are walked where no language is asked for."""


class Offer(Base):
    """A visit type that a doctor offers, or her usual visit if she has no kinds; never earlier than ``not_before``.

    That is a lower bound, not a promise (ADR 0022): a booking leaves it as it is, whatever frees time lowers it. There
    is a row for each language in which the doctor is found, and one for any; they differ in nothing else. Whoever
    changes them locks that one first.
    """

    __tablename__ = "offers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """That of the visit type, or of the doctor."""
    language: Mapped[str] = mapped_column(String(35), primary_key=True)
    """As in ``DoctorLanguage``, or ``ANY_LANGUAGE``."""
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctors.id", ondelete="CASCADE"), index=True)
    visit_type_id: Mapped[UUID | None] = mapped_column(ForeignKey("visit_types.id", ondelete="CASCADE"))
    specialty_key: Mapped[str | None] = mapped_column(String(200))
    visit_key: Mapped[str | None] = mapped_column(String(200))
    """Both: see ``core.text.search_key``."""
    mode: Mapped[VisitMode] = mapped_column(stored_enum(VisitMode))
    minutes: Mapped[int]
    place: Mapped[int]
    """Where it stands on the ring of ``scheduling.turns``."""
    not_before: Mapped[datetime] = mapped_column(UtcDateTime)
    """No visit of it that can be booked, now or later, starts earlier."""
    turn: Mapped[int]
    """Its turn among those that start at ``not_before``; 0 where nobody has looked whether it really does."""
    known_until: Mapped[datetime] = mapped_column(UtcDateTime)
    """Until then nothing but a booking makes the truth later than the bound."""
    found_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When this was found out, by the clock of the process that did; ``NULL`` while nothing is known."""
    revision: Mapped[UUID]
    """Another one whenever the bound is lowered: what was found out before is of no use then."""

    __table_args__ = (
        Index(None, "language", "not_before", "turn", "id"),
        Index(None, "language", "specialty_key", "not_before", "turn", "id"),
        Index(None, "language", "visit_key", "not_before", "turn", "id"),
        Index(None, "language", "place", "id"),
        Index(None, "language", "specialty_key", "place", "id"),
        Index(None, "language", "visit_key", "place", "id"),
        Index(None, "language", "known_until"),
        Index(None, "language", "found_at"),
    )


class DoctorLanguage(Base):
    """A language that a doctor speaks, in lower case, and what it is a variety of: ``pt-br`` is ``pt`` too."""

    __tablename__ = "doctor_languages"

    language: Mapped[str] = mapped_column(String(35), primary_key=True)
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctors.id", ondelete="CASCADE"), primary_key=True, index=True)
