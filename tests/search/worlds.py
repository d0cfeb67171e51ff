"""Random clinics to search in, and the straightforward way to search them: every slot of every doctor."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx2

from app.core.computing import Computation
from app.core.dependencies import Resources
from app.repositories.search_offers import Criteria
from app.scheduling.hours import WEEKDAYS
from app.scheduling.intervals import from_instant
from app.scheduling.tie_break import ring_position, tie_break_at
from app.schemas.search import SlotSearch
from app.services import search as service
from app.services.slots import list_slots
from tests.conftest import SetClock
from tests.people import Person, next_page

ZONES = ("America/New_York", "Asia/Kolkata", "Africa/Cairo", "Europe/Berlin", "Australia/Lord_Howe")
SPECIALTIES = ("Dermatology", "Cardiology", None)
LANGUAGES = ("en", "es", "pt-BR", "de")
KINDS = ("Check-up", "First visit", "Video call")
HOURS = (["09:00", "12:00"], ["13:00", "17:00"], ["22:00", "02:00"], ["08:30", "10:45"], ["16:00", "20:00"])
USUAL: dict[str, Any] = {"name": "", "mode": "in_person", "duration_minutes": 30}
"""What is offered by who has no visit types."""
HAPPENINGS = ("book",) * 6 + ("cancel",) * 2 + ("move", "hold", "wait") + ("rules",) * 4


@dataclass
class Doctor:
    """A doctor as the straightforward search knows her."""

    person: Person
    zone: str
    specialty: str | None
    languages: list[str]
    kinds: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Her visit types by their ids."""


@dataclass(frozen=True)
class Query:
    """What is searched for."""

    specialty: str | None = None
    language: str | None = None
    mode: str | None = None
    visit: str | None = None
    days: tuple[str, ...] | None = None
    between: tuple[str, str] | None = None
    time_zone: str | None = "UTC"
    """None is each doctor's own."""
    first_day: date | None = None
    first: datetime | None = None
    last: datetime | None = None

    def parameters(self, limit: int) -> dict[str, str]:
        """As they are sent."""
        given: dict[str, str | None] = {
            "specialty": self.specialty,
            "language": self.language,
            "mode": self.mode,
            "visit": self.visit,
            "days": ",".join(self.days) if self.days else None,
            "between": self.window,
            "time_zone": self.time_zone,
            "from": self.first.isoformat() if self.first else None,
            "to": self.last.isoformat() if self.last else None,
            "limit": str(limit),
        }
        return {name: value for name, value in given.items() if value is not None}

    @property
    def window(self) -> str | None:
        """The hours of the day, as they are sent."""
        return "-".join(self.between) if self.between else None

    def fits(self, start: datetime, doctor_zone: str) -> bool:
        """Whether a start lies in the hours and days that are wished for."""
        shown = start.astimezone(ZoneInfo(self.time_zone or doctor_zone))
        if self.first_day and shown.date() < self.first_day:
            return False
        today, yesterday = (WEEKDAYS[(shown - timedelta(days=back)).weekday()] for back in (0, 1))
        wanted = set(self.days or WEEKDAYS)
        if self.between is None:
            return today in wanted
        begin, end = self.between
        clock = shown.strftime("%H:%M")
        if begin < end:
            return today in wanted and begin <= clock < end
        return (today in wanted and clock >= begin) or (yesterday in wanted and clock < end)


type Row = tuple[str, str, str | None]
"""The start of a visit, its doctor and its visit type."""


async def first_page(asker: httpx2.AsyncClient | Person, query: Query, limit: int) -> httpx2.Response:
    """The beginning of an answer."""
    answer = await asker.get("/search/slots", params=query.parameters(limit))
    assert answer.status_code == 200, answer.text
    return answer


async def search(asker: httpx2.AsyncClient | Person, query: Query, limit: int) -> list[Row]:
    """All pages of an answer."""
    rows: list[Row] = []
    answer = await first_page(asker, query, limit)
    while True:
        assert answer.status_code == 200, answer.text
        page = answer.json()
        rows += map(row, page)
        following = next_page(answer)
        if following is None:
            return rows
        assert len(page) == limit
        answer = await asker.get(following)


