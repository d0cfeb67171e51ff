"""The languages of the search, and those of a doctor's profile."""

import re
from string import ascii_lowercase

import httpx2

from app.schemas.doctors import MAX_LANGUAGES
from app.web.kit.spoken_languages import _list_official
from tests.people import Person
from tests.web.conftest import Forms
from tests.web.markup import find_defects
from tests.web.table import MAX_BYTES, weigh


def test_official_languages_of_countries_are_offered_if_they_have_a_name() -> None:
    offered = _list_official()
    assert {"de", "sw", "zh"} <= offered
    assert offered.isdisjoint({"br", "cy"})  # not official in a whole country
    assert "sm" not in offered  # official in Samoa, but Babel has no data


async def test_search_lists_languages_in_the_language_of_the_reader(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"]])
    await doctor.update_profile(languages=["de", "en", "sq"])
    for reader, names in (("en", ["Albanian", "English", "German"]), ("de", ["Albanisch", "Deutsch", "Englisch"])):
        shown = (await client.get("/", headers={"Accept-Language": reader})).text
        [listed] = re.findall(r'<select id="language".*?</select>', shown, re.DOTALL)
        assert re.findall(r"<option[^>]*>([^<]+)<", listed)[1:] == names


async def test_profile_lists_languages_in_the_language_of_the_reader(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person
) -> None:
    await doctor.update_profile(languages=["de", "pt-BR", "en"])
    await forms.sign_in(doctor)
    for reader, names in (
        ("en", ["English", "German", "Portuguese (Brazil)"]),
        ("de", ["Deutsch", "Englisch", "Portugiesisch (Brasilien)"]),
    ):
        shown = await client.get("/practice/profile", headers={"Accept-Language": reader})
        assert not list(find_defects(shown)), reader
        assert await weigh(client, shown) <= MAX_BYTES, reader
        boxes = re.findall(r'type="checkbox" name="speaks_([^"]+)" value="yes"( checked)?>([^<]+)<', shown.text)
        assert [name for _, checked, name in boxes if checked] == names
        assert len(boxes) > 80
        assert "en, pt-BR" not in shown.text


async def test_languages_are_ticked_and_cleared(forms: Forms, client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.update_profile(languages=["de", "sq"])
    await forms.sign_in(doctor)
    page = "/practice/profile"
    shown = (await client.get(page)).text
    [listed] = re.findall(r'type="hidden" name="listed" value="([^"]*)"', shown)
    assert set(listed.split()) == {"de", "sq"}
    typed = {"name": "Dr Amara Okafor", "time_zone": "America/New_York", "default_visit_minutes": "30"}
    typed |= {"min_notice_minutes": "0", "cancel_cutoff_minutes": "0"}
    saved = await forms.send(page, **typed, listed=listed, speaks_de="yes", speaks_tr="yes")
    assert saved.status_code == 303
    assert set((await doctor.get("/doctors/me")).json()["languages"]) == {"de", "tr"}
    crowded = {f"speaks_{tag}": "yes" for tag in re.findall(r'name="speaks_([^"]+)"', (await client.get(page)).text)}
    refused = await forms.send(page, **typed, **crowded, listed="")
    assert refused.status_code == 422
    assert 'id="languages-error"' in refused.text


async def test_cleared_language_stays_cleared_when_the_form_is_shown_again(forms: Forms, doctor: Person) -> None:
    await doctor.update_profile(languages=["de", "gu"])
    await forms.sign_in(doctor)
    refused = await forms.send("/practice/profile", name=" ", listed="de gu", speaks_de="yes")
    assert refused.status_code == 422
    boxes = dict(re.findall(r'name="speaks_([^"]+)" value="yes"( checked)?>', refused.text))
    assert (boxes["de"], boxes["gu"]) == (" checked", "")


async def test_form_lists_no_more_languages_than_a_profile_can_have(forms: Forms, doctor: Person) -> None:
    await forms.sign_in(doctor)
    listed = " ".join(f"q{first}{second}" for first in ascii_lowercase for second in ascii_lowercase)
    refused = await forms.send("/practice/profile", name=" ", listed=listed)
    assert refused.status_code == 422
    shown = re.findall(r'name="speaks_(q[a-z]{2})"', refused.text)
    assert len(shown) == MAX_LANGUAGES
