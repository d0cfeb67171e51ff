"""The specialties and languages that the search page lists."""

from app.db.database import Database
from app.repositories import doctors
from tests.conftest import Register
from tests.people import Person


async def read_choices(database: Database) -> tuple[list[str], list[str]]:
    async with database.read() as transaction:
        return list(await doctors.list_specialties(transaction)), list(await doctors.list_languages(transaction))


async def test_choices_are_empty_until_a_doctor_names_a_specialty_or_a_language(
    database: Database, register: Register
) -> None:
    assert await read_choices(database) == ([], [])
    await register("doctor")
    assert await read_choices(database) == ([], [])


async def test_choices_are_distinct_and_sorted(database: Database, register: Register) -> None:
    for number, (specialty, languages) in enumerate(
        [("Neurology", ["fr", "de"]), ("Cardiology", ["pt-BR"]), ("NEUROLOGY", ["DE"]), ("Ärztin", [])]
    ):
        doctor = await register("doctor", name=f"Dr {number}")
        await doctor.update_profile(specialty=specialty, languages=languages)
    assert await read_choices(database) == (["Ärztin", "Cardiology", "Neurology"], ["de", "fr", "pt", "pt-br"])


async def test_choices_of_suspended_doctors_are_left_out(database: Database, register: Register, admin: Person) -> None:
    for specialty, language in (("Cardiology", "de"), ("Neurology", "fr"), ("Pediatrics", "it")):
        doctor = await register("doctor")
        await doctor.update_profile(specialty=specialty, languages=[language])
        if specialty != "Neurology":
            response = await admin.post(f"/admin/users/{doctor.id}/suspend", {"reason": "Away for a year"})
            assert response.status_code == 200
    # The choice after that of a suspended doctor is found.
    assert await read_choices(database) == (["Neurology"], ["fr"])
