"""What is found out of a bound holds only if nobody has freed time meanwhile."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text

from app.db.session import Sessions
from app.models import Offer
from app.repositories import bounds, doctors, offers
from app.repositories.bounds import LONG_AGO, Finding
from app.repositories.offers import OfferRecord
from tests.conftest import SetClock
from tests.people import Person


async def read(sessions: Sessions, doctor: Person) -> OfferRecord:
    async with sessions.read() as session:
        [offer] = await offers.list_offers(session, [UUID(doctor.id)])
    return offer


@pytest.fixture
async def found(sessions: Sessions, doctor: Person, clock: SetClock) -> Finding:
    """What somebody has found out and not written down yet."""
    offer = await read(sessions, doctor)
    assert offer.not_before == LONG_AGO
    return Finding(offer.id, offer.revision, clock.time, 7, clock.time + timedelta(hours=1), clock.time)


async def write(sessions: Sessions, finding: Finding) -> None:
    async with sessions.write() as session:
        await bounds.raise_bounds(session, [finding])


async def known(sessions: Sessions) -> dict[str, tuple[object, ...]]:
    """What is known of the one offer, by the languages in which it is found."""
    columns = (Offer.not_before, Offer.turn, Offer.known_until, Offer.revision)
    async with sessions.read() as session:
        return {language: tuple(rest) for language, *rest in await session.execute(select(Offer.language, *columns))}


async def test_in_every_language_the_same_is_known(sessions: Sessions, doctor: Person, clock: SetClock) -> None:
    await doctor.change(languages=["de", "pt-BR"])

    async def all_alike() -> tuple[object, ...]:
        by_language = await known(sessions)
        assert by_language.keys() == {"", "de", "pt", "pt-br"}
        [alike] = set(by_language.values())
        return alike

    _, _, _, revision = await all_alike()
    offer = await read(sessions, doctor)
    await write(sessions, Finding(offer.id, offer.revision, clock.time, 7, clock.time, clock.time))
    assert await all_alike() == (clock.time, 7, clock.time, revision)
    async with sessions.write() as session:
        await bounds.lower_bounds(session, [UUID(doctor.id)])
    assert (await all_alike())[:3] == (LONG_AGO, 0, LONG_AGO)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_all_languages_are_lowered_whatever_the_plan(sessions: Sessions, doctor: Person, clock: SetClock) -> None:
    """What a statement has changed itself it does not lock a second time, if its plan looks again at what to lock."""
    await doctor.change(languages=["de", "pt-BR"])
    offer = await read(sessions, doctor)
    await write(sessions, Finding(offer.id, offer.revision, clock.time, 7, clock.time, clock.time))
    ways = "hashjoin", "mergejoin", "hashagg", "material", "indexscan", "bitmapscan", "sort"
    async with sessions.write() as session:
        for way in ways:
            await session.execute(text(f"SET LOCAL enable_{way} = off"))
        await bounds.lower_bounds(session, [UUID(doctor.id)])
    assert {bound for bound, *_ in (await known(sessions)).values()} == {LONG_AGO}
    async with sessions.write() as session:
        for way in ways:
            await session.execute(text(f"SET LOCAL enable_{way} = off"))
        await bounds.delete_offers(session, UUID(doctor.id))
    assert await known(sessions) == {}


async def test_who_writes_findings_and_who_changes_offers_do_not_wait_in_a_circle(
    sessions: Sessions, doctor: Person, clock: SetClock
) -> None:
    await doctor.change(languages=["de", "es", "fr", "pt-BR"])
    doctor_id = UUID(doctor.id)

    async def find() -> None:
        for minute in range(20):
            offer = await read(sessions, doctor)
            await write(
                sessions,
                Finding(offer.id, offer.revision, clock.time + timedelta(minutes=minute), 1, LONG_AGO, clock.time),
            )

    async def lower() -> None:
        for _ in range(20):
            async with sessions.write() as session:
                await bounds.lower_bounds(session, [doctor_id])

    async def make_anew() -> None:
        for _ in range(20):
            async with sessions.write() as session:
                await doctors.begin_rule_change(session, doctor_id)
                await bounds.rewrite_offers(session, doctor_id)

    async with asyncio.TaskGroup() as group:
        for work in (find, find, lower, make_anew):
            group.create_task(work())
    assert len(await known(sessions)) == 6


async def test_a_finding_is_written_down(sessions: Sessions, doctor: Person, found: Finding) -> None:
    await write(sessions, found)
    offer = await read(sessions, doctor)
    assert (offer.not_before, offer.turn, offer.known_until) == (found.bound, found.turn, found.known_until)


@pytest.mark.parametrize("freed", [None, timedelta(days=400)])
async def test_a_finding_from_before_time_was_freed_is_of_no_use(
    sessions: Sessions, doctor: Person, found: Finding, freed: timedelta | None
) -> None:
    async with sessions.write() as session:
        await bounds.lower_bounds(session, [UUID(doctor.id)], found.bound + freed if freed else None)
    await write(sessions, found)
    assert (await read(sessions, doctor)).not_before == LONG_AGO


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # on SQLite a writer has the whole database
async def test_a_finding_does_not_wait_for_who_is_freeing_time_and_is_of_no_use_then(
    sessions: Sessions, doctor: Person, found: Finding
) -> None:
    async with sessions.write() as session:
        await bounds.lower_bounds(session, [UUID(doctor.id)])
        await write(sessions, found)
    assert (await read(sessions, doctor)).not_before == LONG_AGO


async def test_offers_that_were_made_anew_know_nothing_of_the_old_ones(
    sessions: Sessions, doctor: Person, found: Finding
) -> None:
    await doctor.change(specialty="Cardiology")
    await write(sessions, found)
    assert (await read(sessions, doctor)).not_before == LONG_AGO


async def test_a_bound_is_never_lowered_by_a_finding(sessions: Sessions, doctor: Person, found: Finding) -> None:
    await write(sessions, found)
    earlier = replace(found, bound=found.bound - timedelta(hours=1))
    await write(sessions, earlier)
    assert (await read(sessions, doctor)).not_before == found.bound


@pytest.mark.parametrize(("freed", "days"), [(timedelta(days=9), 7), (timedelta(days=1), -1)])
async def test_time_that_is_freed_lowers_the_bound_by_as_much_as_it_may_matter(
    sessions: Sessions, doctor: Person, found: Finding, freed: timedelta, days: int
) -> None:
    known: datetime = found.bound + timedelta(days=30)
    await write(sessions, replace(found, bound=known))
    async with sessions.write() as session:
        await bounds.lower_bounds(session, [UUID(doctor.id)], found.bound + freed)
    offer = await read(sessions, doctor)
    assert (offer.not_before, offer.turn) == (found.bound + timedelta(days=days), 0)
