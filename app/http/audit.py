"""``Audit``: records who has read or changed whose data, in the transaction of the response (docs/audit.md)."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Annotated, Protocol
from uuid import UUID

from fastapi import Depends, Request, Response
from pydantic import TypeAdapter

from app.core.audit_actions import AuditAction
from app.core.clients import Client
from app.core.dependencies import Resources, get_client
from app.core.errors import DomainError, Kind
from app.core.permissions import Actor, Role
from app.repositories.accounts import AccountRecord
from app.services import audit
from app.services.audit import Event

log = logging.getLogger(__name__)

_SAFE_METHODS = {"GET", "HEAD"}


class OfPatient(Protocol):
    """A record that belongs to a patient, like an appointment."""

    @property
    def id(self) -> UUID:
        """The id of the record."""

    @property
    def patient_id(self) -> UUID:
        """The patient that the record belongs to."""


@dataclass(frozen=True, slots=True)
class _Stored:
    object_id: UUID | None
    concerned: dict[UUID, set[UUID]]
    reason: str | None = None


_STORED = TypeAdapter(_Stored)


class AuditRecorder:
    """Collects the audit events of one request: one event for each patient that it concerns.

    If the route names no patient, there is one event. It names the caller as the patient if the caller is a patient,
    and otherwise no patient.
    """

    def __init__(self, template: Event) -> None:
        self._template = template
        self._concerned: dict[UUID, set[UUID]] = {}
        self._shown: dict[UUID, set[UUID]] = {}

    def concerns(self, *records: OfPatient) -> None:
        """Add records that the request reads or changes.

        If a patient has exactly one of them, the patient's event names it as its object.
        """
        for record in records:
            self.concerns_patient(record.patient_id).add(record.id)

    def concerns_patient(self, patient_id: UUID) -> set[UUID]:
        """Add a patient. Return the set of ids of the patient's records so far, to which the caller can add more."""
        return self._concerned.setdefault(patient_id, set())

    def shows(self, *records: OfPatient) -> None:
        """Add records that the response lists in addition to the change, like visits outside of new hours.

        They are recorded as reads.
        """
        for record in records:
            self._shown.setdefault(record.patient_id, set()).add(record.id)

    def about(self, object_id: UUID) -> None:
        """Set the object of the request, if it does not belong to a patient, like time off."""
        self._template = replace(self._template, object_id=object_id)

    def about_account(self, account: AccountRecord, reason: str | None = None) -> AccountRecord:
        """Set the account that an administrator has changed, and the reason. Return the account."""
        if account.role is Role.PATIENT:
            self.concerns_patient(account.id).add(account.id)
        else:
            self.about(account.id)
        if reason:
            self.because(reason)
        return account

    def because(self, reason: str) -> None:
        """Set the reason that the caller gave."""
        self._template = replace(self._template, reason=reason)

    def dump(self) -> str:
        """Return what the response is about, as JSON, to be stored with the response to an ``Idempotency-Key``."""
        concerned = self._concerned | {
            patient_id: self._concerned.get(patient_id, set()) | objects for patient_id, objects in self._shown.items()
        }
        return _STORED.dump_json(_Stored(self._template.object_id, concerned, self._template.reason)).decode()

    def restore(self, stored: str) -> None:
        """Take over what a stored response is about."""
        found = _STORED.validate_json(stored)
        self._template = replace(self._template, object_id=found.object_id, reason=found.reason)
        self._concerned = found.concerned

    def events(self) -> Iterator[Event]:
        """Yield an event for each patient whom the request concerns."""
        if not self._concerned:
            is_patient = self._template.actor_role is Role.PATIENT
            yield replace(self._template, patient_id=self._template.actor_id if is_patient else None)
        yield from self._events_of(self._concerned)

    def reads(self) -> Iterator[Event]:
        """Yield an event for each patient whose records the response lists in addition."""
        return self._events_of(self._shown)

    def _events_of(self, patients: dict[UUID, set[UUID]]) -> Iterator[Event]:
        for patient_id, objects in patients.items():
            object_id = next(iter(objects)) if len(objects) == 1 else self._template.object_id
            yield replace(self._template, patient_id=patient_id, object_id=object_id)


async def open_audit(request: Request) -> AuditRecorder:
    """Record the request when its response has been made and before it is sent: see ``run_in_transaction``."""
    caller: Actor | None = request.state.actor
    if caller is None:
        raise DomainError("not_authenticated")
    trail = AuditRecorder(_event(request, caller, await get_client(request)))

    async def record(response: Response) -> None:
        # Not read earlier: the events of a GET are written in a second transaction (ADR 0029).
        transaction, now = request.state.transaction, request.state.now
        replayed = "Idempotency-Replayed" in response.headers
        changes_nothing = replayed or request.method in _SAFE_METHODS
        if changes_nothing and HTTPStatus(response.status_code).is_redirection:
            return  # a redirect shows no data
        reads = list(trail.reads())
        if changes_nothing:
            # Repeated reads are recorded once in ten minutes, so a client that polls cannot fill the disk.
            reads += trail.events()
        else:
            await audit.record(transaction, *trail.events(), now=now)
        if reads:
            await audit.record_unless_repeated(transaction, *reads, now=now)

    request.state.before_commit.append(record)
    request.state.trail = trail
    return trail


Audit = Annotated[AuditRecorder, Depends(open_audit)]
"""Parameter of every route that reads or changes patients' data. It comes after the caller, which it reads, and before
``Idempotent``, which may answer at once."""


async def record_refusal(request: Request, error: DomainError) -> None:
    """Record that the caller was refused access: 403, or 404 on a route with ``Audit``. Other errors are ignored.

    It uses a transaction of its own, because that of the request was rolled back. If the database is busy, this is only
    logged.
    """
    actor = getattr(request.state, "actor", None)
    if actor is None or not (error.kind is Kind.FORBIDDEN or (error.kind is Kind.NOT_FOUND and request.state.recorded)):
        return
    object_id = next((value for value in request.path_params.values() if isinstance(value, UUID)), None)
    event = replace(_event(request, actor, await get_client(request)), outcome=error.code, object_id=object_id)
    resources: Resources = request.app.state.resources
    try:
        async with resources.database.write() as transaction:
            await audit.record_unless_repeated(transaction, event, now=resources.clock())
    except DomainError as busy:
        log.warning("a refusal was not recorded: %r", busy.__cause__)


async def record_showing(request: Request, operation: str) -> None:
    """Record that a refused form shows patients' data again, under the name of the ``operation`` that usually does.

    It uses a transaction of its own, because that of the request was rolled back. Errors are raised: data must not be
    shown if that cannot be recorded.
    """
    trail: AuditRecorder = request.state.trail
    resources: Resources = request.app.state.resources
    async with resources.database.write() as transaction:
        events = [replace(event, action=AuditAction(operation)) for event in trail.events()]
        await audit.record_unless_repeated(transaction, *events, now=resources.clock())


def _event(request: Request, actor: Actor, client: Client) -> Event:
    return Event(AuditAction(request.state.operation), actor_id=actor.id, actor_role=actor.role, client=client)
