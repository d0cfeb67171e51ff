"""The appointments of the demo clinic."""

from collections import Counter, defaultdict
from datetime import timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from app.models import AppointmentVersion, Doctor, TimeOff
from app.scheduling.availability import windows_between
from app.scheduling.intervals import merge, to_instant
from app.scheduling.status import AppointmentStatus
from tests.demo.clinic import NOT_BLOCKING, NOW, SPAN, DemoClinic


async def test_statuses_of_appointments_fit_the_time_of_day(clinic: DemoClinic) -> None:
    appointments = await clinic.list_appointments()
    assert 520 <= len(appointments) <= 560
    past = [each for each in appointments if each.end_time + timedelta(minutes=15) <= NOW]
    assert len(past) >= 150
    statuses = Counter(each.status for each in past)
    assert statuses.keys() == {AppointmentStatus.FULFILLED, *NOT_BLOCKING}
    assert statuses[AppointmentStatus.FULFILLED] >= 120
    assert 5 <= statuses[AppointmentStatus.NOSHOW] <= 40
    coming = [each for each in appointments if each.start_time > NOW + timedelta(minutes=20)]
    assert {each.status for each in coming} == {AppointmentStatus.BOOKED, AppointmentStatus.CANCELLED}
    assert sum(each.status is AppointmentStatus.BOOKED for each in coming) >= 200
    around_now = Counter(each.status for each in appointments if abs(each.start_time - NOW) < timedelta(hours=4))
    assert around_now[AppointmentStatus.FULFILLED] >= 5
    assert around_now[AppointmentStatus.ARRIVED] >= 2
    assert around_now[AppointmentStatus.BOOKED] >= 5


async def test_appointments_are_cancelled_by_both_parties_with_reasons(clinic: DemoClinic) -> None:
    cancelled = [each for each in await clinic.list_appointments() if each.status is AppointmentStatus.CANCELLED]
    assert 20 <= len(cancelled) <= 80
    assert {each.cancelled_by == each.doctor_id for each in cancelled} == {True, False}
    assert {each.start_time < NOW for each in cancelled} == {True, False}
    assert sum(each.cancel_reason is not None for each in cancelled) > len(cancelled) / 2
    for each in cancelled:
        assert each.cancelled_at is not None
        assert each.created_at <= each.cancelled_at <= NOW


async def test_appointments_have_histories(clinic: DemoClinic) -> None:
    appointments = {each.id: each for each in await clinic.list_appointments()}
    histories = defaultdict(list)
    for each in await clinic.read_rows(AppointmentVersion):
        histories[each.appointment_id].append(each)
    moved, arrived = set(), set()
    for appointment in appointments.values():
        history = sorted(histories[appointment.id], key=lambda each: each.version)
        assert [each.version for each in history] == list(range(1, appointment.version))
        times = [*(each.changed_at for each in history), appointment.changed_at or appointment.created_at]
        assert times == sorted(times)
        assert appointment.created_at == times[0] < appointment.start_time
        assert times[-1] <= NOW
        if any(each.start_time != appointment.start_time for each in history):
            moved.add(appointment.id)
        if any(each.status is AppointmentStatus.ARRIVED for each in history):
            arrived.add(appointment.id)
    assert len(moved) >= 20
    assert {appointments[each].status for each in moved} >= {AppointmentStatus.BOOKED, AppointmentStatus.FULFILLED}
    fulfilled = {each.id for each in appointments.values() if each.status is AppointmentStatus.FULFILLED}
    assert arrived < fulfilled, "some appointments were fulfilled without an arrival"
    assert len(arrived) >= 50


async def test_appointments_do_not_overlap_and_lie_within_opening_hours(clinic: DemoClinic) -> None:
    appointments = await clinic.list_appointments()
    for party, from_, to in (("doctor_id", "busy_start", "busy_end"), ("patient_id", "start_time", "end_time")):
        busy = sorted(
            (getattr(each, party), getattr(each, from_), getattr(each, to))
            for each in appointments
            if each.status not in NOT_BLOCKING
        )
        assert not [(one, other) for one, other in pairwise(busy) if one[0] == other[0] and one[2] > other[1]]
    for doctor in await clinic.list_doctors():
        open_ = merge(windows_between(await clinic.get_rules(doctor.id), SPAN))
        for each in appointments:
            start, end = to_instant(each.start_time), to_instant(each.end_time)
            assert each.doctor_id != doctor.id or any(opens <= start < end <= closes for opens, closes in open_)


async def test_appointments_respect_the_limits_of_doctors(clinic: DemoClinic) -> None:
    doctors = {each.id: each for each in await clinic.read_rows(Doctor)}
    for limit in ("min_notice_minutes", "max_advance_days", "daily_limit", "cancel_cutoff_minutes"):
        assert 2 <= sum(bool(getattr(doctor, limit)) for doctor in doctors.values()) < 14
    days: Counter[Any] = Counter()
    for each in await clinic.list_appointments():
        doctor = doctors[each.doctor_id]
        zone = ZoneInfo(doctor.time_zone)
        assert each.start_time - each.created_at >= timedelta(minutes=doctor.min_notice_minutes)
        if doctor.max_advance_days is not None:
            ahead = each.start_time.astimezone(zone).date() - each.created_at.astimezone(zone).date()
            assert ahead <= timedelta(days=doctor.max_advance_days)
        if each.status not in NOT_BLOCKING:
            days[doctor.id, each.start_time.astimezone(zone).date()] += 1
        if each.cancelled_at is not None and each.cancelled_by == each.patient_id:
            assert each.start_time - each.cancelled_at >= timedelta(minutes=doctor.cancel_cutoff_minutes)
    for (doctor_id, _), visits in days.items():
        assert visits <= (doctors[doctor_id].daily_limit or 100)


async def test_time_off_taken_late_leaves_appointments_in_conflict(clinic: DemoClinic) -> None:
    time_off = {each.doctor_id: each for each in await clinic.read_rows(TimeOff)}
    late = {doctor_id for doctor_id, each in time_off.items() if each.reason != "Holiday"}
    assert len(late) == 2
    assert len(time_off) == 5
    for doctor in await clinic.list_doctors():
        conflicting = await clinic.list_conflicting(doctor)
        assert bool(conflicting) == (doctor.id in late)
        for each in conflicting:
            start, end = (
                moment.astimezone(ZoneInfo(each.time_zone)).replace(tzinfo=None)
                for moment in (each.start_time, each.end_time)
            )
            assert each.status is AppointmentStatus.BOOKED
            assert time_off[doctor.id].starts <= start < end <= time_off[doctor.id].ends
