"""What holds for every page: it can be used by everybody, on every screen, and costs little."""

import re
from typing import Literal

import httpx2
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import ViewportSize

from tests.conftest import Counted, Join
from tests.people import Person
from tests.web.clinic import ARABIC_NAME, Clinic, open_clinic
from tests.web.conftest import DESK, PHONE, Forms, OpenTab

NARROW: ViewportSize = {"width": 320, "height": 640}
TABLET: ViewportSize = {"width": 768, "height": 1024}
type Scheme = Literal["light", "dark"]
MOST_BYTES = 60_000
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
FOR_ALL = [
    "/sign-in",
    "/register",
    "/forgotten",
    "/reset",
    "/preferences",
    "/nowhere",
    "/",
    "/?part=evening&mode=phone",
]


@pytest.fixture
async def clinic(join: Join) -> Clinic:
    return await open_clinic(join)


@pytest.fixture
async def patient(join: Join) -> Person:
    return await join("patient", name=f"{ARABIC_NAME} {ARABIC_NAME} {ARABIC_NAME}")


@pytest.fixture
async def addresses(clinic: Clinic, patient: Person) -> list[str]:
    """All pages of a patient who has two visits, one of them cancelled."""
    visits = []
    for hour in (15, 16):
        body = {
            "doctor_id": clinic.amara.id,
            "visit_type_id": clinic.kind,
            "start_time": f"2026-12-08T{hour}:00:00Z",
            "reason": "A mole",
        }
        visits.append((await patient.post("/appointments", body)).json()["id"])
    await patient.post(f"/appointments/{visits[1]}/cancel", {"reason": "I am down with a cold"})
    held = {"doctor_id": clinic.lena.id, "start_time": "2026-12-08T09:00:00Z"}
    hold = (await patient.post("/holds", held)).json()["id"]
    pick = f"doctor={clinic.amara.id}&type={clinic.kind}&start=2026-12-08T18:00:00Z"
    return [
        *(f"/with/{doctor.id}" for doctor in (clinic.amara, clinic.lena, clinic.noura)),
        f"/with/{clinic.amara.id}?type={clinic.kind}&week=2028-12-08",
        f"/visit/pick?{pick}",
        f"/visit/{hold}",
        f"/visit/{visits[1]}",
        f"/visit/done/{visits[0]}",
        "/my/appointments",
        *(f"/my/appointments/{visit}" for visit in visits),
        f"/my/appointments/{visits[0]}/cancel",
        f"/my/appointments/{visits[0]}/move",
        f"/my/appointments/{visits[0]}/move?start=2026-12-08T18:00:00Z",
        "/my/account",
        "/my/account/password",
        "/my/account/second-factor",
        "/my/account/sessions",
        "/my/account/data",
    ]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # it is about what comes out, not where it is kept
@pytest.mark.parametrize(("screen", "scheme"), [(PHONE, "light"), (DESK, "dark")], ids=["phone", "desk"])
async def test_nobody_is_kept_out(
    open_tab: OpenTab, addresses: list[str], patient: Person, screen: ViewportSize, scheme: Scheme
) -> None:
    # The examination itself needs a script, which the policy would not let run.
    tab = await open_tab(
        viewport=screen, color_scheme=scheme, java_script_enabled=True, bypass_csp=True, reduced_motion="reduce"
    )
    axe = Axe()
    found: list[str] = []

    async def examine(address: str) -> None:
        await tab.go(address)
        await tab.page.emulate_media(color_scheme=scheme)
        results = await axe.run(tab.page)
        other: Scheme = "light" if scheme == "dark" else "dark"
        await tab.page.emulate_media(color_scheme=other)
        colours = await axe.run(tab.page, options={"runOnly": ["color-contrast"]})
        for shown, response in ((scheme, results.response), (other, colours.response)):
            found.extend(
                f"{address} ({shown}): {each['id']}, {each['nodes'][0]['html']}" for each in response["violations"]
            )

    for address in FOR_ALL:
        await examine(address)
    await tab.sign_in(patient.email)
    for address in addresses:
        await examine(address)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_nothing_is_wider_than_the_screen(open_tab: OpenTab, addresses: list[str], patient: Person) -> None:
    tab = await open_tab(viewport=NARROW, locale="de-DE")
    await tab.sign_in(patient.email)
    wide = []
    for address in [*FOR_ALL, *addresses]:
        await tab.go(address)
        for screen in (NARROW, PHONE, TABLET, DESK):
            await tab.page.set_viewport_size(screen)
            if (await tab.page.evaluate("() => document.documentElement.scrollWidth")) > screen["width"]:
                wide.append((address, screen["width"]))
    assert not wide


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_what_a_finger_must_hit_is_large_enough(open_tab: OpenTab, addresses: list[str], patient: Person) -> None:
    tab = await open_tab(viewport=PHONE)
    await tab.sign_in(patient.email)
    small = []
    for address in [*FOR_ALL, *addresses]:
        await tab.go(address)
        small += [
            (address, *each)
            for each in await tab.page.locator(
                "button, .button, input:not([type=hidden], [type=checkbox]), select"
            ).evaluate_all(
                "found => found.map(each => [each.outerHTML.slice(0, 80), each.getBoundingClientRect().height])"
            )
            if each[1] < 44
        ]
    assert not small


async def test_pages_are_light_and_let_nothing_run(
    client: httpx2.AsyncClient, forms: Forms, addresses: list[str], patient: Person
) -> None:
    await forms.sign_in(patient)
    client.headers["Accept"] = "text/html"
    for address in [*FOR_ALL, *addresses]:
        page = await client.get(address)
        assert page.headers["content-security-policy"] == POLICY
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "same-origin"
        assert "<script" not in page.text
        assert " style=" not in page.text
        assert " on" not in re.sub(r">[^<]*<", "><", page.text).replace(" one", ""), address
        weight = len(page.content)
        for asset in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text):
            kept = await client.get(asset)
            assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
            weight += len(kept.content)
        assert weight < MOST_BYTES, (address, weight)


async def test_pages_ask_the_database_as_often_however_much_there_is(
    client: httpx2.AsyncClient, forms: Forms, clinic: Clinic, patient: Person, counted: Counted
) -> None:
    await forms.sign_in(patient)
    address = f"/with/{clinic.amara.id}?type={clinic.kind}&week=2026-12-08"

    async def look() -> list[int]:
        numbers = []
        for path in (address, "/my/appointments"):
            counted()
            assert (await client.get(path)).status_code == 200
            numbers.append(counted())
        return numbers

    await look()
    before = await look()
    for hour in (14, 15, 16):
        body = {
            "doctor_id": clinic.amara.id,
            "visit_type_id": clinic.kind,
            "start_time": f"2026-12-08T{hour}:00:00Z",
        }
        assert (await patient.post("/appointments", body)).status_code == 201
    assert await look() == before
    assert max(before) <= 9
