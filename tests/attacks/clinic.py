"""The clinic that is attacked: accounts and their objects, and all rows, so that they can be restored."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import jwt
import pyotp
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from app.core.clinic_permissions import MemberRole
from app.core.permissions import Role
from app.core.security import Passwords
from app.core.settings import Settings
from app.db.database import Database
from app.models import Clinic as ClinicRow
from app.models import Member, User
from app.services import accounts
from tests.attacks.corpus import Computed, substitute
from tests.attacks.makers import MAKERS, forge
from tests.people import Person

PASSWORD = "canary battery staple 5e1"
NEW_PASSWORD = "canary password to come 8b"
SECRET_KEY = "canary-secret-key-0123456789abcdef0123456789"
KEY = "canary-idempotency-key-of-the-patient"
REASON = "a reason of more than ten characters"
# Without the audit trail, which is append-only and has its own tests.
TABLES = [table for table in User.metadata.sorted_tables if table.name != "audit_events"]
_ALL = {table.name: table.select().order_by(*table.primary_key) for table in TABLES}

type Rows = Mapping[str, list[dict[str, Any]]]


@dataclass
class Clinic:
    client: httpx2.AsyncClient
    now: datetime
    engine: AsyncEngine
    names: dict[str, Any] = field(default_factory=dict)
    """The values of placeholders."""
    tokens: dict[str, str] = field(default_factory=dict)
    """The access tokens by actor."""
    secrets: dict[str, frozenset[str]] = field(default_factory=dict)
    """Texts that no response may contain, except to these actors."""

    def add_secret(self, secret: str, *known_to: str) -> str:
        self.secrets[secret] = frozenset(known_to)
        return secret

    def resolve(self, what: Any) -> Any:
        """Replace placeholders by their values and compute computed values."""
        return self._compute(substitute(what, self.names))

    def _compute(self, what: Any) -> Any:
        match what:
            case Computed("token", changes):
                return forge(self._read_claims(), SECRET_KEY, self.now, self.resolve_changes(changes))
            case Computed(maker, argument):
                return MAKERS[maker](self._compute(argument))
            case list():
                return [self._compute(each) for each in what]
            case dict():
                return {name: self._compute(each) for name, each in what.items()}
            case _:
                return what

    def resolve_changes(self, changes: Any) -> Mapping[str, Any]:
        # ``!absent`` is left to ``forge``.
        return {
            name: {key: each if isinstance(each, Computed) and each.maker == "absent" else self._compute(each)
                   for key, each in value.items()}
            if isinstance(value, dict) else self._compute(value)
            for name, value in (changes or {}).items()
        }  # fmt: skip

    def _read_claims(self) -> Mapping[str, Any]:
        claims: Mapping[str, Any] = jwt.decode(self.tokens["patient"], options={"verify_signature": False})
        return claims

    async def read_rows(self) -> Rows:
        async with self.engine.connect() as connection:
            return {
                # ``restore`` needs the keys of the columns, some of which differ from their names.
                table.name: [
                    {column.key: row[column] for column in table.columns}
                    for row in (await connection.execute(_ALL[table.name])).mappings()
                ]
                for table in TABLES
            }

    async def restore(self, rows: Rows) -> None:
        async with Database(self.engine).write() as transaction:
            for table in reversed(TABLES):
                await transaction.execute(table.delete())
            for table in TABLES:
                if rows[table.name]:
                    await transaction.execute(table.insert(), rows[table.name])


class Builder:
    """Fills a clinic with accounts and objects, through the API."""

    def __init__(self, clinic: Clinic, settings: Settings, advance: Callable[[timedelta], Awaitable[None]]) -> None:
        self.clinic = clinic
        self.settings = settings
        self.advance = advance
        self.people: dict[str, Person] = {}

    async def build(self, *, complete: bool) -> None:
        """``complete`` also adds objects that need a clock that can be set."""
        await self._make_people()
        await self._make_clinic()
        await self._make_visits()
        if complete:
            await self._make_past()
        for actor in self.people:
            await self._log_in(actor)
        if complete:
            await self._make_second_factor()
        await self._end_accounts_and_sessions()
        for actor, person in self.people.items():
            self.clinic.add_secret(person.email, actor, "admin")
            self.clinic.names |= {actor: person.id, f"{actor}_email": person.email}
        await self._collect_secrets()

    async def _register(self, actor: str, role: str, **fields: str) -> None:
        email = f"{actor.replace('_', '.')}.canary@example.com"
        body = {
            "email": email,
            "password": PASSWORD,
            "name": f"Person {actor.replace('_', ' ')}",
            "role": role,
        } | fields
        response = await self.clinic.client.post("/auth/register", json=body)
        assert response.status_code == 201, response.text
        self.people[actor] = Person(self.clinic.client, response.json()["id"], email, body["name"], "")
        await self._log_in(actor)

    async def _log_in(self, actor: str) -> None:
        email = self.people[actor].email
        response = await self.clinic.client.post("/auth/login", data={"username": email, "password": PASSWORD})
        assert response.status_code == 200, response.text
        tokens = response.json()
        token = self.clinic.tokens[actor] = self.clinic.add_secret(tokens["access_token"])
        self.people[actor] = Person(self.clinic.client, self.people[actor].id, email, self.people[actor].name, token)
        claims = jwt.decode(token, options={"verify_signature": False})
        self.clinic.names |= {
            f"token_of_{actor}": token,
            f"refresh_token_of_{actor}": self.clinic.add_secret(tokens["refresh_token"]),
            f"session_of_{actor}": claims["sid"],
        }

    async def _make_people(self) -> None:
        passwords = Passwords(self.settings)
        async with Database(self.clinic.engine).write() as transaction:
            admin = await accounts.register(
                transaction, passwords, email="admin.canary@example.com", password=PASSWORD, name="Person admin",
                role=Role.ADMIN, now=self.clinic.now, refuse_weak=False,
            )  # fmt: skip
        passwords.close()
        self.people["admin"] = Person(self.clinic.client, str(admin.id), admin.email, admin.name, "")
        await self._log_in("admin")
        for doctor in ("doctor", "other_doctor", "unapproved_doctor"):
            await self._register(doctor, "doctor", specialty="Dermatology", time_zone="America/New_York")
        for doctor in ("doctor", "other_doctor"):
            await self._decide(doctor, "approve")
        for patient in ("patient", "other_patient", "suspended", "erased", "logged_out"):
            await self._register(patient, "patient")

    async def _make_clinic(self) -> None:
        """Make a clinic whose manager is the patient, so that requests to it are not refused for want of a role."""
        clinic_id, manager_id = uuid7(), UUID(self.people["patient"].id)
        place = {"time_zone": "UTC", "country": "GB", "locale": "en"}
        async with Database(self.clinic.engine).write() as transaction:
            await transaction.execute(
                insert(ClinicRow).values(
                    id=clinic_id, name="Clinic", public_name="Clinic", created_at=self.clinic.now, **place
                )
            )
            await transaction.execute(
                insert(Member).values(
                    clinic_id=clinic_id, user_id=manager_id, role=MemberRole.MANAGER, created_at=self.clinic.now
                )
            )
        self.clinic.names["clinic"] = str(clinic_id)

    async def _decide(self, actor: str, decision: str) -> None:
        path = f"/admin/users/{self.people[actor].id}/{decision}"
        response = await self.people["admin"].post(path, {"reason": REASON})
        assert response.status_code == 200, response.text

    async def _make_visits(self) -> None:
        clinic, doctor, other_doctor = self.clinic, self.people["doctor"], self.people["other_doctor"]
        patient, other_patient = self.people["patient"], self.people["other_patient"]
        day = clinic.now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=7)

        def at(hour: float, days: int = 0) -> str:
            return (day + timedelta(days=days, hours=hour)).isoformat().replace("+00:00", "Z")

        clinic.names |= {
            "taken": at(15), "held": at(16), "open": at(17), "open_end": at(17.5), "closed": at(4), "away": at(15, 1),
            "half": at(14.75), "off_grid": at(15.1), "yesterday": at(15, -8), "later": at(18), "last": at(21.5),
            "later_end": at(18.5), "absent": str(uuid7()), "password": PASSWORD, "new_password": NEW_PASSWORD,
            "key_of_patient": KEY, "secret_key": SECRET_KEY, "next_week": at(15, 7), "next_week_end": at(16, 7),
        }  # fmt: skip
        for each in (doctor, other_doctor):
            await each.publish(at(14), at(22))
            await each.publish(at(14, 1), at(22, 1))
        rule = await doctor.publish(at(14, 2), at(22, 2), "FREQ=WEEKLY")
        time_off = await doctor.take_time_off(
            at(14, 1), at(22, 1), clinic.add_secret("canary reason of the doctor", "doctor")
        )
        visit_type = await other_doctor.add_visit_type(name="Check-up", duration_minutes=30)
        reason = clinic.add_secret("canary reason of the patient", "patient", "doctor", "admin")
        booked = await patient.book(doctor, at(15), reason=reason)
        other = await other_patient.book(other_doctor, at(15), visit_type_id=visit_type["id"])
        cancelled = await patient.book(doctor, at(18))
        assert (await patient.delete(f"/appointments/{cancelled['id']}")).status_code == 200
        child = await patient.post("/patients/me/dependants", {"name": "Person child", "birth_date": "2020-03-09"})
        clinic.names |= {
            "dependant": child.json()["patient"]["id"],
            "appointment": booked["id"], "other_appointment": other["id"], "cancelled": cancelled["id"],
            "availability": rule["id"], "time_off": time_off["id"], "visit_type": visit_type["id"],
        }  # fmt: skip

    async def _hold(self, actor: str, name: str, at: str) -> None:
        body = {"doctor_id": self.people["doctor"].id, "start_time": self.clinic.names[at]}
        response = await self.people[actor].post("/holds", body)
        assert response.status_code == 201, response.text
        self.clinic.names[name] = response.json()["id"]

    async def _make_past(self) -> None:
        clinic, patient, doctor = self.clinic, self.people["patient"], self.people["doctor"]
        start, end = clinic.now + timedelta(hours=1), clinic.now + timedelta(hours=4)
        await doctor.publish(start.isoformat(), end.isoformat())
        past = await patient.book(doctor, start.isoformat())
        running = await patient.book(doctor, (start + timedelta(minutes=45)).isoformat())
        await self.advance(timedelta(hours=2))
        clinic.names |= {"past": past["id"], "running": running["id"], "expired_start": past["start_time"]}
        clinic.tokens["expired"] = clinic.add_secret(patient.token)
        await self._log_in("patient")
        await self._log_in("other_patient")
        await self._hold("patient", "hold", "held")
        await self._hold("other_patient", "other_hold", "last")
        unchanged = {"start_time": clinic.names["taken"]}
        path = f"/appointments/{clinic.names['appointment']}/reschedule"
        headers = self.people["patient"].headers | {"Idempotency-Key": KEY}
        assert (await clinic.client.post(path, json=unchanged, headers=headers)).status_code == 200

    async def _make_second_factor(self) -> None:
        await self._register("careful", "patient")
        careful = self.people["careful"]
        async with Database(self.clinic.engine).write() as transaction:
            await transaction.execute(update(User).values(email_confirmed_at=User.created_at))
        response = await careful.post("/auth/second-factor", None)
        secret = self.clinic.add_secret(response.json()["secret"])
        code = pyotp.TOTP(secret).at(self.clinic.now)
        response = await careful.post("/auth/second-factor/confirm", {"otp": code})
        assert response.status_code == 200, response.text
        for recovery in response.json()["recovery_codes"]:
            self.clinic.add_secret(recovery)
        self.clinic.names["used_otp"] = code

    async def _end_accounts_and_sessions(self) -> None:
        await self._decide("suspended", "suspend")
        assert (await self.people["erased"].delete("/auth/me")).status_code == 204
        assert (await self.people["logged_out"].post("/auth/logout", None)).status_code == 204
        self.clinic.names["session"] = self.clinic.names["session_of_patient"]

    async def _collect_secrets(self) -> None:
        clinic = self.clinic
        for secret in (PASSWORD, NEW_PASSWORD, SECRET_KEY, KEY):
            clinic.add_secret(secret)
        for table, column in (("users", "password_hash"), ("refresh_tokens", "token_hash")):
            for row in (await clinic.read_rows())[table]:
                if row[column]:
                    clinic.add_secret(row[column])
