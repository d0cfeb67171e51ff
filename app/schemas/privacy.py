"""One's own data."""

from datetime import datetime

from pydantic import Field

from app.schemas.accounts import Session, User
from app.schemas.appointments import Appointment, Version
from app.schemas.doctors import Doctor
from app.schemas.fields import ANN, Answer, example
from app.schemas.offers import VisitType
from app.schemas.schedule import Availability, TimeOff


class ExportedAppointment(Appointment):
    """An appointment with its history."""

    history: list[Version]


class Practice(Answer):
    """What a doctor has said of herself and of her time."""

    doctor: Doctor
    availabilities: list[Availability]
    time_off: list[TimeOff]
    visit_types: list[VisitType]


class Export(Answer):
    """All that is kept about you."""

    exported_at: datetime
    account: User
    sessions: list[Session]
    appointments: list[ExportedAppointment] = Field(description="Of a patient.")
    practice: Practice | None = Field(description="Of a doctor.")

    model_config = example(
        exported_at="2026-12-01T08:00:00Z",
        account={
            "id": ANN,
            "email": "ann@example.com",
            "name": "Ann Lee",
            "role": "patient",
            "created_at": "2026-11-30T08:00:00Z",
        },
        sessions=[],
        appointments=[],
        practice=None,
    )
