"""What may be done with an appointment, when, and by whom."""

import pytest

from app.scheduling.decisions import Refusal, check_action
from app.scheduling.intervals import DAY, HOUR
from app.scheduling.status import ACTIVE, TRANSITIONS, Action, AppointmentStatus
from tests.scheduling.clocks import instant

START = instant("2026-06-01T13:00Z")

# From when on; everything else cannot be done at all.
ALLOWED = {
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
LENGTHS = [0, 1, 12 * HOUR, DAY]
MOMENTS = sorted({START + sign * length + shift for length in LENGTHS for sign in (-1, 1) for shift in (-1, 0, 1)})


@pytest.mark.parametrize("status", AppointmentStatus)
@pytest.mark.parametrize("action", Action)
def test_what_a_doctor_may_do(action: Action, status: AppointmentStatus) -> None:
    for now in MOMENTS:
        expected = None
        if (action, status) not in ALLOWED:
            expected = Refusal.WRONG_STATUS
        elif now < ALLOWED[action, status]:
            expected = Refusal.TOO_EARLY
        assert check_action(action, status, START, now, cutoff=None) == expected


@pytest.mark.parametrize("cutoff", LENGTHS)
@pytest.mark.parametrize("status", AppointmentStatus)
@pytest.mark.parametrize("action", [Action.RESCHEDULE, Action.CANCEL])
def test_what_a_patient_may_do_and_until_when(action: Action, status: AppointmentStatus, cutoff: int) -> None:
    for now in MOMENTS:
        expected = None
        if status not in {"booked", "arrived"}:
            expected = Refusal.WRONG_STATUS
        elif now >= START:
            expected = Refusal.ALREADY_STARTED
        elif now + cutoff > START:
            expected = Refusal.TOO_LATE
        assert check_action(action, status, START, now, cutoff=cutoff) == expected


def test_where_every_action_leads() -> None:
    assert {action: TRANSITIONS[action].target for action in Action} == TARGETS


def test_nothing_leads_out_of_the_last_states() -> None:
    left = {status for transition in TRANSITIONS.values() for status in transition.sources}
    assert left == {AppointmentStatus.BOOKED, AppointmentStatus.ARRIVED}


def test_booked_and_arrived_visits_are_active() -> None:
    assert {AppointmentStatus.BOOKED, AppointmentStatus.ARRIVED} == ACTIVE


def test_only_cancelled_and_missed_visits_free_their_time() -> None:
    assert {status for status in AppointmentStatus if not status.occupies_time} == {
        AppointmentStatus.CANCELLED,
        AppointmentStatus.NOSHOW,
    }
