"""In which language, and on which clock: for whoever sits at this browser, with an account or without."""

from typing import Annotated, Literal, NamedTuple

from fastapi import Query, Response

from app.core.errors import DomainError
from app.schemas.fields import TIME_ZONES, Body, TimeZone
from app.web.forms import Form, SentForm, refuse
from app.web.pages import KEPT_CHOICE, LANGUAGE, ZONE, local_path
from app.web.routes import page_router
from app.web.visitors import PublicPage

router = page_router()

_REGIONS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


class Place(NamedTuple):
    """A zone that is named after a place, which is how people find theirs."""

    region: str
    city: str
    name: str


PLACES = sorted(
    Place(region, city.replace("_", " "), name)
    for name in TIME_ZONES
    for region, _, city in [name.partition("/")]
    if region in _REGIONS
)


class LanguageChoice(Body):
    """A language, and where to go on."""

    language: Literal["en", "de", "es"]
    next: str = "/"


class ZoneChoice(Body):
    """A zone (none is the doctor's, whoever that is), and where to go on."""

    zone: TimeZone | None = None
    next: str = "/"


@router.get("/preferences")
async def show_preferences(page: PublicPage, next_: Annotated[str, Query(alias="next")] = "/") -> Response:
    """The zones to choose from."""
    values = {"zone": page.zone.key if page.zone else "", "next": local_path(next_) or "/"}
    return page.render("preferences.html", form=Form(values), places=PLACES)


@router.post("/preferences")
async def choose_zone(page: PublicPage, form: SentForm) -> Response:
    """Times are shown on this clock from now on."""
    try:
        choice = form.read(ZoneChoice)
    except DomainError as error:
        raise refuse(page, "preferences.html", form, error, places=PLACES) from error
    response = page.redirect(local_path(choice.next) or "/")
    if choice.zone:
        page.cookies.set(response, ZONE, choice.zone, KEPT_CHOICE)
    else:
        page.cookies.drop(response, ZONE)
    return response


@router.post("/language")
async def choose_language(page: PublicPage, form: SentForm) -> Response:
    """Pages are in this language from now on."""
    choice = form.read(LanguageChoice)
    response = page.redirect(local_path(choice.next) or "/")
    page.cookies.set(response, LANGUAGE, choice.language, KEPT_CHOICE)
    return response
