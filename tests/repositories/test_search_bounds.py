"""A bound that a search has found is saved only if no time was freed meanwhile."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text

from app.db.database import Database
from app.models import Offer
from app.repositories import doctors, search_bounds, search_offers
from app.repositories.search_bounds import DISTANT_PAST, BoundUpdate
from app.repositories.search_offers import OfferRecord
from tests.conftest import SetClock
from tests.people import Person


async def read_offer(database: Database, doctor: Person) -> OfferRecord:
    async with database.read() as transaction:
        [offer] = await search_offers.list_offers(transaction, [UUID(doctor.id)])
    return offer


@pytest.fixture
async def bound_update(database: Database, doctor: Person, clock: SetClock) -> BoundUpdate:
    """A bound that was found and is not saved yet."""
    offer = await read_offer(database, doctor)
    assert offer.not_before == DISTANT_PAST
    return BoundUpdate(offer.id, offer.revision, clock.time, 7, clock.time + timedelta(hours=1), clock.time)


async def save(database: Database, bound_update: BoundUpdate) -> None:
    async with database.write() as transaction:
        await search_bounds.save_bounds(transaction, [bound_update])


async def read_bounds(database: Database) -> dict[str, tuple[object, ...]]:
    """Return the bound of the only offer, by the languages under which it is indexed."""
    columns = (Offer.not_before, Offer.tie_break, Offer.known_until, Offer.revision)
    async with database.read() as transaction:
        return {
            language: tuple(bound) for language, *bound in await transaction.execute(select(Offer.language, *columns))
        }


async def test_bound_is_the_same_in_every_language(database: Database, doctor: Person, clock: SetClock) -> None:
    await doctor.update_profile(languages=["de", "pt-BR"])

    async def read_common_bound() -> tuple[object, ...]:
        by_language = await read_bounds(database)
        assert by_language.keys() == {"", "de", "pt", "pt-br"}
        [bound] = set(by_language.values())
        return bound

    _, _, _, revision = await read_common_bound()
    offer = await read_offer(database, doctor)
    await save(database, BoundUpdate(offer.id, offer.revision, clock.time, 7, clock.time, clock.time))
    assert await read_common_bound() == (clock.time, 7, clock.time, revision)
    async with database.write() as transaction:
        await search_bounds.lower_bounds(transaction, [UUID(doctor.id)])
    assert (await read_common_bound())[:3] == (DISTANT_PAST, 0, DISTANT_PAST)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_bounds_in_all_languages_are_lowered_with_a_nested_loop_plan(
    database: Database, doctor: Person, clock: SetClock
) -> None:
    # If a plan reads rows again to lock them, it skips those that the same statement has updated.
    await doctor.update_profile(languages=["de", "pt-BR"])
    offer = await read_offer(database, doctor)
    await save(database, BoundUpdate(offer.id, offer.revision, clock.time, 7, clock.time, clock.time))
    plan_types = "hashjoin", "mergejoin", "hashagg", "material", "indexscan", "bitmapscan", "sort"
    async with database.write() as transaction:
        for plan_type in plan_types:
            await transaction.execute(text(f"SET LOCAL enable_{plan_type} = off"))
        await search_bounds.lower_bounds(transaction, [UUID(doctor.id)])
    assert {bound for bound, *_ in (await read_bounds(database)).values()} == {DISTANT_PAST}
    async with database.write() as transaction:
        for plan_type in plan_types:
            await transaction.execute(text(f"SET LOCAL enable_{plan_type} = off"))
        await search_bounds.delete_offers(transaction, UUID(doctor.id))
    assert await read_bounds(database) == {}


async def test_concurrent_changes_of_bounds_and_offers_cause_no_deadlock(
    database: Database, doctor: Person, clock: SetClock
) -> None:
    await doctor.update_profile(languages=["de", "es", "fr", "pt-BR"])
    doctor_id = UUID(doctor.id)

    async def save_bounds() -> None:
        for minute in range(20):
            offer = await read_offer(database, doctor)
            await save(
                database,
                BoundUpdate(
                    offer.id, offer.revision, clock.time + timedelta(minutes=minute), 1, DISTANT_PAST, clock.time
                ),
            )

    async def lower_bounds() -> None:
        for _ in range(20):
            async with database.write() as transaction:
                await search_bounds.lower_bounds(transaction, [doctor_id])

    async def rewrite_offers() -> None:
        for _ in range(20):
            async with database.write() as transaction:
                await doctors.begin_rule_change(transaction, doctor_id)
                await search_bounds.rewrite_offers(transaction, doctor_id)

    async with asyncio.TaskGroup() as group:
        for work in (save_bounds, save_bounds, lower_bounds, rewrite_offers):
            group.create_task(work())
    assert len(await read_bounds(database)) == 6


async def test_bound_is_saved(database: Database, doctor: Person, bound_update: BoundUpdate) -> None:
    await save(database, bound_update)
    offer = await read_offer(database, doctor)
    assert (offer.not_before, offer.tie_break, offer.known_until) == (
        bound_update.bound,
        bound_update.tie_break,
        bound_update.known_until,
    )


@pytest.mark.parametrize("freed", [None, timedelta(days=400)], ids=str)
async def test_bound_found_before_time_was_freed_is_not_saved(
    database: Database, doctor: Person, bound_update: BoundUpdate, freed: timedelta | None
) -> None:
    async with database.write() as transaction:
        await search_bounds.lower_bounds(transaction, [UUID(doctor.id)], bound_update.bound + freed if freed else None)
    await save(database, bound_update)
    assert (await read_offer(database, doctor)).not_before == DISTANT_PAST


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # on SQLite only one transaction writes
async def test_bound_is_not_saved_and_does_not_wait_while_time_is_being_freed(
    database: Database, doctor: Person, bound_update: BoundUpdate
) -> None:
    async with database.write() as transaction:
        await search_bounds.lower_bounds(transaction, [UUID(doctor.id)])
        await save(database, bound_update)
    assert (await read_offer(database, doctor)).not_before == DISTANT_PAST


async def test_bound_of_replaced_offers_is_not_saved(
    database: Database, doctor: Person, bound_update: BoundUpdate
) -> None:
    await doctor.update_profile(specialty="Cardiology")
    await save(database, bound_update)
    assert (await read_offer(database, doctor)).not_before == DISTANT_PAST


async def test_saved_bound_is_not_lowered_by_an_earlier_one(
    database: Database, doctor: Person, bound_update: BoundUpdate
) -> None:
    await save(database, bound_update)
    earlier = replace(bound_update, bound=bound_update.bound - timedelta(hours=1))
    await save(database, earlier)
    assert (await read_offer(database, doctor)).not_before == bound_update.bound


@pytest.mark.parametrize(("freed", "days"), [(timedelta(days=9), 7), (timedelta(days=1), -1)], ids=str)
async def test_freed_time_lowers_the_bound_to_the_earliest_start_it_may_allow(
    database: Database, doctor: Person, bound_update: BoundUpdate, freed: timedelta, days: int
) -> None:
    saved: datetime = bound_update.bound + timedelta(days=30)
    await save(database, replace(bound_update, bound=saved))
    async with database.write() as transaction:
        await search_bounds.lower_bounds(transaction, [UUID(doctor.id)], bound_update.bound + freed)
    offer = await read_offer(database, doctor)
    assert (offer.not_before, offer.tie_break) == (bound_update.bound + timedelta(days=days), 0)
