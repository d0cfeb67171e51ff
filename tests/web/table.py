"""The table of all pages with the roles that see them, and a clinic with content for each page."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx2
from uuid_utils.compat import uuid7

from app.core.dependencies import Resources
from app.repositories.profile_changes import replace_change
from tests.conftest import SetClock
from tests.people import Person
from tests.web.conftest import Forms

SIGNED_OUT, PATIENT, DOCTOR, ADMIN = "signed-out", "patient", "doctor", "admin"
ALL_ROLES = (SIGNED_OUT, PATIENT, DOCTOR, ADMIN)

MAX_BYTES = 60 * 1024
"""The limit for a page with its static files, as they are sent."""

type Table = dict[str, list[tuple[str, str]]]

PAGES: Table = {
    "/": [
        (SIGNED_OUT, "/"),
        (PATIENT, "/?specialty=Dermatology&part=morning"),
        (SIGNED_OUT, "/?language=eu"),
        (DOCTOR, "/"),
        (ADMIN, "/"),
    ],
    "/with/{doctor_id:uuid}": [
        (SIGNED_OUT, "/with/{doctor}"),
        (PATIENT, "/with/{doctor}?week=2026-12-14"),
        (SIGNED_OUT, "/with/{colleague}?week=2030-01-01"),
        (DOCTOR, "/with/{doctor}"),
        (ADMIN, "/with/{doctor}"),
    ],
    "/visit/pick": [(PATIENT, "/visit/pick?doctor={doctor}&type={visit_type}&start=2026-12-08T15:00:00Z")],
    "/visit/{hold_id:uuid}": [(PATIENT, "/visit/{hold}")],
    "/visit/done/{appointment_id:uuid}": [(PATIENT, "/visit/done/{visit}")],
    "/my/appointments": [(PATIENT, "/my/appointments")],
    "/my/appointments/{appointment_id:uuid}": [
        (PATIENT, "/my/appointments/{visit}"),
        (PATIENT, "/my/appointments/{cancelled}"),
        (PATIENT, "/my/appointments/{visit_of_child}"),
    ],
    "/my/appointments/{appointment_id:uuid}/cancel": [(PATIENT, "/my/appointments/{visit}/cancel")],
    "/my/appointments/{appointment_id:uuid}/move": [
        (PATIENT, "/my/appointments/{visit}/move"),
        (PATIENT, "/my/appointments/{visit}/move?start=2026-12-11T15:00:00Z"),
    ],
    "/my/family": [(PATIENT, "/my/family")],
    "/my/family/{dependant_id:uuid}": [(PATIENT, "/my/family/{child}")],
    "/my/family/{dependant_id:uuid}/remove": [
        (PATIENT, "/my/family/{child}/remove"),
        (PATIENT, "/my/family/{other_child}/remove"),
    ],
    "/my/account": [(PATIENT, "/my/account"), (DOCTOR, "/my/account")],
    "/my/account/details": [(PATIENT, "/my/account/details")],
    "/confirm-email": [(PATIENT, "/confirm-email"), (DOCTOR, "/confirm-email?token=abc&next=/my/account")],
    "/my/account/email": [(PATIENT, "/my/account/email"), (DOCTOR, "/my/account/email"), (ADMIN, "/my/account/email")],
    "/my/account/password": [(PATIENT, "/my/account/password")],
    "/my/account/sessions": [(PATIENT, "/my/account/sessions")],
    "/my/account/data": [
        (PATIENT, "/my/account/data"),
        (DOCTOR, "/my/account/data"),
        (ADMIN, "/my/account/data"),
    ],
    "/my/account/second-factor": [(PATIENT, "/my/account/second-factor")],
    "/practice/day": [(DOCTOR, "/practice/day"), (DOCTOR, "/practice/day?day=2026-12-08")],
    "/practice/week": [(DOCTOR, "/practice/week?day=2026-12-08"), (DOCTOR, "/practice/week?day=2030-01-01")],
    "/practice/visits/{appointment_id:uuid}": [
        (DOCTOR, "/practice/visits/{visit}"),
        (DOCTOR, "/practice/visits/{cancelled}"),
        (DOCTOR, "/practice/visits/{visit_of_child}"),
    ],
    "/practice/visits/{appointment_id:uuid}/move": [(DOCTOR, "/practice/visits/{visit}/move")],
    "/practice/hours": [(DOCTOR, "/practice/hours"), (DOCTOR, "/practice/hours?day=2027-07-01")],
    "/practice/hours/extra": [(DOCTOR, "/practice/hours/extra")],
    "/practice/hours/time-off": [(DOCTOR, "/practice/hours/time-off")],
    "/practice/hours/time-off/preview": [(DOCTOR, "/practice/hours/time-off/preview?first=2026-12-04&last=2026-12-09")],
    "/practice/hours/clock-changes": [(DOCTOR, "/practice/hours/clock-changes")],
    "/practice/hours/conflicts": [(DOCTOR, "/practice/hours/conflicts")],
    "/practice/hours/explain": [(DOCTOR, "/practice/hours/explain?day=2026-12-08&clock=03:00&visit_type={visit_type}")],
    "/practice/profile": [(DOCTOR, "/practice/profile")],
    "/practice/profile/visit-types": [(DOCTOR, "/practice/profile/visit-types")],
    "/practice/profile/visit-types/new": [(DOCTOR, "/practice/profile/visit-types/new")],
    "/practice/profile/visit-types/{visit_type_id:uuid}": [(DOCTOR, "/practice/profile/visit-types/{visit_type}")],
    "/sign-in": [(SIGNED_OUT, "/sign-in")],
    "/register": [(SIGNED_OUT, "/register?next=/preferences")],
    "/forgotten": [(SIGNED_OUT, "/forgotten")],
    "/reset": [(SIGNED_OUT, "/reset")],
    "/preferences": [(SIGNED_OUT, "/preferences"), (DOCTOR, "/preferences")],
    "/invitation": [
        (SIGNED_OUT, "/invitation?token={invitation}"),
        (PATIENT, "/invitation?token={invitation}"),
        (SIGNED_OUT, "/invitation?token={clinic_invitation}"),
        (PATIENT, "/invitation?token={clinic_invitation}"),
    ],
    "/clinic": [(DOCTOR, "/clinic"), (PATIENT, "/clinic")],
    "/clinic/{clinic_id:uuid}/people": [(DOCTOR, "/clinic/{clinic}/people")],
    "/clinic/{clinic_id:uuid}/people/{user_id:uuid}": [(DOCTOR, "/clinic/{clinic}/people/{doctor}")],
    "/office/clinics": [(ADMIN, "/office/clinics")],
    "/office/invitations": [(ADMIN, "/office/invitations")],
    "/office/users": [(ADMIN, "/office/users"), (ADMIN, "/office/users?status=erased")],
    "/office/users/{user_id:uuid}": [
        (ADMIN, "/office/users/{patient}"),
        (ADMIN, "/office/users/{doctor}"),
        (ADMIN, "/office/users/{suspended}"),
        (ADMIN, "/office/users/{patient}?decision=break-glass"),
        (ADMIN, "/office/users/{doctor}?decision=end-sessions"),
        (ADMIN, "/office/users/{doctor}?decision=erase"),
        (ADMIN, "/office/users/{suspended}?decision=erase"),
    ],
    "/office/users/{user_id:uuid}/profile-change": [(ADMIN, "/office/users/{colleague}/profile-change")],
    "/office/users/{user_id:uuid}/visits": [(ADMIN, "/office/users/{patient}/visits")],
    "/office/users/{user_id:uuid}/appointments": [(ADMIN, "/office/users/{suspended}/appointments")],
    "/office/users/{user_id:uuid}/appointments/{appointment_id:uuid}": [
        (ADMIN, "/office/users/{suspended}/appointments/{expected}")
    ],
    "/office/trail": [
        (ADMIN, "/office/trail"),
        (ADMIN, "/office/trail?patient={patient}&actor=&action=reinstate_user"),
    ],
}
"""For each path of a route, the roles and the addresses to open. Names in braces are ids of ``World``."""
NO_PAGES = {"/start", "/sign-in/code", "/my/appointments/{appointment_id:uuid}/calendar.ics", "/my/account/export.json"}
"""Routes that redirect (the code form needs a pending log-in) or return a file."""
REFUSED = [
    (SIGNED_OUT, "/no-such-page"),
    (SIGNED_OUT, "/with/{suspended}"),
    (SIGNED_OUT, "/invitation?token=wrong"),
    (PATIENT, "/visit/{doctor}"),
    (PATIENT, "/office/users"),
    (PATIENT, "/clinic/{clinic}/people"),
    (ADMIN, "/office/trail?patient=nobody&from=never"),
]
"""Roles and addresses that lead to error pages."""


def pages_of(role: str) -> Iterator[tuple[str, bool]]:
    """Yield the addresses to open with this role, and whether each is a page, not an error."""
    for row in (*PAGES.values(), REFUSED):
        yield from ((path, row is not REFUSED) for row_role, path in row if row_role == role)


LONG_NAME = "Dr Wilhelmina Anastasia von Schwarzenberg-Königshofen-Lilie"
RIGHT_TO_LEFT = "\N{ARABIC LETTER MEEM}\N{ARABIC LETTER HAH}\N{ARABIC LETTER MEEM}\N{ARABIC LETTER DAL} Haddad"


@dataclass
class World:
    """A clinic with patients and with a doctor who has an example of every kind of record. ``grow`` adds more."""

    client: httpx2.AsyncClient
    people: dict[str, Person]
    clock: SetClock
    ids: dict[str, str] = field(default_factory=dict)
    days: int = 0

    @classmethod
    async def make(cls, resources: Resources, client: httpx2.AsyncClient, admin: Person, clock: SetClock) -> "World":
        doctor = await Person.register(
            client, "doctor", name=LONG_NAME, specialty="Dermatology", time_zone="America/New_York"
        )
        patient = await Person.register(client, "patient", name=RIGHT_TO_LEFT)
        world = cls(client, {DOCTOR: doctor, PATIENT: patient, ADMIN: admin}, clock)
        await doctor.set_hours(
            **{day: [["09:00", "12:00"], ["13:00", "17:00"]] for day in ("monday", "tuesday", "friday")}
        )
        await doctor.set_hours(monday=[["00:00", "24:00"]], valid_from="2027-07-01", valid_to="2027-08-31")
        await doctor.update_profile(languages=["en", "de"], bio="Skin, hair and nails.", min_notice_minutes=30)
        visit_type = await doctor.add_visit_type(duration_minutes=20, buffer_after_minutes=10)
        world.ids = {"doctor": doctor.id, "patient": patient.id, "visit_type": visit_type["id"]}
        for key, name in (("child", LONG_NAME.removeprefix("Dr ")), ("other_child", "Mia Haddad")):
            added = await patient.post("/patients/me/dependants", {"name": name, "birth_date": "2020-03-09"})
            world.ids[key] = added.json()["patient"]["id"]
        await world.grow()
        hold = await patient.post(
            "/holds",
            {"doctor_id": doctor.id, "visit_type_id": visit_type["id"], "start_time": "2026-12-11T18:00:00Z"},
        )
        world.ids["hold"] = hold.json()["id"]
        await world.suspend_doctor()
        await doctor.take_time_off("2026-12-25T05:00:00Z", "2026-12-26T05:00:00Z", "Holiday")
        invitation = await admin.post(
            "/admin/invitations", {"email": "guest@example.com", "name": LONG_NAME, "time_zone": "Europe/Berlin"}
        )
        world.ids["invitation"] = invitation.json()["token"]
        clinic = await doctor.post("/clinics", {"name": LONG_NAME, "time_zone": "America/New_York", "country": "US"})
        invitation = await doctor.post(
            f"/clinics/{clinic.json()['id']}/invitations", {"email": "desk@example.com", "role": "receptionist"}
        )
        world.ids["clinic"] = clinic.json()["id"]
        world.ids["clinic_invitation"] = invitation.json()["token"]
        await world.request_profile_change(resources)
        return world

    async def request_profile_change(self, resources: Resources) -> None:
        """Let a change of the colleague's name wait for review."""
        async with resources.database.write() as transaction:
            colleague, change_id = UUID(self.ids["colleague"]), uuid7()
            await replace_change(
                transaction, colleague, change_id, name=LONG_NAME, specialty="Cardiology", now=self.clock.time
            )

    async def grow(self) -> None:
        """Add more patients, visits, doctors, rules and audit events."""
        doctor, patient = self.people[DOCTOR], self.people[PATIENT]
        other = await Person.register(self.client, "patient", name="Bea Moss")
        colleague = await Person.register(
            self.client, "doctor", name="Dr Amara Okafor", specialty="Cardiology", time_zone="Europe/Berlin"
        )
        await colleague.set_hours(monday=[["08:00", "12:00"]])
        for person, hour in (patient, 14), (other, 15), (patient, 16):
            for day in (4 + 7 * self.days, 7 + 7 * self.days):
                appointment = await self._book(person, doctor, f"2026-12-{day:02}T{hour}:00:00Z")
                self.ids["visit"] = appointment["id"]
        self.ids["cancelled"] = self.ids["visit"]
        self.ids.setdefault("colleague", colleague.id)  # the change waits for review
        await patient.post(f"/appointments/{self.ids['visit']}/cancel", {"reason": "I am down with a cold"})
        self.ids["visit"] = (await self._book(patient, doctor, f"2026-12-{8 + 7 * self.days:02}T18:00:00Z"))["id"]
        for_child = {"on_behalf_of": self.ids["child"]}
        visit_of_child = await self._book(patient, doctor, f"2026-12-{8 + 7 * self.days:02}T18:30:00Z", **for_child)
        self.ids["visit_of_child"] = visit_of_child["id"]
        await doctor.publish(f"2026-12-{12 + 7 * self.days:02}T15:00:00Z", f"2026-12-{12 + 7 * self.days:02}T18:00:00Z")
        await doctor.add_visit_type(name=f"Talk {self.days}", duration_minutes=40)
        await doctor.get("/doctors/me/appointments")
        self.days += 1

    async def suspend_doctor(self) -> None:
        """Add a suspended doctor with upcoming visits."""
        suspended = await Person.register(self.client, "doctor", name="Dr Paul Adler", time_zone="America/New_York")
        await suspended.publish("2026-12-09T14:00:00Z", "2026-12-09T18:00:00Z")
        self.ids["suspended"] = suspended.id
        self.ids["expected"] = (await self.people[PATIENT].book(suspended, "2026-12-09T15:00:00Z"))["id"]
        response = await self.people[ADMIN].post(
            f"/admin/users/{suspended.id}/suspend", {"reason": "Has left the practice"}
        )
        assert response.status_code == 200

    async def _book(self, person: Person, doctor: Person, start: str, **fields: str) -> dict[str, Any]:
        fields |= {"visit_type_id": self.ids["visit_type"], "reason": "A mole that has changed"}
        return await person.book(doctor, start, **fields)

    def address(self, path: str) -> str:
        """Return the address with the ids filled in."""
        return path.format(**self.ids)

    async def enter(self, forms: Forms, role: str) -> None:
        """Sign in as a user of this role. An administrator also gives a reason to view a patient's visits."""
        if role == SIGNED_OUT:
            return
        await forms.sign_in(self.people[role])
        if role == ADMIN:
            user_path = f"/office/users/{self.ids['patient']}"
            response = await forms.send(
                f"{user_path}/break-glass", on=f"{user_path}?decision=break-glass", reason="An emergency"
            )
            assert response.status_code == 303


async def weigh(client: httpx2.AsyncClient, page: httpx2.Response) -> int:
    """Return the number of bytes of a page with its static files."""
    files = [await client.get(asset) for asset in set(re.findall(r"/static/[\w.]+", page.text))]
    return sum(int(each.headers["Content-Length"]) for each in (page, *files))
