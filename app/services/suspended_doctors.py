"""What administrators do for suspended doctors, who cannot sign in: they see the upcoming visits and cancel them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.core.errors import DomainError
from app.core.permissions import AccountStatus, Actor, Role
from app.db.database import Transaction
from app.repositories import accounts, appointments
from app.repositories.appointments import AppointmentRecord, PageKey
from app.scheduling.status import ACTIVE
from app.services.appointment_status import cancel_appointment


async def page_expected_visits(
    transaction: Transaction, doctor_id: UUID, *, as_of: datetime, after: PageKey | None, limit: int
) -> Sequence[AppointmentRecord]:
    """The visits that are booked or arrived and not over at ``as_of``, the next one first.

    ``not_found`` if the account is not a doctor's or has been erased; ``doctor_not_suspended``.
    """
    doctor = await _get_suspended_doctor(transaction, doctor_id)
    return await appointments.page_appointments(
        transaction, doctor, as_of=as_of, since=as_of, until=None, statuses=ACTIVE, after=after, limit=limit
    )


async def get_visit(
    transaction: Transaction, doctor_id: UUID, appointment_id: UUID, now: datetime
) -> AppointmentRecord:
    """One visit that is not over, also one that has been cancelled; ``not_found``, ``doctor_not_suspended``."""
    doctor = await _get_suspended_doctor(transaction, doctor_id)
    visit = await appointments.get_appointment(transaction, doctor, appointment_id)
    if visit.is_over(now):
        raise DomainError("not_found")
    return visit


async def cancel_visit(
    transaction: Transaction,
    administrator: Actor,
    doctor_id: UUID,
    appointment_id: UUID,
    *,
    reason: str,
    versions: frozenset[int] | None,
    now: datetime,
) -> AppointmentRecord:
    """Cancels a visit that is not over, in the name of the administrator; the patient can read the reason.

    As for the doctor, the cut-off does not matter, and cancelling again changes nothing. Raises what ``get_visit``
    raises, ``version_mismatch``, and ``wrong_status`` if the outcome has been noted.
    """
    visit = await get_visit(transaction, doctor_id, appointment_id, now)
    doctor = Actor(visit.doctor_id, Role.DOCTOR, visit.doctor.name)
    return await cancel_appointment(
        transaction, doctor, appointment_id, reason=reason, versions=versions, by=administrator.id, now=now
    )


async def _get_suspended_doctor(transaction: Transaction, doctor_id: UUID) -> Actor:
    account = await accounts.get_account(transaction, doctor_id)
    if account.role is not Role.DOCTOR or account.status is AccountStatus.ERASED:
        raise DomainError("not_found")
    if account.status is not AccountStatus.SUSPENDED:
        raise DomainError("doctor_not_suspended")
    return Actor(account.id, account.role, account.name)