async def search_on_own_clocks(world: "World", viewer: Person | None, query: Query, limit: int) -> list[Row]:
    """All pages of an answer for which each doctor's own clock counts, as the pages ask for it."""
    asked = SlotSearch.model_validate({"days": ",".join(query.days) if query.days else None, "between": query.window})
    rows: list[Row] = []
    after = None
    while True:
        async with world.resources.database.read() as transaction:
            found = await service.search_slots(
                transaction,
                Computation(world.resources.processor, "a test"),
                Criteria(specialty=query.specialty, language=query.language),
                clock_filter=service.ClockFilter(
                    None, asked.hours, query.first_day, [ZoneInfo(zone) for zone in ZONES]
                ),
                start=query.first,
                end=query.last,
                after=after,
                limit=limit,
                viewer=UUID(viewer.id) if viewer else None,
                now=world.clock.time,
            )
        await service.save_bound_updates(world.resources.database, found.bound_updates)
        for each in found.matches:
            start = from_instant(each.visit[0]).isoformat().replace("+00:00", "Z")
            kind = each.offer.visit_type
            rows.append((start, str(each.offer.doctor.id), str(kind.id) if kind else None))
        if not found.more:
            return rows
        after = found.matches[-1].cursor


def row(found: dict[str, Any]) -> Row:
    """What tells one visit from another."""
    return found["start_time"], found["doctor"]["id"], found["visit_type"] and found["visit_type"]["id"]


