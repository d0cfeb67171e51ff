"""Measure how long a receptionist waits for the search for a patient among 100,000.

A clinic has 100,000 patients, with names drawn from 300 first and 2,000 last names, so that a first name has hundreds
of patients and a last name dozens. `GET /clinics/{id}/patients` is called in-process, without sockets, by a member of
the clinic, on SQLite and on PostgreSQL: with two parts of a name, with a first name that 300 patients have, with a
telephone number, a date of birth and a name, and a file number. Each search is for another patient. The first round is
not counted.

Claim: the median of each kind of search takes at most 20 ms. The exit status is 0 if it holds.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, date, datetime, timedelta
from itertools import batched
from random import Random
from statistics import median
from time import perf_counter
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import insert, text

from app.core.clinic_permissions import MemberRole
from app.core.permissions import Role
from app.core.text import search_key
from app.db.database import Database
from app.main import create_app
from app.models import Clinic, ClinicPatient, Member, Patient, PatientWord, User
from app.repositories.patient_words import list_words
from benchmarks.clinics import log_in
from benchmarks.comparing import Comparison, read_options, record, result_table, stop_on_sigterm
from tests.databases import migrate, open_engine, settings_for
from tests.postgres import PostgresServer

PATIENTS, FIRST_NAMES, LAST_NAMES = 100_000, 300, 2_000
MIN_ROUNDS, DEFAULT_ROUNDS, MAX_ROUNDS = 5, 15, 100
SEARCHES_PER_ROUND = 10  # of each kind
MAX_SECONDS = 0.02
BATCH = 1000
CLINIC, MEMBER = UUID(int=1), UUID(int=2)
SYLLABLES = (
    "ba be bi bo da de di do ga ge ka ke ki ko la le li lo ma me mi mo na ne no pa pe ra re ri ro sa se ta te to"
)
KINDS = ("two parts of a name", "a first name", "a telephone number", "a date of birth and a name", "a file number")

type Times = dict[str, list[float]]


def main(arguments: list[str] | None = None) -> int:
    """Run the measurement and print the results. Return 0 if the claim holds, else 1."""
    options = read_options(
        "desk",
        "Measure the search for patients.",
        arguments,
        minimum=MIN_ROUNDS,
        default=DEFAULT_ROUNDS,
        maximum=MAX_ROUNDS,
    )
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as folder, closing(PostgresServer()) as server:
        urls = {"SQLite": f"sqlite+aiosqlite:///{folder}/desk.db", "PostgreSQL": server.url}
        measured = {name: asyncio.run(run(url, options.rounds)) for name, url in urls.items()}
    comparisons = [
        Comparison(
            f"search for {kind} among 100,000 patients, compared with 20 ms: {name}",
            [each / MAX_SECONDS for each in times[kind]],
            at_most=1,
        )
        for name, times in measured.items()
        for kind in KINDS
    ]
    print(result_table(comparisons))
    return record("desk", comparisons, options.results)


async def run(url: str, rounds: int) -> Times:
    await migrate(url)
    patients = list(make_patients(Random(20261201)))
    await load(url, patients)
    settings = settings_for(url)
    [token] = await log_in(url, [MEMBER], settings)
    async with open_client(url) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        return await measure(client, patients, rounds)


def make_patients(rng: Random) -> Iterator[dict[str, Any]]:
    syllables = SYLLABLES.split()
    names = ["".join(rng.choices(syllables, k=rng.randint(2, 3))).capitalize() for _ in range(FIRST_NAMES + LAST_NAMES)]
    for number in range(PATIENTS):
        yield {
            "id": UUID(int=10**6 + number),
            "name": f"{rng.choice(names[:FIRST_NAMES])} {rng.choice(names[FIRST_NAMES:])}",
            "phone": f"+4420{rng.randrange(10**8):08}",
            "birth_date": date(1930, 1, 1) + timedelta(days=rng.randrange(33_000)),
            "file_number": f"F{number}",
        }


async def load(url: str, patients: list[dict[str, Any]]) -> None:
    now = datetime.now(UTC)
    async with open_engine(url) as engine:
        database = Database(engine)
        async with database.write() as transaction:
            account = {"email": "desk", "email_canonical": "desk", "name": "Desk", "role": Role.STAFF}
            await transaction.execute(insert(User).values(id=MEMBER, password_hash="", created_at=now, **account))
            place = {"time_zone": "UTC", "country": "GB", "locale": "en"}
            await transaction.execute(
                insert(Clinic).values(id=CLINIC, name="C", public_name="C", created_at=now, **place)
            )
            await transaction.execute(
                insert(Member).values(clinic_id=CLINIC, user_id=MEMBER, role=MemberRole.RECEPTIONIST, created_at=now)
            )
        for batch in batched(patients, BATCH):
            known = [{"clinic_id": CLINIC, "patient_id": each["id"]} for each in batch]
            async with database.write() as transaction:
                await transaction.execute(
                    insert(Patient),
                    [
                        {name: value for name, value in each.items() if name != "file_number"}
                        | {"name_key": search_key(each["name"]), "created_at": now}
                        for each in batch
                    ],
                )
                await transaction.execute(
                    insert(ClinicPatient),
                    [
                        row | {"file_number": each["file_number"], "created_at": now}
                        for row, each in zip(known, batch, strict=True)
                    ],
                )
                await transaction.execute(
                    insert(PatientWord),
                    [
                        row | {"word": word}
                        for row, each in zip(known, batch, strict=True)
                        for word in list_words(each["name"], each["phone"], each["birth_date"], each["file_number"])
                    ],
                )
        async with database.write() as transaction:
            await transaction.execute(text("ANALYZE"))


@asynccontextmanager
async def open_client(url: str) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(settings_for(url))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://bench") as client,
    ):
        yield client


async def measure(client: httpx2.AsyncClient, patients: list[dict[str, Any]], rounds: int) -> Times:
    times: Times = {kind: [] for kind in KINDS}
    rng = Random(1)
    for number in range(rounds + 1):
        for kind in KINDS:
            seconds = []
            for patient in rng.sample(patients, SEARCHES_PER_ROUND):
                path = f"/clinics/{CLINIC}/patients"
                started = perf_counter()
                response = await client.get(path, params={"q": write_searches(patient)[kind]})
                seconds.append(perf_counter() - started)
                response.raise_for_status()
                if not response.json():
                    raise RuntimeError(f"the search for {kind} finds nobody")
            if number:
                times[kind].append(median(seconds))
    return times


def write_searches(patient: Mapping[str, Any]) -> dict[str, str]:
    first, last = patient["name"].split()
    searches = (
        f"{last[:4]} {first}",
        first,
        patient["phone"],
        f"{patient['birth_date']} {last[:3]}",
        patient["file_number"],
    )
    return dict(zip(KINDS, searches, strict=True))


if __name__ == "__main__":
    sys.exit(main())
