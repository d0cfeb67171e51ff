from app.web.kit.forms import VERSION
from tests.people import Person
from tests.web.conftest import Forms
from tests.web.markup import read_hidden

PAGE = "/my/account/details"


async def test_details_are_saved_and_shown_again(forms: Forms, patient: Person) -> None:
    await forms.sign_in(patient)
    details = {"phone": "+44 (20) 7183-8750", "birth_date": "1990-05-17", "locale": "de"}
    saved = await forms.send(PAGE, on=PAGE, **details, time_zone="Europe/Berlin")
    assert saved.headers["Location"] == "/my/account"
    page = (await forms.client.get(PAGE)).text
    for value in ("+44 20 7183 8750", "1990-05-17"):
        assert f'value="{value}"' in page
    for value in ("de", "Europe/Berlin"):
        assert f'value="{value}" selected' in page
    await forms.send(PAGE, on=PAGE, phone="", birth_date="", locale="", time_zone="")
    record = (await patient.get("/patients/me")).json()
    assert {record[name] for name in ("phone", "birth_date", "locale", "time_zone")} == {None}


async def test_wrong_number_is_marked_and_kept(forms: Forms, patient: Person) -> None:
    await forms.sign_in(patient)
    answer = await forms.send(PAGE, on=PAGE, phone="12345", birth_date="2990-01-01")
    assert answer.status_code == 422
    assert "country code" in answer.text
    assert 'value="12345"' in answer.text


async def test_outdated_form_shows_what_is_saved(forms: Forms, patient: Person) -> None:
    await forms.sign_in(patient)
    version = read_hidden((await forms.client.get(PAGE)).text, VERSION)
    await patient.patch("/patients/me", json={"phone": "+442071838750"})
    answer = await forms.send(PAGE, on=PAGE, phone="+49 30 901820", **{VERSION: version})
    assert answer.status_code == 412
    assert "+44 20 7183 8750" in answer.text
