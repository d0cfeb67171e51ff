"""Which actions doctors and patients may take on an appointment, and when."""

import pytest

from app.scheduling.decisions import Refusal, check_action
from app.scheduling.intervals import DAY, HOUR
from app.scheduling.status import ACTIVE, TRANSITIONS, Action, AppointmentStatus
from tests.scheduling.clocks import instant

START = instant("2026-06-01T13:00Z")

# The earliest time of each action. Combinations that are missing are refused.
ALLOWED_FROM = {
    ("reschedule", "booked"): START - 1000 * DAY,
    ("reschedule", "arrived"): START - 1000 * DAY,
    ("cancel", "booked"): START - 1000 * DAY,
    ("cancel", "arrived"): START - 1000 * DAY,
    ("arrive", "booked"): START - 12 * HOUR,
    ("complete", "booked"): START,
    ("complete", "arrived"): START,
    ("no-show", "booked"): START,
    ("no-show", "arrived"): START,
}
TARGETS = {
    "reschedule": "booked",
    "cancel": "cancelled",
    "arrive": "arrived",
    "complete": "fulfilled",
    "no-show": "noshow",
}
CUTOFFS = [0, 1, 12 * HOUR, DAY]
MOMENTS = sorted({START + sign * cutoff + shift for cutoff in CUTOFFS for sign in (-1, 1) for shift in (-1, 0, 1)})


@pytest.mark.parametrize("status", AppointmentStatus)
@pytest.mark.parametrize("action", Action)
def test_action_of_a_doctor_depends_on_status_and_time(action: Action, status: AppointmentStatus) -> None:
    for now in MOMENTS:
        expected = None
        if (action, status) not in ALLOWED_FROM:
            expected = Refusal.WRONG_STATUS
        elif now < ALLOWED_FROM[action, status]:
            expected = Refusal.TOO_EARLY
        assert check_action(action, status, START, now, cutoff=None) == expected


@pytest.mark.parametrize("cutoff", CUTOFFS)
@pytest.mark.parametrize("status", AppointmentStatus)
@pytest.mark.parametrize("action", [Action.RESCHEDULE, Action.CANCEL])
def test_action_of_a_patient_is_allowed_until_the_cutoff(
    action: Action, status: AppointmentStatus, cutoff: int
) -> None:
    for now in MOMENTS:
        expected = None
        if status not in {"booked", "arrived"}:
            expected = Refusal.WRONG_STATUS
        elif now >= START:
            expected = Refusal.ALREADY_STARTED
        elif now + cutoff > START:
            expected = Refusal.TOO_LATE
        assert check_action(action, status, START, now, cutoff=cutoff) == expected


def test_every_action_has_its_target_status() -> None:
    assert {action: TRANSITIONS[action].target for action in Action} == TARGETS


def test_final_states_have_no_transitions() -> None:
    sources = {status for transition in TRANSITIONS.values() for status in transition.sources}
    assert sources == {AppointmentStatus.BOOKED, AppointmentStatus.ARRIVED}


def test_booked_and_arrived_appointments_are_active() -> None:
    assert {AppointmentStatus.BOOKED, AppointmentStatus.ARRIVED} == ACTIVE


def test_only_cancelled_and_missed_appointments_free_their_time() -> None:
    assert {status for status in AppointmentStatus if not status.occupies_time} == {
        AppointmentStatus.CANCELLED,
        AppointmentStatus.NOSHOW,
    }
