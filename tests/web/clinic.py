"""A small clinic with doctors and their hours."""

from dataclasses import dataclass
from typing import Any

from tests.conftest import Register
from tests.people import Person

LONG_NAME = "Dr Maximiliana-Theodora von Hohenstaufen-Wittelsbach y Mendoza"
ARABIC_NAME = "\u062f. \u0644\u064a\u0644\u0649 \u0627\u0644\u0647\u0627\u0634\u0645\u064a"


@dataclass
class Clinic:
    """Doctors, and a visit type of the first one."""

    amara: Person
    visit_type: str
    lena: Person
    noura: Person


async def open_clinic(register: Register) -> Clinic:
    amara = await register("doctor", name="Dr Amara Okafor", specialty="Dermatology", time_zone="America/New_York")
    visit_type = await _offer(amara, name="Check-up", duration_minutes=30)
    await _offer(amara, name="Results by video", duration_minutes=20, mode="video")
    await amara.patch(
        "/doctors/me", {"languages": ["en", "ig"], "bio": "Skin, hair, nails.", "cancel_cutoff_minutes": 1440}
    )
    await _see_patients(amara)
    lena = await register("doctor", name=LONG_NAME, specialty="General practice", time_zone="Europe/Berlin")
    await _see_patients(lena)
    noura = await register("doctor", name=ARABIC_NAME, specialty="Pediatrics", time_zone="Africa/Cairo")
    await _offer(noura, name="Vaccination", duration_minutes=15)
    await _see_patients(noura)
    return Clinic(amara, visit_type, lena, noura)


async def _offer(doctor: Person, **fields: Any) -> str:
    answer = await doctor.post("/doctors/me/visit-types", fields)
    assert answer.status_code == 201, answer.text
    offered: str = answer.json()["id"]
    return offered


async def _see_patients(doctor: Person) -> None:
    days = {day: [["09:00", "12:00"], ["13:00", "18:00"]] for day in ("monday", "tuesday", "thursday", "friday")}
    answer = await doctor.put("/doctors/me/hours", days)
    assert answer.status_code == 200, answer.text
