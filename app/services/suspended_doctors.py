"""List and cancel the upcoming visits of suspended doctors, who cannot sign in themselves (ADR 0045)."""

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
    """Return a page of the active visits that have not ended at ``as_of``, the next one first.

    Raises ``not_found`` if the account is not a doctor's or has been erased, and ``doctor_not_suspended``.
    """
    doctor = await _get_suspended_doctor(transaction, doctor_id)
    return await appointments.page_appointments(
        transaction, doctor, as_of=as_of, since=as_of, until=None, statuses=ACTIVE, after=after, limit=limit
    )


async def get_visit(
    transaction: Transaction, doctor_id: UUID, appointment_id: UUID, now: datetime
) -> AppointmentRecord:
    """Return a visit that has not ended, including a cancelled one.

    Raises ``not_found`` and ``doctor_not_suspended``.
    """
    doctor = await _get_suspended_doctor(transaction, doctor_id)
    visit = await appointments.get_appointment(transaction, doctor, appointment_id)
    # Administrators see as little as possible: for them, a visit that is over does not exist (ADR 0045).
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
    """Cancel a visit that has not ended, on behalf of the doctor. The patient can read the reason.

    The administrator is recorded as the person who cancelled. There is no deadline, and cancelling again changes
    nothing. Raises the codes of ``get_visit``, ``version_mismatch``, and ``wrong_status`` if the visit has an outcome.
    """
    visit = await get_visit(transaction, doctor_id, appointment_id, now)
    # As the doctor, to whom the queries are scoped. The cancellation is recorded as the administrator's, so that the
    # doctor cannot undo it (ADR 0045).
    doctor = Actor(visit.doctor_id, Role.DOCTOR, visit.doctor.name)
    return await cancel_appointment(
        transaction, doctor, appointment_id, reason=reason, versions=versions, by=administrator.id, now=now
    )


async def _get_suspended_doctor(transaction: Transaction, doctor_id: UUID) -> Actor:
    # Not locked: a cancellation that is under way when the doctor is reinstated still counts (ADR 0045).
    account = await accounts.get_account(transaction, doctor_id)
    if account.role is not Role.DOCTOR or account.status is AccountStatus.ERASED:
        raise DomainError("not_found")
    if account.status is not AccountStatus.SUSPENDED:
        raise DomainError("doctor_not_suspended")
    return Actor(account.id, account.role, account.name)
