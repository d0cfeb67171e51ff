"""A small clinic with one object of each sort, which can be restored after a change."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import jwt
import pyotp
from sqlalchemy import Table, delete, insert, select, text, update
from uuid_utils.compat import uuid7

from app.core.dependencies import Resources
from app.core.one_time_codes import encrypt
from app.core.permissions import Role
from app.core.security import hash_token, new_token
from app.db.base import Base
from app.db.database import Database
from app.models import Doctor, EmailChange, LoginSession, PasswordReset, SecondFactor, User
from app.repositories import profile_changes
from app.services import accounts, confirmation
from tests.access.table import COLUMNS, Column, Row
from tests.conftest import SetClock
from tests.people import PASSWORD, Person, get_tokens

# Without the audit trail: any request may add to it, and it cannot be restored.
TABLES = [table for table in User.metadata.sorted_tables if table.name != "audit_events"]
BOOKKEEPING = {"login_attempts", "mail_counts", "offers"}
"""Tables to which a request may write although it is refused or only reads."""

REASON = "A reason in a few words"
SECRET = pyotp.random_base32()

type State = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Caller:
    """A person, with the two tokens of a session."""

    person: Person
    refresh_token: str

    @property
    def session_id(self) -> str:
        claims = jwt.decode(self.person.token, options={"verify_signature": False})
        return str(claims["sid"])


@dataclass
class Clinic:
    """The callers, the ids of their objects, and the rows that are restored."""

    resources: Resources
    clock: SetClock
    callers: dict[str, Caller]
    """By column; for the columns about tokens, by ``owner, column``."""
    ids: dict[str, str]
    state: State = field(default_factory=dict)
    """The rows as the database returns them, as text."""
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """The rows as they can be inserted again."""

    @property
    def database(self) -> Database:
        """Transactions that are separate from those of the requests."""
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

    async def read_state(self) -> State:
        """Return the rows of each table as sorted texts, without conversion by the column types."""
        state: State = {table.name: [] for table in TABLES}
        async with self.database.read() as transaction:
            # One statement is quicker than one for each table, and this is read several hundred times.
            query = " UNION ALL ".join(
                f"SELECT '{table.name}', {_text_of_row(table, transaction.dialect.name)} FROM {table.name} t"
                for table in TABLES
            )
            for name, row in await transaction.execute(text(query)):
                state[name].append(row)
        return {name: sorted(rows) for name, rows in state.items()}

    async def save(self) -> None:
        """Keep all rows for ``restore``."""
        self.state = await self.read_state()
        async with self.database.read() as transaction:
            for table in TABLES:
                # Inserts expect the keys of the columns, some of which differ from the names in the database.
                keys = table.columns.keys()
                rows = await transaction.execute(select(table))
                self.rows[table.name] = [dict(zip(keys, row, strict=True)) for row in rows]

    async def restore(self) -> None:
        """Put all rows back as they were saved, except for the audit trail."""
        now = await self.read_state()
        affected: set[Table] = set()
        for table in TABLES:  # Parents come before their children, whose rows are deleted with those of the parents.
            parents = {key.column.table for key in table.foreign_keys}
            if now[table.name] != self.state[table.name] or parents & affected:
                affected.add(table)
        async with self.database.write() as transaction:
            for table in reversed(TABLES):
                if table in affected and now[table.name]:
                    await transaction.execute(delete(table))
            for table in TABLES:
                if table in affected and (rows := self.rows[table.name]):
                    await transaction.execute(insert(table), rows)

    async def add_second_factor(self, person: Person, *, confirmed: bool) -> str:
        """Return the current code of the new second factor."""
        confirmed_at = self.clock.time if confirmed else None
        secret = encrypt(SECRET, self.resources.settings.secret_key.get_secret_value())
        await self._insert(SecondFactor, user_id=UUID(person.id), secret=secret, confirmed_at=confirmed_at)
        return pyotp.TOTP(SECRET).at(self.clock.time)

    async def add_password_reset(self, person: Person) -> str:
        """Return the token of the reset."""
        token = new_token()
        expires_at = self.clock.time + timedelta(minutes=30)
        await self._insert(PasswordReset, token_hash=hash_token(token), user_id=UUID(person.id), expires_at=expires_at)
        return token

    async def issue_confirmation_token(self, person: Person) -> str:
        async with self.database.write() as transaction:
            return await confirmation.issue_token(transaction, UUID(person.id), self.clock.time)

    async def add_email_change(self, person: Person) -> str:
        """Return the token that confirms the new address."""
        token = new_token()
        expires_at = self.clock.time + timedelta(hours=24)
        new = {"email": f"new.{person.email}", "token_hash": hash_token(token), "expires_at": expires_at}
        await self._insert(EmailChange, user_id=UUID(person.id), **new)
        return token

    async def unconfirm_email(self, person: Person) -> None:
        async with self.database.write() as transaction:
            await transaction.execute(update(User).where(User.id == UUID(person.id)).values(email_confirmed_at=None))

    async def _insert(self, table: type[Base], **values: object) -> None:
        async with self.database.write() as transaction:
            await transaction.execute(insert(table).values(values))


def _text_of_row(table: Table, dialect: str) -> str:
    if dialect == "postgresql":
        return "t::text"
    return " || ',' || ".join(f'quote("{column.name}")' for column in table.columns)


async def make_clinic(client: httpx2.AsyncClient, resources: Resources, clock: SetClock) -> Clinic:
    """Make a clinic at 08:05. Its sessions were begun between 07:15 and 07:58, so that each token has its age."""
    clock.time = clock.time.replace(hour=7)
    people: dict[str, Person] = {
        column: await Person.register(client, column.rpartition(" ")[2])
        for column in COLUMNS
        if column.endswith(("patient", "doctor")) and not column.startswith("bare")
    }
    newcomer = await Person.register(client, "doctor")
    people["administrator"] = await _create_administrator(client, resources)
    objects = await _fill_practice(people["doctor"], people["patient"])
    await people["suspended doctor"].publish("2026-12-07T08:00:00Z", "2026-12-07T12:00:00Z")
    suspended_visit = await people["patient"].book(people["suspended doctor"], "2026-12-07T10:00:00Z")

    callers: dict[str, Caller] = {}
    owners = ("patient", "doctor", "administrator")
    for minute, column in ((15, "expired token"), (50, "long ago"), (58, "refresh token"), (58, "ended session")):
        clock.time = clock.time.replace(minute=minute)
        callers |= {f"{owner}, {column}": await _log_in(people[owner]) for owner in owners}
    callers |= {column: await _log_in(person) for column, person in people.items()}
    clock.time = clock.time.replace(hour=8, minute=5)
    objects["hold_id"] = await _hold_time(people["doctor"], callers["patient"].person, objects["visit_type_id"])
    for owner in owners:
        await callers[f"{owner}, ended session"].person.post("/auth/logout", None)

    clinic = Clinic(resources, clock, callers, objects)
    administrator = callers["administrator"].person
    for column in ("suspended patient", "suspended doctor"):
        await _suspend(clinic, administrator, callers[column])
    await clinic.add_second_factor(newcomer, confirmed=True)
    async with clinic.database.write() as transaction:
        await transaction.execute(update(Doctor).where(Doctor.id == UUID(newcomer.id)).values(approved_at=None))
        change_id = uuid7()
        await profile_changes.replace_change(
            transaction, UUID(people["doctor"].id), change_id, name="Dr Other", specialty=None, now=clock.time
        )
        # A second factor requires a confirmed address.
        await transaction.execute(update(User).values(email_confirmed_at=User.created_at))
    invitation = await administrator.post("/admin/invitations", {"email": "guest@example.com"})
    assert invitation.status_code == 201, invitation.text
    made = await administrator.post(
        "/clinics",
        {"name": "Clinic", "time_zone": "Europe/Berlin", "country": "DE", "manager_email": "first@example.com"},
    )
    assert made.status_code == 201, made.text
    clinic.ids |= {
        "clinic_id": made.json()["id"],
        "invitation_id": invitation.json()["id"],
        "invitation_token": invitation.json()["token"],
        "change_id": str(change_id),
        "doctor_id": people["doctor"].id,
        "patient_id": people["patient"].id,
        "newcomer_id": newcomer.id,
        "suspended_id": people["suspended patient"].id,
        "suspended_doctor_id": people["suspended doctor"].id,
        "suspended_visit_id": suspended_visit["id"],
        "session_id": callers["patient, long ago"].session_id,
    }
    await clinic.save()
    return clinic


async def _create_administrator(client: httpx2.AsyncClient, resources: Resources) -> Person:
    email, name = "administrator@example.com", "An administrator"
    async with resources.database.write() as transaction:
        user = await accounts.register(
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
    return Person(client, str(user.id), email, name, token="")


async def _log_in(person: Person) -> Caller:
    tokens = await get_tokens(person.client, person.email)
    return Caller(replace(person, token=tokens["access_token"]), tokens["refresh_token"])


async def _fill_practice(doctor: Person, patient: Person) -> dict[str, str]:
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
        "dependant_id": (
            await patient.post("/patients/me/dependants", {"name": "Mia", "birth_date": "2020-03-09"})
        ).json()["patient"]["id"],
    }


async def _hold_time(doctor: Person, patient: Person, visit_type_id: str) -> str:
    body = {"doctor_id": doctor.id, "start_time": "2026-12-04T10:00:00Z", "visit_type_id": visit_type_id}
    response = await patient.post("/holds", body)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def _suspend(clinic: Clinic, administrator: Person, caller: Caller) -> None:
    """Suspend an account and restore its session: the session must not help a suspended account."""
    query = select(LoginSession.__table__).where(LoginSession.id == UUID(caller.session_id))
    async with clinic.database.read() as transaction:
        session = dict((await transaction.execute(query)).mappings().one())
    response = await administrator.post(f"/admin/users/{caller.person.id}/suspend", {"reason": REASON})
    assert response.status_code == 200, response.text
    async with clinic.database.write() as transaction:
        await transaction.execute(insert(LoginSession).values(session))
