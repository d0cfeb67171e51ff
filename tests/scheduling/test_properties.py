"""Properties of the engine in random scenarios: listed slots can be booked, and match a plain implementation."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from app.scheduling.decisions import check_booking, explain, find_conflicting, free_windows, has_daily_limit, slots
from app.scheduling.intervals import MINUTE, Interval
from tests.scheduling import reference
from tests.scheduling.reference import at
from tests.scheduling.scenarios import Scenario, scenarios

in_random_scenarios = settings(max_examples=50)


def half_hours(scenario: Scenario) -> range:
    first, last = scenario.span
    return range(first, last, 30 * MINUTE)


def visit_at(scenario: Scenario, start: int) -> Interval:
    return start, start + scenario.visit_type.duration


def list_refusals(scenario: Scenario, visit: Interval) -> list[str]:
    busy_periods = scenario.relevant_busy_periods(visit)
    return [str(each) for each in explain(scenario.rules, scenario.visit_type, visit, busy_periods, scenario.now)]


def find_refusal(scenario: Scenario, visit: Interval) -> str | None:
    busy_periods = scenario.relevant_busy_periods(visit)
    return check_booking(scenario.rules, scenario.visit_type, visit, busy_periods, scenario.now)


@in_random_scenarios
@given(scenarios())
def test_slots_match_those_of_the_reference(scenario: Scenario) -> None:
    found = slots(scenario.rules, scenario.visit_type, scenario.busy_periods_for_slots, scenario.span, scenario.now)
    assert [(at(start), at(end)) for start, end in found] == reference.slots(scenario.diary, *map(at, scenario.span))


@in_random_scenarios
@given(scenarios())
def test_listed_slots_can_be_booked_and_other_starts_are_refused(scenario: Scenario) -> None:
    step = scenario.visit_type.step or 15 * MINUTE
    scenario = replace(scenario, visit_type=replace(scenario.visit_type, step=step))
    listed = slots(scenario.rules, scenario.visit_type, scenario.busy_periods_for_slots, scenario.span, scenario.now)
    for visit in listed:
        assert list_refusals(scenario, visit) == []
        assert find_refusal(scenario, visit) is None
    regular = {visit_at(scenario, start) for start in half_hours(scenario)}
    beside = {visit_at(scenario, start + shift) for start, _ in listed[:5] for shift in (-MINUTE, -1, 1, MINUTE)}
    inside = {visit for visit in regular | beside if scenario.span[0] <= visit[0] < scenario.span[1]}
    for visit in inside - set(listed):
        reasons = list_refusals(scenario, visit)
        assert reasons
        assert find_refusal(scenario, visit) == reasons[0]


@in_random_scenarios
@given(scenarios(), st.data())
def test_refusals_match_those_of_the_reference(scenario: Scenario, data: st.DataObject) -> None:
    first, last = scenario.span
    starts = st.sampled_from(half_hours(scenario)) | st.integers(first, last - 1)
    for start in data.draw(st.lists(starts, min_size=1, max_size=8)):
        visit = visit_at(scenario, start)
        assert set(list_refusals(scenario, visit)) == reference.explain(scenario.diary, (at(visit[0]), at(visit[1])))


@in_random_scenarios
@given(scenarios())
def test_visit_without_a_grid_can_be_booked_anywhere_in_a_free_window(scenario: Scenario) -> None:
    scenario = replace(scenario, visit_type=replace(scenario.visit_type, step=None))
    first, last = scenario.span
    length = scenario.visit_type.duration
    free = free_windows(
        scenario.rules, scenario.visit_type, scenario.relevant_busy_periods(scenario.span), scenario.span, scenario.now
    )
    edges = {start for begin, end in free for start in (begin - 1, begin, end - length, end - length + 1)}
    for start in edges.union(half_hours(scenario)):
        visit = visit_at(scenario, start)
        if first <= visit[0] and visit[1] <= last:
            is_free = any(begin <= visit[0] and visit[1] <= end for begin, end in free)
            assert is_free == (list_refusals(scenario, visit) == [])


@in_random_scenarios
@given(scenarios())
def test_irrelevant_busy_periods_change_no_slots_and_no_free_windows(scenario: Scenario) -> None:
    rules, visit_type, span, now = scenario.rules, scenario.visit_type, scenario.span, scenario.now
    assert slots(rules, visit_type, scenario.busy_periods_for_slots, span, now) == slots(
        rules, visit_type, scenario.busy_periods, span, now
    )
    relevant = scenario.relevant_busy_periods(span)
    assert free_windows(rules, visit_type, relevant, span, now) == free_windows(
        rules, visit_type, scenario.busy_periods, span, now
    )


@in_random_scenarios
@given(scenarios())
def test_slots_of_a_span_are_the_slots_of_its_parts(scenario: Scenario) -> None:
    rules, visit_type, busy_periods, now = scenario.rules, scenario.visit_type, scenario.busy_periods, scenario.now
    first, last = scenario.span
    middle = first + (last - first) // 3
    halves = [slots(rules, visit_type, busy_periods, span, now) for span in ((first, middle), (middle, last))]
    assert halves[0] + halves[1] == slots(rules, visit_type, busy_periods, scenario.span, now)


@in_random_scenarios
@given(scenarios())
def test_check_without_a_daily_limit_needs_no_busy_periods(scenario: Scenario) -> None:
    if has_daily_limit(scenario.rules, scenario.visit_type):
        return
    for start in half_hours(scenario)[::6]:
        visit = visit_at(scenario, start)
        refusal = check_booking(scenario.rules, scenario.visit_type, visit, (), scenario.now)
        # The constraint of the table refuses overlaps.
        assert ([refusal] if refusal else []) == [
            reason for reason in list_refusals(scenario, visit) if reason != "slot_taken"
        ][:1]


@in_random_scenarios
@given(scenarios())
def test_visits_outside_windows_or_in_time_off_conflict(scenario: Scenario) -> None:
    visits = sorted(visit_at(scenario, start) for start in half_hours(scenario))
    hours = {"outside_availability", "time_off"}
    assert find_conflicting(scenario.rules, [(visit, visit) for visit in visits]) == [
        visit for visit in visits if hours & set(list_refusals(scenario, visit))
    ]
