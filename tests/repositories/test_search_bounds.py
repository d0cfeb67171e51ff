"""What is found out of a bound holds only if nobody has freed time meanwhile."""

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


async def read(database: Database, doctor: Person) -> OfferRecord:
    async with database.read() as transaction:
        [offer] = await search_offers.list_offers(transaction, [UUID(doctor.id)])
    return offer


@pytest.fixture
async def found(database: Database, doctor: Person, clock: SetClock) -> BoundUpdate:
    """What somebody has found out and not written down yet."""
    offer = await read(database, doctor)
    assert offer.not_before == DISTANT_PAST
    return BoundUpdate(offer.id, offer.revision, clock.time, 7, clock.time + timedelta(hours=1), clock.time)


async def write(database: Database, finding: BoundUpdate) -> None:
    async with database.write() as transaction:
        await search_bounds.save_bounds(transaction, [finding])


async def known(database: Database) -> dict[str, tuple[object, ...]]:
    """What is known of the one offer, by the languages in which it is found."""
    columns = (Offer.not_before, Offer.tie_break, Offer.known_until, Offer.revision)
    async with database.read() as transaction:
        return {
            language: tuple(rest) for language, *rest in await transaction.execute(select(Offer.language, *columns))
        }


async def test_in_every_language_the_same_is_known(database: Database, doctor: Person, clock: SetClock) -> None:
    await doctor.update_profile(languages=["de", "pt-BR"])

    async def all_alike() -> tuple[object, ...]:
        by_language = await known(database)
        assert by_language.keys() == {"", "de", "pt", "pt-br"}
        [alike] = set(by_language.values())
        return alike

    _, _, _, revision = await all_alike()
    offer = await read(database, doctor)
    await write(database, BoundUpdate(offer.id, offer.revision, clock.time, 7, clock.time, clock.time))
    assert await all_alike() == (clock.time, 7, clock.time, revision)
    async with database.write() as transaction:
        await search_bounds.lower_bounds(transaction, [UUID(doctor.id)])
    assert (await all_alike())[:3] == (DISTANT_PAST, 0, DISTANT_PAST)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_all_languages_are_lowered_whatever_the_plan(database: Database, doctor: Person, clock: SetClock) -> None:
    """What a statement has changed itself it does not lock a second time, if its plan looks again at what to lock."""
    await doctor.update_profile(languages=["de", "pt-BR"])
    offer = await read(database, doctor)
    await write(database, BoundUpdate(offer.id, offer.revision, clock.time, 7, clock.time, clock.time))
    ways = "hashjoin", "mergejoin", "hashagg", "material", "indexscan", "bitmapscan", "sort"
    async with database.write() as transaction:
        for way in ways:
            await transaction.execute(text(f"SET LOCAL enable_{way} = off"))
        await search_bounds.lower_bounds(transaction, [UUID(doctor.id)])
    assert {bound for bound, *_ in (await known(database)).values()} == {DISTANT_PAST}
    async with database.write() as transaction:
        for way in ways:
            await transaction.execute(text(f"SET LOCAL enable_{way} = off"))
        await search_bounds.delete_offers(transaction, UUID(doctor.id))
    assert await known(database) == {}


async def test_who_writes_findings_and_who_changes_offers_do_not_wait_in_a_circle(
    database: Database, doctor: Person, clock: SetClock
) -> None:
    await doctor.update_profile(languages=["de", "es", "fr", "pt-BR"])
    doctor_id = UUID(doctor.id)

    async def find() -> None:
        for minute in range(20):
            offer = await read(database, doctor)
            await write(
                database,
                BoundUpdate(
                    offer.id, offer.revision, clock.time + timedelta(minutes=minute), 1, DISTANT_PAST, clock.time
                ),
            )

    async def lower() -> None:
        for _ in range(20):
            async with database.write() as transaction:
                await search_bounds.lower_bounds(transaction, [doctor_id])

    async def make_anew() -> None:
        for _ in range(20):
            async with database.write() as transaction:
                await doctors.begin_rule_change(transaction, doctor_id)
                await search_bounds.rewrite_offers(transaction, doctor_id)

    async with asyncio.TaskGroup() as group:
        for work in (find, find, lower, make_anew):
            group.create_task(work())
    assert len(await known(database)) == 6


async def test_a_finding_is_written_down(database: Database, doctor: Person, found: BoundUpdate) -> None:
    await write(database, found)
    offer = await read(database, doctor)
    assert (offer.not_before, offer.tie_break, offer.known_until) == (found.bound, found.tie_break, found.known_until)


@pytest.mark.parametrize("freed", [None, timedelta(days=400)])
async def test_a_finding_from_before_time_was_freed_is_of_no_use(
    database: Database, doctor: Person, found: BoundUpdate, freed: timedelta | None
) -> None:
    async with database.write() as transaction:
        await search_bounds.lower_bounds(transaction, [UUID(doctor.id)], found.bound + freed if freed else None)
    await write(database, found)
    assert (await read(database, doctor)).not_before == DISTANT_PAST


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # on SQLite a writer has the whole database
async def test_a_finding_does_not_wait_for_who_is_freeing_time_and_is_of_no_use_then(
    database: Database, doctor: Person, found: BoundUpdate
) -> None:
    async with database.write() as transaction:
        await search_bounds.lower_bounds(transaction, [UUID(doctor.id)])
        await write(database, found)
    assert (await read(database, doctor)).not_before == DISTANT_PAST


async def test_offers_that_were_made_anew_know_nothing_of_the_old_ones(
    database: Database, doctor: Person, found: BoundUpdate
) -> None:
    await doctor.update_profile(specialty="Cardiology")
    await write(database, found)
    assert (await read(database, doctor)).not_before == DISTANT_PAST


async def test_a_bound_is_never_lowered_by_a_finding(database: Database, doctor: Person, found: BoundUpdate) -> None:
    await write(database, found)
    earlier = replace(found, bound=found.bound - timedelta(hours=1))
    await write(database, earlier)
    assert (await read(database, doctor)).not_before == found.bound


@pytest.mark.parametrize(("freed", "days"), [(timedelta(days=9), 7), (timedelta(days=1), -1)])
async def test_time_that_is_freed_lowers_the_bound_by_as_much_as_it_may_matter(
    database: Database, doctor: Person, found: BoundUpdate, freed: timedelta, days: int
) -> None:
    known: datetime = found.bound + timedelta(days=30)
    await write(database, replace(found, bound=known))
    async with database.write() as transaction:
        await search_bounds.lower_bounds(transaction, [UUID(doctor.id)], found.bound + freed)
    offer = await read(database, doctor)
    assert (offer.not_before, offer.tie_break) == (found.bound + timedelta(days=days), 0)
