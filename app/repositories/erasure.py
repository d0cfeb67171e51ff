"""What an erasure takes out of the tables: all that says who somebody was."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, or_, update

from app.core.text import search_key
from app.db.database import Transaction
from app.models import (
    Appointment,
    Availability,
    Doctor,
    EmailConfirmation,
    IdempotencyKey,
    KnownDevice,
    LoginSession,
    PasswordReset,
    ProfileChange,
    RecoveryCode,
    SecondFactor,
    TimeOff,
    User,
    VisitType,
)
from app.repositories.search_bounds import delete_offers
from app.scheduling.status import AppointmentStatus

ERASED = "Erased account"


async def erase_patient(transaction: Transaction, user_id: UUID) -> None:
    """Removes what was written about a patient's visits, and what she holds; that the visits took place stays."""
    own = Appointment.patient_id == user_id
    await transaction.execute(delete(Appointment).where(own, Appointment.status == AppointmentStatus.PENDING))
    await transaction.execute(update(Appointment).where(own).values(reason=None, cancel_reason=None))


async def erase_doctor(transaction: Transaction, user_id: UUID, now: datetime) -> None:
    """Removes what a doctor said of herself, and her rules; visit types stay for the visits that were made."""
    await transaction.execute(
        update(Doctor)
        .where(Doctor.id == user_id)
        .values(
            specialty=None,
            specialty_key=None,
            languages=[],
            bio=None,
            name_key=search_key(ERASED),
            approved_at=None,
            schedule_version=Doctor.schedule_version + 1,
        )
    )
    await transaction.execute(delete(Availability).where(Availability.doctor_id == user_id))
    await transaction.execute(delete(TimeOff).where(TimeOff.doctor_id == user_id))
    await transaction.execute(delete(ProfileChange).where(ProfileChange.doctor_id == user_id))
    await delete_offers(transaction, user_id)
    await transaction.execute(
        update(VisitType)
        .where(VisitType.doctor_id == user_id, VisitType.withdrawn_at.is_(None))
        .values(withdrawn_at=now)
    )


async def erase_user(transaction: Transaction, user_id: UUID, now: datetime) -> None:
    """Leaves of an account nothing but its id, its role and its dates; the address can be registered again."""
    for table in (LoginSession, KnownDevice, PasswordReset, EmailConfirmation, RecoveryCode, SecondFactor):
        await transaction.execute(delete(table).where(table.user_id == user_id))
    # Her own answers, and those in which somebody else was told of her.
    await transaction.execute(
        delete(IdempotencyKey).where(or_(IdempotencyKey.user_id == user_id, IdempotencyKey.body.contains(str(user_id))))
    )
    await transaction.execute(
        update(User)
        .where(User.id == user_id)
        .values(
            # A blank cannot stand in an address, so that nobody can type or register this one.
            email=f"erased {user_id}",
            email_canonical=f"erased {user_id}",
            name=ERASED,
            name_key=search_key(ERASED),
            password_hash="",
            erased_at=now,
        )
    )
