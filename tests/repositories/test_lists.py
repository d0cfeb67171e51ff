"""What the search page offers to choose from."""

from app.db.session import Sessions
from app.repositories import doctors
from tests.conftest import Join
from tests.people import Person


async def read(sessions: Sessions) -> tuple[list[str], list[str]]:
    async with sessions.read() as session:
        return list(await doctors.list_specialties(session)), list(await doctors.list_languages(session))


async def test_there_is_nothing_to_choose_until_a_doctor_says_something(sessions: Sessions, join: Join) -> None:
    assert await read(sessions) == ([], [])
    await join("doctor")
    assert await read(sessions) == ([], [])


async def test_each_is_named_once_in_order(sessions: Sessions, join: Join) -> None:
    for number, (specialty, languages) in enumerate(
        [("Neurology", ["fr", "de"]), ("Cardiology", ["pt-BR"]), ("NEUROLOGY", ["DE"]), ("Ärztin", [])]
    ):
        doctor = await join("doctor", name=f"Dr {number}")
        await doctor.change(specialty=specialty, languages=languages)
    assert await read(sessions) == (["Ärztin", "Cardiology", "Neurology"], ["de", "fr", "pt", "pt-br"])


async def test_only_those_whom_patients_see_count(sessions: Sessions, join: Join, admin: Person) -> None:
    for specialty, language in (("Cardiology", "de"), ("Neurology", "fr"), ("Pediatrics", "it")):
        doctor = await join("doctor")
        await doctor.change(specialty=specialty, languages=[language])
        if specialty != "Neurology":
            answer = await admin.post(f"/admin/users/{doctor.id}/suspend", {"reason": "Away for a year"})
            assert answer.status_code == 200
    # Behind one whom nobody sees the walk goes on.
    assert await read(sessions) == (["Neurology"], ["fr"])
