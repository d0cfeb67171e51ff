"""What the search page offers to choose from."""

from app.db.database import Database
from app.repositories import doctors
from tests.conftest import Register
from tests.people import Person


async def read(database: Database) -> tuple[list[str], list[str]]:
    async with database.read() as transaction:
        return list(await doctors.list_specialties(transaction)), list(await doctors.list_languages(transaction))


async def test_there_is_nothing_to_choose_until_a_doctor_says_something(database: Database, register: Register) -> None:
    assert await read(database) == ([], [])
    await register("doctor")
    assert await read(database) == ([], [])


async def test_each_is_named_once_in_order(database: Database, register: Register) -> None:
    for number, (specialty, languages) in enumerate(
        [("Neurology", ["fr", "de"]), ("Cardiology", ["pt-BR"]), ("NEUROLOGY", ["DE"]), ("Ärztin", [])]
    ):
        doctor = await register("doctor", name=f"Dr {number}")
        await doctor.update_profile(specialty=specialty, languages=languages)
    assert await read(database) == (["Ärztin", "Cardiology", "Neurology"], ["de", "fr", "pt", "pt-br"])


async def test_only_those_whom_patients_see_count(database: Database, register: Register, admin: Person) -> None:
    for specialty, language in (("Cardiology", "de"), ("Neurology", "fr"), ("Pediatrics", "it")):
        doctor = await register("doctor")
        await doctor.update_profile(specialty=specialty, languages=[language])
        if specialty != "Neurology":
            answer = await admin.post(f"/admin/users/{doctor.id}/suspend", {"reason": "Away for a year"})
            assert answer.status_code == 200
    # Behind one whom nobody sees the walk goes on.
    assert await read(database) == (["Neurology"], ["fr"])
