"""List and cancel the upcoming visits of suspended doctors, who cannot sign in themselves (ADR 0045)."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.core.errors import DomainError
from app.core.permissions import AccountStatus, Actor, Role, Scope
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
    scope = await _get_scope(transaction, doctor_id)
    return await appointments.page_appointments(
        transaction, scope, as_of=as_of, since=as_of, until=None, statuses=ACTIVE, after=after, limit=limit
    )


async def get_visit(
    transaction: Transaction, doctor_id: UUID, appointment_id: UUID, now: datetime
) -> AppointmentRecord:
    """Return a visit that has not ended, including a cancelled one.

    Raises ``not_found`` and ``doctor_not_suspended``.
    """
    scope = await _get_scope(transaction, doctor_id)
    visit = await appointments.get_appointment(transaction, scope, appointment_id)
    # Administrators see as little as possible: for them, a visit that is over does not exist (ADR 0045).
    if visit.is_over(now):
        raise DomainError("not_found")
    return visit


async def cancel_visit(
    transaction: Transaction,
    actor: Actor,
    doctor_id: UUID,
    appointment_id: UUID,
    *,
    reason: str,
    versions: frozenset[int] | None,
    now: datetime,
) -> AppointmentRecord:
    """Cancel a visit that has not ended, on behalf of the doctor. The patient can read the reason.

    The actor, an administrator, is recorded as the person who cancelled. There is no deadline, and cancelling again
    changes nothing. Raises the codes of ``get_visit``, ``version_mismatch``, and ``wrong_status`` if the visit has an
    outcome.
    """
    visit = await get_visit(transaction, doctor_id, appointment_id, now)
    # Recorded as the administrator's cancellation, so that the doctor cannot undo it (ADR 0045).
    return await cancel_appointment(
        transaction,
        actor,
        appointment_id,
        reason=reason,
        versions=versions,
        scope=Scope(doctor_id=visit.doctor_id),
        now=now,
    )


async def _get_scope(transaction: Transaction, doctor_id: UUID) -> Scope:
    # Not locked: a cancellation that is under way when the doctor is reinstated still counts (ADR 0045).
    account = await accounts.get_account(transaction, doctor_id)
    if account.role is not Role.DOCTOR or account.status is AccountStatus.ERASED:
        raise DomainError("not_found")
    if account.status is not AccountStatus.SUSPENDED:
        raise DomainError("doctor_not_suspended")
    return Scope(doctor_id=account.id)
