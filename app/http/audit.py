"""``Audit``: who has read or changed whose data, recorded together with the answer (docs/audit.md)."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import Depends, Request, Response

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
    """Something that tells of a patient, like an appointment."""

    @property
    def id(self) -> UUID:
        """Its own id."""

    @property
    def patient_id(self) -> UUID:
        """Whom it tells of."""


class AuditRecorder:
    """What one request is going to leave in the audit trail: an event for each patient that it concerns.

    Unless the route says whom, that is the caller if she is a patient, and otherwise nobody.
    """

    def __init__(self, done: Event) -> None:
        self._done = done
        self._concerned: dict[UUID, set[UUID]] = {}
        self._shown: dict[UUID, set[UUID]] = {}

    def concerns(self, *records: OfPatient) -> None:
        """Notes whom these tell of; where it is one for a patient, her event names it."""
        for each in records:
            self.concerns_patient(each.patient_id).add(each.id)

    def concerns_patient(self, patient_id: UUID) -> set[UUID]:
        """Notes that this patient is concerned; returns what of hers is known to be."""
        return self._concerned.setdefault(patient_id, set())

    def shows(self, *records: OfPatient) -> None:
        """Notes whose records the answer lists beside what was changed, like the visits outside of new hours."""
        for each in records:
            self._shown.setdefault(each.patient_id, set()).add(each.id)

    def about(self, object_id: UUID) -> None:
        """Notes what the request is about, where that is nothing of a patient, like time off."""
        self._done = replace(self._done, object_id=object_id)

    def about_account(self, account: AccountRecord, reason: str | None = None) -> AccountRecord:
        """Note which account an administrator has changed, and why; returns the account."""
        if account.role is Role.PATIENT:
            self.concerns_patient(account.id).add(account.id)
        else:
            self.about(account.id)
        if reason:
            self.because(reason)
        return account

    def because(self, reason: str) -> None:
        """Notes what the caller said to explain it."""
        self._done = replace(self._done, reason=reason)

    def read_answer(self, answer: Any) -> None:
        """Notes what an answer that was kept is about and whom it tells of."""
        if isinstance(answer, dict) and "id" in answer:
            self.about(UUID(answer["id"]))
        for patient_id, object_id in _find_concerned(answer):
            self.concerns_patient(patient_id).add(object_id)

    def events(self) -> Iterator[Event]:
        """What the request did or looked at: an event for each patient it concerns."""
        if not self._concerned:
            yield replace(self._done, patient_id=self._done.actor_id if self._done.actor_role is Role.PATIENT else None)
        yield from self._events_of(self._concerned)

    def looks(self) -> Iterator[Event]:
        """Whose records the answer lists beside what was changed."""
        return self._events_of(self._shown)

    def _events_of(self, patients: dict[UUID, set[UUID]]) -> Iterator[Event]:
        for patient_id, objects in patients.items():
            object_id = next(iter(objects)) if len(objects) == 1 else self._done.object_id
            yield replace(self._done, patient_id=patient_id, object_id=object_id)


def _find_concerned(answer: Any) -> Iterator[tuple[UUID, UUID]]:
    match answer:
        case {"id": id_, "patient_id": patient_id}:
            yield UUID(patient_id), UUID(id_)
        case {"id": id_, "role": Role.PATIENT}:
            yield UUID(id_), UUID(id_)
        case dict():
            for member in answer.values():
                yield from _find_concerned(member)
        case list():
            for each in answer:
                yield from _find_concerned(each)


async def open_audit(request: Request) -> AuditRecorder:
    """Has the request recorded after its answer was made and before it is sent: see ``run_in_transaction``."""
    caller: Actor | None = request.state.actor
    if caller is None:
        raise DomainError("not_authenticated")
    trail = AuditRecorder(_event(request, caller, await get_client(request)))

    async def record(response: Response) -> None:
        transaction, now = request.state.transaction, request.state.now
        replayed = "Idempotency-Replayed" in response.headers
        changes_nothing = replayed or request.method in _SAFE_METHODS
        if changes_nothing and HTTPStatus(response.status_code).is_redirection:
            return  # nothing was shown either
        if replayed:
            trail.read_answer(json.loads(bytes(response.body)))
        looks = list(trail.looks())
        if changes_nothing:
            looks += trail.events()
        else:
            await audit.record(transaction, *trail.events(), now=now)
        if looks:
            await audit.record_unless_repeated(transaction, *looks, now=now)

    request.state.before_commit.append(record)
    request.state.trail = trail
    return trail


Audit = Annotated[AuditRecorder, Depends(open_audit)]
"""What a route names that reads or changes patients' data; after the caller, whom it asks for, and before
``Idempotent``, which may answer at once."""


async def record_refusal(request: Request, error: DomainError) -> None:
    """Records that somebody was refused what is not hers to have: 403, or 404 on a route that names a ``Audit``.

    In a transaction of its own, for that of the request is gone. If it fails, it is logged, and that is all.
    """
    actor = getattr(request.state, "actor", None)
    if actor is None or not (error.kind is Kind.FORBIDDEN or (error.kind is Kind.NOT_FOUND and request.state.recorded)):
        return
    wanted = next((value for value in request.path_params.values() if isinstance(value, UUID)), None)
    event = replace(_event(request, actor, await get_client(request)), outcome=error.code, object_id=wanted)
    resources: Resources = request.app.state.resources
    try:
        async with resources.database.write() as transaction:
            await audit.record_unless_repeated(transaction, event, now=resources.clock())
    except DomainError as busy:
        log.warning("a refusal was not recorded: %r", busy.__cause__)


async def record_showing(request: Request, operation: str) -> None:
    """Records that what a refused request was about was shown again, as the operation that shows it otherwise.

    In a transaction of its own, for that of the request is gone; what cannot be recorded must not be shown.
    """
    trail: AuditRecorder = request.state.trail
    resources: Resources = request.app.state.resources
    async with resources.database.write() as transaction:
        events = [replace(event, action=operation) for event in trail.events()]
        await audit.record_unless_repeated(transaction, *events, now=resources.clock())


def _event(request: Request, actor: Actor, client: Client) -> Event:
    return Event(request.state.operation, actor_id=actor.id, actor_role=actor.role, client=client)
