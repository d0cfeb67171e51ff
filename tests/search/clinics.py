"""Random clinics to search in, and a plain search that lists every slot of every doctor."""

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
VISIT_TYPES = ("Check-up", "First visit", "Video call")
HOURS = (["09:00", "12:00"], ["13:00", "17:00"], ["22:00", "02:00"], ["08:30", "10:45"], ["16:00", "20:00"])
DEFAULT_VISIT: dict[str, Any] = {"name": "", "mode": "in_person", "duration_minutes": 30}
"""The visit with a doctor who has no visit types."""
EVENTS = ("book",) * 6 + ("cancel",) * 2 + ("reschedule", "hold", "wait") + ("change rules",) * 4
MAX_TOKEN_AGE = timedelta(minutes=20)
"""Less than the lifetime of an access token, and more than the short waits."""


@dataclass
class Doctor:
    person: Person
    zone: str
    specialty: str | None
    languages: list[str]
    visit_types: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By their ids."""


@dataclass(frozen=True)
class Query:
    specialty: str | None = None
    language: str | None = None
    mode: str | None = None
    visit: str | None = None
    days: tuple[str, ...] | None = None
    between: tuple[str, str] | None = None
    time_zone: str | None = "UTC"
    """``None`` stands for each doctor's own zone."""
    first_day: date | None = None
    first: datetime | None = None
    last: datetime | None = None

    def to_parameters(self, limit: int) -> dict[str, str]:
        given: dict[str, str | None] = {
            "specialty": self.specialty,
            "language": self.language,
            "mode": self.mode,
            "visit": self.visit,
            "days": ",".join(self.days) if self.days else None,
            "between": self.hours,
            "time_zone": self.time_zone,
            "from": self.first.isoformat() if self.first else None,
            "to": self.last.isoformat() if self.last else None,
            "limit": str(limit),
        }
        return {name: value for name, value in given.items() if value is not None}

    @property
    def hours(self) -> str | None:
        return "-".join(self.between) if self.between else None

    def has_doctor(self, doctor: Doctor) -> bool:
        if self.specialty and (doctor.specialty or "").lower() != self.specialty.lower():
            return False
        spoken = [language.lower() for language in doctor.languages]
        return not self.language or any(f"{each}-".startswith(f"{self.language}-") for each in spoken)

    def has_visit(self, visit_type: dict[str, Any]) -> bool:
        if self.mode and visit_type["mode"] != self.mode:
            return False
        names = {visit_type["name"].lower(), str(visit_type["duration_minutes"])}
        return not self.visit or self.visit.lower() in names

    def has_start(self, start: datetime, doctor_zone: str) -> bool:
        """Whether a start lies in the days and hours of the query."""
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
"""The start of a visit, the id of its doctor and the id of its visit type."""


def to_row(found: dict[str, Any]) -> Row:
    return found["start_time"], found["doctor"]["id"], found["visit_type"] and found["visit_type"]["id"]


async def get_first_page(caller: httpx2.AsyncClient | Person, query: Query, limit: int) -> httpx2.Response:
    response = await caller.get("/search/slots", params=query.to_parameters(limit))
    assert response.status_code == 200, response.text
    return response


async def search(caller: httpx2.AsyncClient | Person, query: Query, limit: int) -> list[Row]:
    """Return the rows of all pages."""
    rows: list[Row] = []
    response = await get_first_page(caller, query, limit)
    while True:
        assert response.status_code == 200, response.text
        page = response.json()
        rows += map(to_row, page)
        following = next_page(response)
        if following is None:
            return rows
        assert len(page) == limit
        response = await caller.get(following)


