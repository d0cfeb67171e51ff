"""A small clinic with doctors and their hours."""

from dataclasses import dataclass

from tests.conftest import Register
from tests.people import Person

LONG_NAME = "Dr Maximiliana-Theodora von Hohenstaufen-Wittelsbach y Mendoza"
ARABIC_NAME = "\u062f. \u0644\u064a\u0644\u0649 \u0627\u0644\u0647\u0627\u0634\u0645\u064a"
HOURS = {day: [["09:00", "12:00"], ["13:00", "18:00"]] for day in ("monday", "tuesday", "thursday", "friday")}


@dataclass
class Clinic:
    """A doctor with a visit type, among other doctors."""

    doctor: Person
    visit_type: str


async def open_clinic(register: Register) -> Clinic:
    doctor = await register("doctor", name="Dr Amara Okafor", specialty="Dermatology", time_zone="America/New_York")
    visit_type = await doctor.add_visit_type(name="Check-up", duration_minutes=30)
    await doctor.add_visit_type(name="Results by video", duration_minutes=20, mode="video")
    await doctor.update_profile(languages=["en", "ig"], bio="Skin, hair, nails.", cancel_cutoff_minutes=1440)
    german = await register("doctor", name=LONG_NAME, specialty="General practice", time_zone="Europe/Berlin")
    egyptian = await register("doctor", name=ARABIC_NAME, specialty="Pediatrics", time_zone="Africa/Cairo")
    await egyptian.add_visit_type(name="Vaccination", duration_minutes=15)
    for each in (doctor, german, egyptian):
        await each.set_hours(**HOURS)
    return Clinic(doctor, visit_type["id"])


async def register_in_three_zones(register: Register) -> dict[str, Person]:
    """Doctors in New York, Berlin and Sydney, each open from 09:00 to 12:00 and from 17:00 to 19:00 local time."""
    doctors = {}
    for name, zone in (("York", "America/New_York"), ("Berg", "Europe/Berlin"), ("Sid", "Australia/Sydney")):
        doctor = await register("doctor", name=f"Dr {name}", specialty="Cardiology", time_zone=zone)
        days = ("monday", "tuesday", "wednesday", "thursday", "friday")
        await doctor.set_hours(**{day: [["09:00", "12:00"], ["17:00", "19:00"]] for day in days})
        doctors[name] = doctor
    return doctors