class World:
    """A clinic in which things happen at random."""

    def __init__(self, client: httpx2.AsyncClient, resources: Resources, clock: SetClock, seed: int) -> None:
        self.client, self.resources, self.clock = client, resources, clock
        self.random = Random(seed)
        self.doctors: list[Doctor] = []
        self.patients: list[Person] = []
        self.booked: list[tuple[Person, str]] = []

    async def people(self, doctors: int, patients: int) -> None:
        """Doctors, with hours and mostly with visit types, and patients."""
        pick = self.random
        for _ in range(doctors):
            zone, specialty = pick.choice(ZONES), pick.choice(SPECIALTIES)
            fields = {"time_zone": zone} | ({"specialty": specialty} if specialty else {})
            person = await Person.register(self.client, "doctor", **fields)
            languages = pick.sample(LANGUAGES, pick.randint(0, 2))
            await person.update_profile(languages=languages)
            self.doctors.append(doctor := Doctor(person, zone, specialty, languages))
            await self.set_hours(doctor)
            for _ in range(pick.choice((0, 1, 1, 2))):
                await self.offer(doctor)
        self.patients = [await Person.register(self.client, "patient") for _ in range(patients)]

    async def set_hours(self, doctor: Doctor) -> None:
        pick = self.random
        week = {day: [pick.choice(HOURS)] for day in pick.sample(WEEKDAYS[:5], pick.randint(0, 3))}
        await doctor.person.set_hours(**week)

    async def offer(self, doctor: Doctor) -> None:
        pick = self.random
        if len(doctor.kinds) == 2 or (doctor.kinds and pick.random() < 0.3):
            kind = doctor.kinds.popitem()[0]
            assert (await doctor.person.delete(f"/doctors/me/visit-types/{kind}")).status_code == 204
            return
        offered_names = {kind["name"] for kind in doctor.kinds.values()}
        fields: dict[str, Any] = {
            "name": pick.choice([name for name in KINDS if name not in offered_names]),
            "duration_minutes": pick.choice((20, 30, 45)),
            "mode": pick.choice(("in_person", "video", "phone")),
            "buffer_before_minutes": pick.choice((0, 0, 10)),
            "buffer_after_minutes": pick.choice((0, 15)),
            "min_notice_minutes": pick.choice((0, 0, 240)),
            "max_advance_days": pick.choice((None, None, 3)),
            "daily_limit": pick.choice((None, None, 2)),
        }
        offered = await doctor.person.add_visit_type(**fields)
        doctor.kinds[offered["id"]] = offered

    async def happen(self) -> None:
        """One thing, whatever it is."""
        pick = self.random
        doctor, patient = pick.choice(self.doctors), pick.choice(self.patients)
        match pick.choice(("book",) * 6 + ("cancel",) * 2 + ("move", "hold", "wait") + ("rules",) * 4):
            case "book" | "hold" as what:
                if found := (await first_page(patient, Query(), 20)).json():
                    start, doctor_id, kind = row(pick.choice(found))
                    body = {"doctor_id": doctor_id, "start_time": start, "visit_type_id": kind}
                    answer = await patient.post("/appointments" if what == "book" else "/holds", body)
                    assert answer.status_code == 201 or answer.json()["code"] == "patient_busy", answer.text
                    if what == "book" and answer.status_code == 201:
                        self.booked.append((patient, answer.json()["id"]))
            case "cancel":
                if self.booked:
                    whose, appointment = self.booked.pop(pick.randrange(len(self.booked)))
                    await whose.delete(f"/appointments/{appointment}")
            case "move":
                if self.booked and (found := (await first_page(patient, Query(), 20)).json()):
                    whose, appointment = pick.choice(self.booked)
                    body = {"start_time": pick.choice(found)["start_time"]}
                    await whose.post(f"/appointments/{appointment}/reschedule", body)
            case "rules":
                await self.change_rules(doctor)
            case "wait":
                self.clock.advance(minutes=pick.choice((1, 4, 6, 45, 600)))
                # Their tokens have ended.
                self.patients = [await each.log_in_again() for each in self.patients]
                for each in self.doctors:
                    each.person = await each.person.log_in_again()
                self.booked = [(await whose.log_in_again(), appointment) for whose, appointment in self.booked]

    async def change_rules(self, doctor: Doctor) -> None:
        pick = self.random
        match pick.choice(("leave", "hours", "offer", "limit")):
            case "leave":
                begins = self.clock.time + timedelta(hours=pick.randint(1, 100))
                ends = begins + timedelta(hours=pick.randint(1, 80))
                await doctor.person.take_time_off(begins.isoformat(), ends.isoformat())
            case "hours":
                await self.set_hours(doctor)
            case "offer":
                await self.offer(doctor)
            case "limit":
                await doctor.person.update_profile(
                    min_notice_minutes=pick.choice((0, 120)),
                    daily_limit=pick.choice((None, 1, 3)),
                    max_advance_days=pick.choice((None, 0, 5)),
                )

    def query(self) -> Query:
        """Something to look for."""
        pick = self.random

        def maybe[Value](*values: Value) -> Value | None:
            return pick.choice(values) if pick.random() < 0.3 else None

        first = maybe(self.clock.time + timedelta(hours=pick.randint(-5, 120)))
        begins = first or self.clock.time
        return Query(
            specialty=maybe("dermatology", "Cardiology"),
            language=maybe("en", "pt", "pt-br"),
            mode=maybe("video", "in_person"),
            visit=maybe("check-up", "30", "20"),
            days=maybe(("tuesday", "thursday"), ("friday",)),
            between=maybe(("16:00", "20:00"), ("09:00", "10:00"), ("21:00", "03:00")),
            time_zone=pick.choice(("UTC", "America/New_York", "Asia/Kolkata")),
            first=first,
            last=begins + timedelta(hours=pick.randint(1, 24 * 12)),
        )

    async def scan(self, viewer: Person | None, query: Query) -> list[Row]:
        """The same answer, found by looking at every slot of every doctor."""
        begins = query.first or self.clock.time
        found = []
        for doctor in self.doctors:
            if query.specialty and (doctor.specialty or "").lower() != query.specialty.lower():
                continue
            spoken = [language.lower() for language in doctor.languages]
            if query.language and not any(f"{each}-".startswith(f"{query.language}-") for each in spoken):
                continue
            for kind, fields in doctor.kinds.items() or [(None, USUAL)]:
                if query.mode and fields["mode"] != query.mode:
                    continue
                if query.visit and query.visit.lower() not in {fields["name"].lower(), str(fields["duration_minutes"])}:
                    continue
                async with self.resources.database.read() as transaction:
                    _, listed = await list_slots(
                        transaction,
                        UUID(doctor.person.id),
                        computation=None,
                        visit_type_id=UUID(kind) if kind else None,
                        start=begins,
                        end=query.last,
                        viewer=UUID(viewer.id) if viewer else None,
                        now=self.clock.time,
                    )
                offer = UUID(kind or doctor.person.id)
                found += [
                    (start, tie_break_at(ring_position(offer), start), str(offer), doctor.person.id, kind)
                    for start, _ in listed
                    if query.fits(from_instant(start), doctor.zone)
                ]
        return [
            (from_instant(start).isoformat().replace("+00:00", "Z"), doctor, kind)
            for start, _, _, doctor, kind in sorted(found, key=lambda each: each[:3])
        ]
