"""Every form of the pages takes effect on PostgreSQL, where most tests of pages do not run (ADR 0049)."""

import re
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from zoneinfo import ZoneInfo

import httpx2
import pytest
from fastapi import FastAPI
from pyotp import TOTP
from starlette.routing import Match

from app.adapters.mail import Mail
from app.core.dependencies import Resources
from app.http.routes import list_routes
from app.web.kit.routes import PageRoute
from tests.conftest import SetClock, read_token
from tests.people import PASSWORD, Person, log_in
from tests.web.conftest import Forms
from tests.web.markup import read_hidden
from tests.web.table import ADMIN, DOCTOR, PATIENT, SIGNED_OUT, World
from tests.zone_files import write_zone

REASON = "As agreed on the phone"
SECOND_FACTOR = "/my/account/second-factor"
SHOW_SECRETS = {
    "/clinic/{clinic_id:uuid}/people",
    "/office/clinics/{clinic_id:uuid}/manager",
    "/office/invitations",
    SECOND_FACTOR,
    f"{SECOND_FACTOR}/confirm",
    f"{SECOND_FACTOR}/recovery-codes",
}
"""Forms that answer with a page instead of a redirect, because it shows a secret."""


@pytest.fixture(params=["postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """Use PostgreSQL only: the other tests of pages run on SQLite."""
    name: str = request.param
    return name


@pytest.fixture
async def world(app: FastAPI, client: httpx2.AsyncClient, admin: Person, clock: SetClock) -> World:
    return await World.make(app.state.resources, client, admin, clock)


@pytest.fixture
def change_rules(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Changes the rules of the doctor's time zone."""

    def change_rules() -> None:
        write_zone(tmp_path, "America/New_York", "<-04>4")
        zoneinfo.reset_tzpath([tmp_path])
        ZoneInfo.clear_cache()

    yield change_rules
    zoneinfo.reset_tzpath(())
    ZoneInfo.clear_cache()


@dataclass
class Visitor:
    """Sends the forms that pages show, with their hidden fields, and notes the routes that were reached."""

    world: World
    routes: dict[str, PageRoute]
    sent: set[str] = field(default_factory=set)

    async def enter(self, role: str) -> None:
        """Sign in as this role with a new browser."""
        self.world.client.cookies.clear()
        await self.world.enter(Forms(self.world.client), role)

    async def send(self, path: str, on: str | httpx2.Response, **typed: str) -> httpx2.Response:
        """Send the first form for the route with this path that a page shows."""
        shown = on if isinstance(on, httpx2.Response) else await self.world.client.get(self.world.address(on))
        assert shown.status_code == 200, (path, shown.headers.get("location"))
        address, hidden = self._find_form(path, shown)
        response = await self.world.client.post(address, data=hidden | typed)
        assert response.status_code == (200 if path in SHOW_SECRETS else 303), (address, response.text)
        self.sent.add(path)
        return response

    def _find_form(self, path: str, shown: httpx2.Response) -> tuple[str, dict[str, str]]:
        for form in re.findall(r'<form method="post".+?</form>', shown.text, re.DOTALL):
            for action in re.findall(r'action="([^"]*)"', form):
                address = urljoin(str(shown.url), unescape(action))
                scope = {"type": "http", "method": "POST", "path": urlsplit(address).path}
                if self.routes[path].matches(scope)[0] is Match.FULL:
                    hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)
                    keys = re.findall(r'name="(form_key)" value="([^"]+)"', form)  # some buttons have their own
                    return address, {name: unescape(value) for name, value in [*hidden, *keys[:1]]}
        raise AssertionError(f"no form for {path} on {shown.url}: {shown.text}")


async def test_every_form_takes_effect(
    app: FastAPI,
    world: World,
    clock: SetClock,
    mails: list[Mail],
    confirmations: list[Mail],
    change_rules: Callable[[], None],
) -> None:
    routes = {each.path: each for each in list_routes(app) if isinstance(each, PageRoute) and each.methods == {"POST"}}
    visitor = Visitor(world, routes)
    await send_forms_while_signed_out(visitor)
    await send_forms_of_patients(visitor)
    await send_forms_of_accounts(visitor, clock, mails, confirmations)
    await send_forms_with_rules_of_doctors(visitor)
    await send_forms_about_visits_of_doctors(visitor, clock, change_rules)
    await send_forms_of_administrators(visitor, app.state.resources)
    assert visitor.sent == routes.keys()


async def send_forms_while_signed_out(visitor: Visitor) -> None:
    send = visitor.send
    await visitor.enter(SIGNED_OUT)
    await send("/language", "/", language="de")
    await send("/preferences", "/preferences", zone="Asia/Kolkata")
    guest = {"name": "Dr Guest", "password": PASSWORD, "time_zone": "Asia/Tokyo"}
    await send("/invitation", "/invitation?token={invitation}", **guest)
    await visitor.enter(SIGNED_OUT)
    await send("/register", "/register", name="Ann Lee", email="ann@example.com", password=PASSWORD)
    await send("/my/account/data", "/my/account/data", sure="yes")


async def send_forms_of_patients(visitor: Visitor) -> None:
    send = visitor.send
    await visitor.enter(PATIENT)
    await send("/invitation/join", "/invitation?token={clinic_invitation}")
    await send("/visit/{hold_id:uuid}/release", "/visit/{hold}")
    start = "2026-12-08T15:00:00Z"
    held = await send("/visit/pick", f"/visit/pick?doctor={{doctor}}&type={{visit_type}}&start={start}", start=start)
    booked = await send("/visit/{hold_id:uuid}", held.headers["location"], reason="A mole")
    visit = booked.headers["location"].replace("/visit/done", "/my/appointments")
    path = "/my/appointments/{appointment_id:uuid}"
    await send(f"{path}/move", f"{visit}/move?start=2026-12-11T15:00:00Z")
    await send(f"{path}/cancel", f"{visit}/cancel", reason="I am well again")
    child = {"name": "Mia Lee", "birth_date": "2020-03-09"}
    await send("/my/family", "/my/family", **child)
    path, other = "/my/family/{dependant_id:uuid}", "/my/family/{other_child}"
    await send(path, other, **child, phone="+44 20 7183 8750")
    await send(f"{path}/remove", f"{other}/remove")


async def send_forms_of_accounts(
    visitor: Visitor, clock: SetClock, mails: list[Mail], confirmations: list[Mail]
) -> None:
    send = visitor.send
    patient = visitor.world.people[PATIENT]
    await visitor.enter(PATIENT)
    await send("/my/account", "/my/account", name="Mo Haddad")
    await send("/my/account/details", "/my/account/details", phone="+44 20 7183 8750", birth_date="1990-05-17")
    await send("/confirm-email/resend", "/confirm-email")
    await send("/confirm-email", "/confirm-email", token=read_token(confirmations[-1]))
    address = "/my/account/email"
    await send(address, address, new_email="mo@example.com", current_password=PASSWORD)
    await send(f"{address}/confirm", address, token=read_token(mails[-2]))
    patient = replace(patient, email="mo@example.com")
    new = await send(SECOND_FACTOR, SECOND_FACTOR)
    totp = TOTP(read_hidden(new.text, "secret"))
    await send(f"{SECOND_FACTOR}/confirm", new, otp=totp.at(clock.time))
    await send("/sign-out", "/my/account")
    clock.advance(seconds=30)
    await send("/sign-in", "/sign-in", username=patient.email, password=PASSWORD)
    await send("/sign-in/code", "/sign-in/code", otp=totp.at(clock.time))
    await send(f"{SECOND_FACTOR}/recovery-codes", SECOND_FACTOR)
    await send(f"{SECOND_FACTOR}/remove", SECOND_FACTOR)
    await send("/my/account/password", "/my/account/password", current_password=PASSWORD, new_password=f"{PASSWORD}!")
    await log_in(visitor.world.client, patient.email, f"{PASSWORD}!")
    await send("/my/account/sessions/{session_id:uuid}/end", "/my/account/sessions")
    await send("/my/account/sessions/end", "/my/account/sessions")
    await visitor.enter(SIGNED_OUT)
    await send("/forgotten", "/forgotten", email=patient.email)
    await send("/reset", "/reset", token=read_token(mails[-1]), new_password=PASSWORD)


async def send_forms_with_rules_of_doctors(visitor: Visitor) -> None:
    send = visitor.send
    await visitor.enter(DOCTOR)
    people = "/clinic/{clinic_id:uuid}/people"
    await send(people, "/clinic/{clinic}/people", email="nurse@example.com", role="nurse", valid_until="2026-12-31")
    member = people + "/{user_id:uuid}"
    await send(member, "/clinic/{clinic}/people/{doctor}", role_manager="yes", role_doctor="yes")
    for action in ("/invitations/{invitation_id:uuid}/cancel", "/{user_id:uuid}/remove"):
        await send(people + action, "/clinic/{clinic}/people")
    hours, extra, time_off = "/practice/hours", "/practice/hours/extra", "/practice/hours/time-off"
    await send(f"{hours}/later/{{valid_from}}/cancel", hours)
    await send(hours, hours, tuesday_0_from="09:00", tuesday_0_to="16:00")
    await send(extra, extra, day="2026-12-19", opens="10:00", closes="12:00", repeats="FREQ=WEEKLY")
    await send(f"{extra}/{{availability_id:uuid}}/remove", extra)
    await send(time_off, f"{time_off}/preview?first=2026-12-29&last=2026-12-30", reason="Holiday")
    await send(f"{time_off}/{{time_off_id:uuid}}/remove", time_off)
    limits = {"min_notice_minutes": "0", "cancel_cutoff_minutes": "0", "default_visit_minutes": "30"}
    await send("/practice/profile", "/practice/profile", name="Dr Mo", time_zone="America/New_York", **limits)
    types = "/practice/profile/visit-types"
    fields = {"duration_minutes": "20", "mode": "video", "min_notice_minutes": "0"}
    fields |= {"buffer_before_minutes": "0", "buffer_after_minutes": "0"}
    await send(f"{types}/new", f"{types}/new", name="Results", **fields)
    await send(f"{types}/{{visit_type_id:uuid}}", f"{types}/{{visit_type}}", name="Results by video", **fields)
    await send(f"{types}/{{visit_type_id:uuid}}/withdraw", types)


async def send_forms_about_visits_of_doctors(
    visitor: Visitor, clock: SetClock, change_rules: Callable[[], None]
) -> None:
    send = visitor.send
    visit, path = "/practice/visits/{visit}", "/practice/visits/{appointment_id:uuid}"
    await visitor.enter(DOCTOR)
    await send(f"{path}/move", f"{visit}/move?day=2026-12-08", start="2026-12-08T19:00:00Z")
    await send(f"{path}/cancel", visit, reason="I am ill")
    await send(f"{path}/undo", visit)
    change_rules()
    await send("/practice/hours/clock-changes", "/practice/hours/clock-changes", keep="instant")
    clock.advance(days=7, hours=11)
    await visitor.enter(DOCTOR)
    for action in ("arrive", "complete", "undo", "undo", "no-show"):
        await send(f"{path}/{action}", visit)


async def send_forms_of_administrators(visitor: Visitor, resources: Resources) -> None:
    send = visitor.send
    await visitor.enter(ADMIN)
    user, colleague = "/office/users/{user_id:uuid}", "/office/users/{colleague}"
    await send(f"{user}/break-glass", "/office/users/{patient}?decision=break-glass", reason=REASON)
    for decision in ("approve", "suspend", "reinstate", "end-sessions", "remove-second-factor"):
        await send(f"{user}/{decision}", f"{colleague}?decision={decision}", reason=REASON)
    for decision in ("accept", "decline"):
        await visitor.world.request_profile_change(resources)
        await send(f"{user}/profile-change/{decision}", f"{colleague}/profile-change", reason=REASON)
    suspended = "/office/users/{suspended}"
    await send(
        f"{user}/appointments/{{appointment_id:uuid}}/cancel", f"{suspended}/appointments/{{expected}}", reason=REASON
    )
    await send(f"{user}/erase", f"{suspended}?decision=erase", reason=REASON)
    place = {"time_zone": "Europe/Berlin", "country": "DE", "locale": "de"}
    await send("/office/clinics", "/office/clinics", name="Clinic", manager_email="first@example.com", **place)
    await send("/office/clinics/{clinic_id:uuid}/manager", "/office/clinics", email="second@example.com")
    await send("/office/invitations", "/office/invitations", email="other@example.com")
    await send("/office/invitations/{invitation_id:uuid}/cancel", "/office/invitations")
