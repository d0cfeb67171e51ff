"""A small clinic with one of everything, that is put back as it was after each change."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import jwt
import pyotp
from sqlalchemy import delete, insert, select, update
from uuid_utils.compat import uuid7

from app.core.dependencies import Resources
from app.core.one_time_codes import encrypt
from app.core.permissions import Role
from app.core.security import hash_token, new_token
from app.db.base import Base
from app.db.database import Database
from app.models import Doctor, LoginSession, PasswordReset, SecondFactor, User
from app.repositories import profile_changes
from app.services import accounts, confirmation
from tests.access.table import COLUMNS, Column, Row
from tests.conftest import SetClock
from tests.people import PASSWORD, Person, get_tokens

BOOKKEEPING = {"audit_events", "login_attempts", "mail_counts", "offers"}
"""Tables in which a request leaves a trace, as it should, that is refused or only reads."""

REASON = "A reason of some words"
SECRET = pyotp.random_base32()

type State = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with the two tokens of a session."""

    person: Person
    refresh_token: str

    @property
    def session_id(self) -> str:
        claims = jwt.decode(self.person.token, options={"verify_signature": False})
        return str(claims["sid"])


@dataclass
class World:
    """Who is there and what they have."""

    resources: Resources
    clock: SetClock
    callers: dict[str, Caller]
    """By column; of the columns that are about a token, by owner and column."""
    ids: dict[str, str]
    state: State
    rows: dict[str, list[dict[str, Any]]]

    @property
    def database(self) -> Database:
        """Transactions beside the requests."""
        return self.resources.database

    def caller(self, column: Column, row: Row) -> Caller:
        match column:
            case "anonymous":
                return self.callers[row.owner]
            case "bare doctor" | "bare administrator":
                return self.callers[column.removeprefix("bare ")]
            case "expired token" | "refresh token" | "ended session" | "long ago":
                return self.callers[f"{row.owner}, {column}"]
            case _:
                return self.callers[column]

    def headers(self, column: Column, caller: Caller) -> dict[str, str]:
        match column:
            case "anonymous":
                return {}
            case "refresh token":
                return {"Authorization": f"Bearer {caller.refresh_token}"}
            case _:
                return caller.person.headers

    async def read(self) -> State:
        """All rows of all tables, as the database has them, in an order of their own."""
        async with self.database.read() as transaction:
            connection = await transaction.connection()
            return {
                table.name: sorted(map(repr, await connection.exec_driver_sql(f"SELECT * FROM {table.name}")))
                for table in User.metadata.sorted_tables
            }

    async def keep(self) -> None:
        """This is how it is to be put back."""
        self.state = await self.read()
        async with self.database.read() as transaction:
            for table in User.metadata.sorted_tables:
                # By the keys of the columns, which inserts expect: a key can differ from the name in the database.
                keys = table.columns.keys()
                rows = await transaction.execute(select(table))
                self.rows[table.name] = [dict(zip(keys, row, strict=True)) for row in rows]

    async def restore(self) -> None:
        """Undoes all that was done since the world was made, but for what can only grow."""
        tables = [table for table in User.metadata.sorted_tables if table.name != "audit_events"]
        async with self.database.write() as transaction:
            for table in reversed(tables):
                await transaction.execute(delete(table))
            for table in tables:
                if rows := self.rows[table.name]:
                    await transaction.execute(insert(table), rows)

    async def enrol(self, person: Person, *, confirmed: bool) -> str:
        """Gives somebody a second factor; returns the code that it shows now."""
        confirmed_at = self.clock.time if confirmed else None
        secret = encrypt(SECRET, self.resources.settings.secret_key.get_secret_value())
        await self._add(SecondFactor, user_id=UUID(person.id), secret=secret, confirmed_at=confirmed_at)
        return pyotp.TOTP(SECRET).at(self.clock.time)

    async def forget(self, person: Person) -> str:
        """Gives somebody a token to choose a new password."""
        token = new_token()
        ends = self.clock.time + timedelta(minutes=30)
        await self._add(PasswordReset, token_hash=hash_token(token), user_id=UUID(person.id), expires_at=ends)
        return token

    async def ask_to_confirm(self, person: Person) -> str:
        """Gives somebody a code that confirms the address."""
        async with self.database.write() as transaction:
            return await confirmation.issue_token(transaction, UUID(person.id), self.clock.time)

    async def unconfirm(self, person: Person) -> None:
        """Makes the address of somebody one that is not confirmed."""
        async with self.database.write() as transaction:
            await transaction.execute(update(User).where(User.id == UUID(person.id)).values(email_confirmed_at=None))

    async def _add(self, table: type[Base], **values: object) -> None:
        async with self.database.write() as transaction:
            await transaction.execute(insert(table).values(values))


