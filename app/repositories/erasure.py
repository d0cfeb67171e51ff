"""Erase personal data from the tables (ADR 0015)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, or_, update

from app.core.text import search_key
from app.db.database import Transaction
from app.models import (
    Appointment,
    Availability,
    Doctor,
    EmailChange,
    EmailConfirmation,
    IdempotencyKey,
    KnownDevice,
    LoginSession,
    PasswordReset,
    Patient,
    ProfileChange,
    RecoveryCode,
    SecondFactor,
    TimeOff,
    User,
    VisitType,
)
from app.repositories.guardians import delete_guardians
from app.repositories.patient_words import index_patient
from app.repositories.search_bounds import delete_offers
from app.scheduling.status import AppointmentStatus

ERASED = "Erased account"


async def erase_patient(transaction: Transaction, patient_id: UUID, now: datetime) -> None:
    """Delete a patient's holds, the texts of the appointments, and everything of the record except its id and dates.

    The appointments themselves remain.
    """
    own = Appointment.patient_id == patient_id
    # A hold is not a visit, so no part of it has to be kept.
    await transaction.execute(delete(Appointment).where(own, Appointment.status == AppointmentStatus.PENDING))
    await transaction.execute(update(Appointment).where(own).values(reason=None, cancel_reason=None))
    await delete_guardians(transaction, patient_id)
    # Also those of a dependant, whose guardian keeps the account.
    await transaction.execute(
        delete(IdempotencyKey).where(
            or_(
                IdempotencyKey.body.contains(str(patient_id)),
                IdempotencyKey.concerns.contains(str(patient_id)),
            )
        )
    )
    await transaction.execute(
        update(Patient)
        .where(Patient.id == patient_id)
        .values(
            name=ERASED,
            name_key=search_key(ERASED),
            birth_date=None,
            phone=None,
            email=None,
            locale=None,
            time_zone=None,
            erased_at=now,
        )
    )
    await index_patient(transaction, patient_id)


async def erase_doctor(transaction: Transaction, user_id: UUID, now: datetime) -> None:
    """Delete a doctor's profile and rules. Visit types are withdrawn and remain, because appointments refer to them."""
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
    """Delete everything of an account except its id, role and dates. Its address can be registered again."""
    # The audit trail stays: it has ids and no names, and a trail that can be changed proves nothing (ADR 0015).
    for table in (LoginSession, KnownDevice, PasswordReset, EmailConfirmation, EmailChange, RecoveryCode, SecondFactor):
        await transaction.execute(delete(table).where(table.user_id == user_id))
    # The stored responses to this user's requests, and those to other users in which this user appears.
    await transaction.execute(
        delete(IdempotencyKey).where(
            or_(
                IdempotencyKey.user_id == user_id,
                IdempotencyKey.body.contains(str(user_id)),
                IdempotencyKey.concerns.contains(str(user_id)),
            )
        )
    )
    await transaction.execute(
        update(User)
        .where(User.id == user_id)
        .values(
            # An address cannot contain a space, so this one can never be registered or used to log in.
            email=f"erased {user_id}",
            email_canonical=f"erased {user_id}",
            name=ERASED,
            name_key=search_key(ERASED),
            password_hash="",
            erased_at=now,
        )
    )