class RandomClinic:
    """A clinic in which random events happen: bookings, cancellations, changes of rules."""

    def __init__(self, client: httpx2.AsyncClient, resources: Resources, clock: SetClock, seed: int) -> None:
        self.client, self.resources, self.clock = client, resources, clock
        self.random = Random(seed)
        self.doctors: list[Doctor] = []
        self.patients: list[Person] = []
        self.booked: list[tuple[int, str]] = []
        """The number of the patient, and the id of the appointment."""
        self.logged_in_at = clock.time

    async def register_people(self, doctors: int, patients: int) -> None:
        """Register doctors, with hours and most of them with visit types, and patients."""
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
                await self.add_or_withdraw_visit_type(doctor)
        self.patients = [await Person.register(self.client, "patient") for _ in range(patients)]

    async def set_hours(self, doctor: Doctor) -> None:
        pick = self.random
        week = {day: [pick.choice(HOURS)] for day in pick.sample(WEEKDAYS[:5], pick.randint(0, 3))}
        await doctor.person.set_hours(**week)

    async def add_or_withdraw_visit_type(self, doctor: Doctor) -> None:
        pick = self.random
        if len(doctor.visit_types) == 2 or (doctor.visit_types and pick.random() < 0.3):
            withdrawn = doctor.visit_types.popitem()[0]
            assert (await doctor.person.delete(f"/doctors/me/visit-types/{withdrawn}")).status_code == 204
            return
        used_names = {visit_type["name"] for visit_type in doctor.visit_types.values()}
        fields: dict[str, Any] = {
            "name": pick.choice([name for name in VISIT_TYPES if name not in used_names]),
            "duration_minutes": pick.choice((20, 30, 45)),
            "mode": pick.choice(("in_person", "video", "phone")),
            "buffer_before_minutes": pick.choice((0, 0, 10)),
            "buffer_after_minutes": pick.choice((0, 15)),
            "min_notice_minutes": pick.choice((0, 0, 240)),
            "max_advance_days": pick.choice((None, None, 3)),
            "daily_limit": pick.choice((None, None, 2)),
        }
        added = await doctor.person.add_visit_type(**fields)
        doctor.visit_types[added["id"]] = added

    async def run_random_events(self) -> None:
        for _ in range(self.random.randint(1, 4)):
            await self.run_random_event()

    async def run_random_event(self) -> None:
        pick = self.random
        number = pick.randrange(len(self.patients))
        match pick.choice(EVENTS):
            case "book" | "hold" as event:
                if found := await self.find_some_slots(number):
                    start, doctor_id, visit_type_id = to_row(pick.choice(found))
                    body = {"doctor_id": doctor_id, "start_time": start, "visit_type_id": visit_type_id}
                    response = await self.patients[number].post("/appointments" if event == "book" else "/holds", body)
                    assert response.status_code == 201 or response.json()["code"] == "patient_busy", response.text
                    if event == "book" and response.status_code == 201:
                        self.booked.append((number, response.json()["id"]))
            case "cancel":
                if self.booked:
                    owner, appointment = self.booked.pop(pick.randrange(len(self.booked)))
                    await self.patients[owner].delete(f"/appointments/{appointment}")
            case "reschedule":
                if self.booked and (found := await self.find_some_slots(number)):
                    owner, appointment = pick.choice(self.booked)
                    body = {"start_time": pick.choice(found)["start_time"]}
                    await self.patients[owner].post(f"/appointments/{appointment}/reschedule", body)
            case "change rules":
                await self.change_rules(pick.choice(self.doctors))
            case "wait":
                self.clock.advance(minutes=pick.choice((1, 4, 6, 45, 600)))
                if self.clock.time - self.logged_in_at > MAX_TOKEN_AGE:
                    await self.log_in_again()

    async def find_some_slots(self, patient: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await get_first_page(self.patients[patient], Query(), 20)).json()
        return found

    async def log_in_again(self) -> None:
        self.patients = [await each.log_in_again() for each in self.patients]
        for doctor in self.doctors:
            doctor.person = await doctor.person.log_in_again()
        self.logged_in_at = self.clock.time

    async def change_rules(self, doctor: Doctor) -> None:
        pick = self.random
        match pick.choice(("time off", "hours", "visit types", "limits")):
            case "time off":
                begins = self.clock.time + timedelta(hours=pick.randint(1, 100))
                ends = begins + timedelta(hours=pick.randint(1, 80))
                await doctor.person.take_time_off(begins.isoformat(), ends.isoformat())
            case "hours":
                await self.set_hours(doctor)
            case "visit types":
                await self.add_or_withdraw_visit_type(doctor)
            case "limits":
                await doctor.person.update_profile(
                    min_notice_minutes=pick.choice((0, 120)),
                    daily_limit=pick.choice((None, 1, 3)),
                    max_advance_days=pick.choice((None, 0, 5)),
                )

    def make_query(self) -> Query:
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

    def make_query_in_doctor_zones(self) -> Query:
        """Return a query as pages make it: with days and hours in the time zone of each doctor."""
        pick = self.random
        days = pick.choice((None, 0, 1, 2, 5))
        return Query(
            specialty=pick.choice((None, None, "dermatology", "Cardiology")),
            language=pick.choice((None, None, None, "en", "pt", "pt-br")),
            days=pick.choice((None, None, ("tuesday", "thursday"), ("friday",))),
            between=pick.choice((("00:00", "12:00"), ("12:00", "17:00"), ("17:00", "24:00"), None)),
            time_zone=None,
            first_day=self.clock.time.date() + timedelta(days=days) if days is not None else None,
            last=self.clock.time + timedelta(days=12),
        )

    async def search_in_doctor_zones(self, viewer: Person | None, query: Query, limit: int) -> list[Row]:
        """Return the rows of all pages of a search in the time zone of each doctor, which the API does not have."""
        wanted = SlotSearch.model_validate(
            {"days": ",".join(query.days) if query.days else None, "between": query.hours}
        )
        rows: list[Row] = []
        after = None
        while True:
            async with self.resources.database.read() as transaction:
                found = await service.search_slots(
                    transaction,
                    Computation(self.resources.processor, "a test"),
                    Criteria(specialty=query.specialty, language=query.language),
                    clock_filter=service.ClockFilter(
                        None, wanted.hours, query.first_day, [ZoneInfo(zone) for zone in ZONES]
                    ),
                    start=query.first,
                    end=query.last,
                    after=after,
                    limit=limit,
                    viewer=UUID(viewer.id) if viewer else None,
                    now=self.clock.time,
                )
            await service.save_bound_updates(self.resources.database, found.bound_updates)
            for each in found.matches:
                visit_type = each.offer.visit_type
                visit_type_id = str(visit_type.id) if visit_type else None
                rows.append((format_instant(each.visit[0]), str(each.offer.doctor.id), visit_type_id))
            if not found.more:
                return rows
            after = found.matches[-1].cursor

    async def scan(self, viewer: Person | None, query: Query) -> list[Row]:
        """Return the rows that a search must find, by listing every slot of every doctor."""
        begins = query.first or self.clock.time
        found = []
        for doctor in filter(query.has_doctor, self.doctors):
            for visit_type_id, visit_type in doctor.visit_types.items() or [(None, DEFAULT_VISIT)]:
                if not query.has_visit(visit_type):
                    continue
                async with self.resources.database.read() as transaction:
                    _, listed = await list_slots(
                        transaction,
                        UUID(doctor.person.id),
                        computation=None,
                        visit_type_id=UUID(visit_type_id) if visit_type_id else None,
                        start=begins,
                        end=query.last,
                        viewer=UUID(viewer.id) if viewer else None,
                        now=self.clock.time,
                    )
                offer = UUID(visit_type_id or doctor.person.id)
                found += [
                    (start, tie_break_at(ring_position(offer), start), str(offer), doctor.person.id, visit_type_id)
                    for start, _ in listed
                    if query.has_start(from_instant(start), doctor.zone)
                ]
        found.sort(key=lambda each: each[:3])
        return [(format_instant(start), doctor_id, visit_type_id) for start, _, _, doctor_id, visit_type_id in found]


def format_instant(instant: int) -> str:
    return from_instant(instant).isoformat().replace("+00:00", "Z")