async def make_world(client: httpx2.AsyncClient, resources: Resources, clock: SetClock) -> World:
    """The world at 08:05, for which somebody has been at work since 07:00."""
    clock.time = clock.time.replace(hour=7)
    people: dict[str, Person] = {
        column: await Person.register(client, column.rpartition(" ")[2])
        for column in COLUMNS
        if column.endswith(("patient", "doctor")) and not column.startswith("bare")
    }
    newcomer = await Person.register(client, "doctor")
    people["administrator"] = await _administrator(client, resources)
    objects = await _practise(people["doctor"], people["patient"])
    await people["suspended doctor"].publish("2026-12-07T08:00:00Z", "2026-12-07T12:00:00Z")
    expected = await people["patient"].book(people["suspended doctor"], "2026-12-07T10:00:00Z")

    callers: dict[str, Caller] = {}
    owners = ("patient", "doctor", "administrator")
    for minute, column in ((15, "expired token"), (50, "long ago"), (58, "refresh token"), (58, "ended session")):
        clock.time = clock.time.replace(minute=minute)
        callers |= {f"{owner}, {column}": await _log_in(people[owner]) for owner in owners}
    callers |= {column: await _log_in(person) for column, person in people.items()}
    clock.time = clock.time.replace(hour=8, minute=5)
    objects["hold_id"] = await _hold(people["doctor"], callers["patient"].person, objects["visit_type_id"])
    for owner in owners:
        await callers[f"{owner}, ended session"].person.post("/auth/logout", None)

    world = World(resources, clock, callers, objects, {}, {})
    administrator = callers["administrator"].person
    for column in ("suspended patient", "suspended doctor"):
        await _suspend(world, administrator, callers[column])
    await world.enrol(newcomer, confirmed=True)
    async with world.database.write() as transaction:
        await transaction.execute(update(Doctor).where(Doctor.id == UUID(newcomer.id)).values(approved_at=None))
        change_id = uuid7()
        await profile_changes.replace_change(
            transaction, UUID(people["doctor"].id), change_id, name="Dr Other", specialty=None, now=clock.time
        )
        # A second factor asks for a confirmed address.
        await transaction.execute(update(User).values(email_confirmed_at=User.created_at))
    invitation = await administrator.post("/admin/invitations", {"email": "guest@example.com"})
    assert invitation.status_code == 201, invitation.text
    world.ids |= {
        "invitation_id": invitation.json()["id"],
        "invitation_token": invitation.json()["token"],
        "change_id": str(change_id),
        "doctor_id": people["doctor"].id,
        "patient_id": people["patient"].id,
        "newcomer_id": newcomer.id,
        "suspended_id": people["suspended patient"].id,
        "suspended_doctor_id": people["suspended doctor"].id,
        "suspended_visit_id": expected["id"],
        "session_id": callers["patient, long ago"].session_id,
    }
    await world.keep()
    return world


async def _administrator(client: httpx2.AsyncClient, resources: Resources) -> Person:
    email, name = "administrator@example.com", "An administrator"
    async with resources.database.write() as transaction:
        made = await accounts.register(
            transaction,
            resources.passwords,
            email=email,
            password=PASSWORD,
            name=name,
            role=Role.ADMIN,
            now=resources.clock(),
            refuse_weak=True,
            confirmed=True,
        )
    return Person(client, str(made.id), email, name, token="")


async def _log_in(person: Person) -> Caller:
    granted = await get_tokens(person.client, person.email)
    return Caller(replace(person, token=granted["access_token"]), granted["refresh_token"])


async def _practise(doctor: Person, patient: Person) -> dict[str, str]:
    await doctor.publish("2026-12-01T07:30:00Z", "2026-12-08T07:30:00Z")
    visit_type_id = (await doctor.add_visit_type())["id"]
    await doctor.set_hours(saturday=[["09:00", "12:00"]], valid_from="2027-01-02")
    later = await doctor.publish("2026-12-10T08:00:00Z", "2026-12-10T12:00:00Z")
    arrived = await patient.book(doctor, "2026-12-01T08:30:00Z", visit_type_id=visit_type_id)
    assert (await doctor.post(f"/appointments/{arrived['id']}/arrive", None)).status_code == 200
    return {
        "visit_type_id": visit_type_id,
        "availability_id": later["id"],
        "valid_from": "2027-01-02",
        "time_off_id": (await doctor.take_time_off("2026-12-20T00:00:00Z", "2026-12-21T00:00:00Z"))["id"],
        "appointment_id": (await patient.book(doctor, "2026-12-03T10:00:00Z", visit_type_id=visit_type_id))["id"],
        "started_id": (await patient.book(doctor, "2026-12-01T08:00:00Z", visit_type_id=visit_type_id))["id"],
        "arrived_id": arrived["id"],
    }


async def _hold(doctor: Person, patient: Person, visit_type_id: str) -> str:
    body = {"doctor_id": doctor.id, "start_time": "2026-12-04T10:00:00Z", "visit_type_id": visit_type_id}
    answer = await patient.post("/holds", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def _suspend(world: World, administrator: Person, caller: Caller) -> None:
    """Suspends somebody, and puts back the session that it ended: who is suspended is kept out even with one."""
    found = select(LoginSession.__table__).where(LoginSession.id == UUID(caller.session_id))
    async with world.database.read() as transaction:
        kept = dict((await transaction.execute(found)).mappings().one())
    answer = await administrator.post(f"/admin/users/{caller.person.id}/suspend", {"reason": REASON})
    assert answer.status_code == 200, answer.text
    async with world.database.write() as transaction:
        await transaction.execute(insert(LoginSession).values(kept))
