"""What is offered is what is accepted, and both are what was promised."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from app.scheduling.decisions import check_booking, explain, find_conflicting, free_windows, has_daily_limit, slots
from app.scheduling.intervals import MINUTE, Interval
from tests.scheduling import reference
from tests.scheduling.reference import at
from tests.scheduling.worlds import World, worlds

# A slow machine is no failure.
in_any_world = settings(deadline=None, max_examples=50)


def every_half_hour(world: World) -> range:
    first, last = world.span
    return range(first, last, 30 * MINUTE)


def visit_at(world: World, start: int) -> Interval:
    return start, start + world.visit_type.duration


def reasons_against(world: World, visit: Interval) -> list[str]:
    return list(map(str, explain(world.rules, world.visit_type, visit, world.reached(visit), world.now)))


@in_any_world
@given(worlds())
def test_the_slots_are_those_that_one_finds_by_trying_each(world: World) -> None:
    found = slots(world.rules, world.visit_type, world.listed, world.span, world.now)
    assert [(at(start), at(end)) for start, end in found] == reference.slots(world.diary, *map(at, world.span))


@in_any_world
@given(worlds())
def test_every_listed_slot_books_and_every_other_start_is_refused(world: World) -> None:
    step = world.visit_type.step or 15 * MINUTE
    world = replace(world, visit_type=replace(world.visit_type, step=step))
    listed = slots(world.rules, world.visit_type, world.listed, world.span, world.now)
    for visit in listed:
        assert reasons_against(world, visit) == []
        assert check_booking(world.rules, world.visit_type, visit, world.reached(visit), world.now) is None
    asked = {visit_at(world, start) for start in every_half_hour(world)}
    beside = {visit_at(world, start + shift) for start, _ in listed[:5] for shift in (-MINUTE, -1, 1, MINUTE)}
    inside = {visit for visit in asked | beside if world.span[0] <= visit[0] < world.span[1]}
    for visit in inside - set(listed):
        reasons = reasons_against(world, visit)
        assert reasons
        assert check_booking(world.rules, world.visit_type, visit, world.reached(visit), world.now) == reasons[0]


@in_any_world
@given(worlds(), st.data())
def test_the_reasons_are_those_that_one_finds_rule_by_rule(world: World, data: st.DataObject) -> None:
    first, last = world.span
    starts = st.sampled_from(every_half_hour(world)) | st.integers(first, last - 1)
    for start in data.draw(st.lists(starts, min_size=1, max_size=8)):
        visit = visit_at(world, start)
        assert set(reasons_against(world, visit)) == reference.explain(world.diary, (at(visit[0]), at(visit[1])))


@in_any_world
@given(worlds())
def test_a_visit_without_a_grid_can_be_booked_wherever_a_free_window_holds_it(world: World) -> None:
    world = replace(world, visit_type=replace(world.visit_type, step=None))
    first, last = world.span
    length = world.visit_type.duration
    free = free_windows(world.rules, world.visit_type, world.reached(world.span), world.span, world.now)
    edges = {start for begin, end in free for start in (begin - 1, begin, end - length, end - length + 1)}
    for start in edges.union(every_half_hour(world)):
        visit = visit_at(world, start)
        if first <= visit[0] and visit[1] <= last:
            held = any(begin <= visit[0] and visit[1] <= end for begin, end in free)
            assert held == (reasons_against(world, visit) == [])


@in_any_world
@given(worlds())
def test_what_is_out_of_reach_does_not_matter(world: World) -> None:
    rules, visit_type, span, now = world.rules, world.visit_type, world.span, world.now
    assert slots(rules, visit_type, world.listed, span, now) == slots(rules, visit_type, world.taken, span, now)
    reached = world.reached(span)
    assert free_windows(rules, visit_type, reached, span, now) == free_windows(
        rules, visit_type, world.taken, span, now
    )


@in_any_world
@given(worlds())
def test_a_list_of_two_spans_is_the_two_lists(world: World) -> None:
    rules, visit_type, taken, now = world.rules, world.visit_type, world.taken, world.now
    first, last = world.span
    middle = first + (last - first) // 3
    halves = [slots(rules, visit_type, taken, span, now) for span in ((first, middle), (middle, last))]
    assert halves[0] + halves[1] == slots(rules, visit_type, taken, world.span, now)


@in_any_world
@given(worlds())
def test_without_a_limit_for_the_day_a_booking_needs_to_know_of_no_other(world: World) -> None:
    if has_daily_limit(world.rules, world.visit_type):
        return
    for start in every_half_hour(world)[::6]:
        visit = visit_at(world, start)
        refusal = check_booking(world.rules, world.visit_type, visit, (), world.now)
        # The guard of the table knows what is taken.
        assert ([refusal] if refusal else []) == [
            reason for reason in reasons_against(world, visit) if reason != "slot_taken"
        ][:1]


@in_any_world
@given(worlds())
def test_booked_visits_conflict_with_the_hours_and_with_time_off_alone(world: World) -> None:
    visits = sorted(visit_at(world, start) for start in every_half_hour(world))
    hours = {"outside_availability", "time_off"}
    assert find_conflicting(world.rules, [(visit, visit) for visit in visits]) == [
        visit for visit in visits if hours & set(reasons_against(world, visit))
    ]
