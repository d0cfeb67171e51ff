"""Computations are divided into slices, take turns and have a budget."""

import asyncio
from time import perf_counter, thread_time

import pytest

from app.core import computing
from app.core.computing import Computation
from app.core.errors import DomainError
from app.core.fair_locks import ClientFairLock


def use_processor(seconds: float) -> None:
    ends = thread_time() + seconds
    while thread_time() < ends:
        pass


async def count_turns(task: "asyncio.Task[bool]") -> int:
    """Count how often another task gets the processor while the task runs."""
    turns = 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    await task
    return turns


async def test_other_tasks_run_after_each_slice() -> None:
    done: list[int] = []

    def step(number: int) -> None:
        use_processor(computing.SLICE)
        done.append(number)

    computation = Computation(ClientFairLock(), "a client")
    task = asyncio.create_task(computation.run(map(step, range(10))))
    assert await count_turns(task) >= 10
    assert done == list(range(10))
    assert not computation.is_over


async def test_computations_take_turns_one_at_a_time() -> None:
    processor = ClientFairLock()
    order: list[str] = []

    async def compute(name: str) -> None:
        def step(_: int) -> None:
            use_processor(computing.SLICE)
            order.append(name)

        await Computation(processor, "a client").run(map(step, range(4)))

    await asyncio.gather(*(compute(name) for name in "abc"))
    assert order == list("abc") * 4


async def test_computation_rests_as_long_as_it_computes() -> None:
    slices, resting = 0, 0.0

    def step(_: int) -> None:
        nonlocal slices
        use_processor(computing.SLICE)
        slices += 1

    task = asyncio.create_task(Computation(ClientFairLock(), "a client").run(map(step, range(4))))
    while not task.done():
        before = slices
        began = perf_counter()
        await asyncio.sleep(0)
        if slices == before and slices:
            resting += perf_counter() - began
    assert resting >= 3 * computing.SLICE * 0.9


async def test_at_most_one_slice_runs_between_two_steps_of_another_request() -> None:
    processor = ClientFairLock()
    slices = 0

    def step(_: int) -> None:
        nonlocal slices
        use_processor(computing.SLICE)
        slices += 1

    tasks = [asyncio.create_task(Computation(processor, str(number)).run(map(step, range(4)))) for number in range(20)]
    while not all(task.done() for task in tasks):
        before = slices
        await asyncio.sleep(0)
        assert slices - before <= 1
    assert slices == 80


async def test_computations_of_one_client_delay_another_client_by_few_slices() -> None:
    processor = ClientFairLock()
    order: list[str] = []

    async def compute(client: str) -> None:
        def step(_: int) -> None:
            use_processor(computing.SLICE)
            order.append(client)

        await Computation(processor, client).run(map(step, range(4)))

    await asyncio.gather(*(compute("busy client") for _ in range(20)), compute("other client"))
    last = len(order) - order[::-1].index("other client")
    assert order[:last].count("busy client") <= 2 * 5


async def test_computation_stops_when_its_budget_is_spent() -> None:
    done: list[int] = []

    def step(_: int) -> None:
        use_processor(computing.SLICE)
        done.append(1)

    computation = Computation(ClientFairLock(), "a client", 4 * computing.SLICE)
    assert not await computation.run(map(step, range(100)))
    assert computation.is_over
    assert 1 <= len(done) <= 5


async def test_short_computations_are_not_interrupted() -> None:
    steps: list[int] = []
    task = asyncio.create_task(Computation(ClientFairLock(), "a client").run(map(steps.append, range(3))))
    await asyncio.sleep(0)
    assert task.done()
    assert len(steps) == 3


async def test_computation_without_a_turn_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing, "MAX_WAIT", 0.05)
    processor = ClientFairLock()
    async with processor.hold("another client"):
        with pytest.raises(DomainError, match="busy"):
            await Computation(processor, "a client").run(range(1))
    await Computation(processor, "a client").run(range(1))


async def test_failing_step_releases_the_turn() -> None:
    def fail(_: int) -> None:
        raise LookupError

    processor = ClientFairLock()
    with pytest.raises(LookupError):
        await Computation(processor, "a client").run(map(fail, range(1)))
    await Computation(processor, "a client").run(range(1))


async def test_finishing_returns_the_items_of_all_steps() -> None:
    assert await Computation(ClientFairLock(), "a client").finish(number * number for number in range(4)) == [
        0,
        1,
        4,
        9,
    ]


async def test_finishing_over_the_budget_is_busy() -> None:
    computation = Computation(ClientFairLock(), "a client", 4 * computing.SLICE)
    with pytest.raises(DomainError, match="busy"):
        await computation.finish(use_processor(computing.SLICE) for _ in range(100))  # type: ignore[func-returns-value] # only its time matters
    assert computation.is_over


@pytest.mark.parametrize("steps", [1, 2])
async def test_last_step_may_use_up_the_budget(steps: int) -> None:
    computation = Computation(ClientFairLock(), "a client", 2 * computing.SLICE * steps - computing.SLICE)

    def step(number: int) -> int:
        use_processor(2 * computing.SLICE)
        return number

    assert await computation.finish(map(step, range(steps))) == list(range(steps))
    assert computation.is_over


async def test_at_most_one_step_runs_without_a_budget() -> None:
    done: list[int] = []
    computation = Computation(ClientFairLock(), "a client", 0)
    assert not await computation.run(map(done.append, range(3)))
    assert done == [0]
    assert await computation.run(())
