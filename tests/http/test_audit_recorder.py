"""The patients and records that a stored response concerns are stored with it."""

from dataclasses import dataclass
from uuid import UUID

import pytest

from app.core.audit_actions import AuditAction
from app.core.permissions import Role
from app.http.audit import AuditRecorder
from app.services.audit import Event

DOCTOR, ANN, BOB = UUID(int=1), UUID(int=2), UUID(int=3)
CHANGE = Event(AuditAction.SET_WEEKLY_HOURS, actor_id=DOCTOR, actor_role=Role.DOCTOR)


@dataclass
class Record:
    id: UUID
    patient_id: UUID


def test_restored_recorder_names_the_same_patients_and_records() -> None:
    recorder = AuditRecorder(CHANGE)
    recorder.about(UUID(int=9))
    recorder.concerns(Record(UUID(int=10), ANN))
    recorder.shows(Record(UUID(int=11), BOB), Record(UUID(int=12), BOB))
    restored = AuditRecorder(CHANGE)
    restored.restore(recorder.dump())
    assert {(event.patient_id, event.object_id) for event in restored.events()} == {
        (ANN, UUID(int=10)),
        (BOB, UUID(int=9)),
    }


def test_recorder_without_patient_is_restored_with_its_object_and_reason() -> None:
    recorder = AuditRecorder(CHANGE)
    recorder.about(UUID(int=9))
    recorder.because("the practice closes")
    restored = AuditRecorder(CHANGE)
    restored.restore(recorder.dump())
    [event] = restored.events()
    assert (event.patient_id, event.object_id, event.reason) == (None, UUID(int=9), "the practice closes")


def test_unknown_audit_action_is_an_error() -> None:
    with pytest.raises(ValueError, match="renamed_function"):
        AuditAction("renamed_function")
