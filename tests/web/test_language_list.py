"""The languages to search by."""

import re

import httpx2
import pytest

from tests.people import Person


@pytest.mark.parametrize(
    ("reader", "names"),
    [("en", ["Any", "Albanian", "English", "German"]), ("de", ["Beliebig", "Albanisch", "Deutsch", "Englisch"])],
)
async def test_languages_are_listed_by_their_names_in_the_language_of_the_reader(
    client: httpx2.AsyncClient, doctor: Person, reader: str, names: list[str]
) -> None:
    await doctor.plan(monday=[["09:00", "12:00"]])
    await doctor.change(languages=["de", "en", "sq"])
    shown = (await client.get("/", headers={"Accept-Language": reader})).text
    [listed] = re.findall(r'<select id="language".*?</select>', shown, re.DOTALL)
    assert re.findall(r"<option[^>]*>([^<]+)<", listed)[1:] == names[1:]
