"""In which language, and on which clock: for whoever sits at this browser, with an account or without."""

from typing import Annotated, Literal

from fastapi import Query, Response

from app.core.errors import DomainError
from app.schemas.fields import Body, TimeZone
from app.web.kit.auth import PublicPage
from app.web.kit.forms import Form, SentForm, refuse
from app.web.kit.pages import KEPT_CHOICE, LANGUAGE, ZONE, Page, local_path
from app.web.kit.routes import page_router
from app.web.kit.time_zone_names import Choice, list_time_zones

router = page_router()


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
    form = Form({"zone": page.zone.key if page.zone else "", "next": local_path(next_) or "/"})
    return page.render("account/preferences.html", form=form, places=_places(page, form))


@router.post("/preferences")
async def choose_zone(page: PublicPage, form: SentForm) -> Response:
    """Times are shown on this clock from now on."""
    try:
        choice = form.read(ZoneChoice)
    except DomainError as error:
        raise refuse(page, "account/preferences.html", form, error, places=_places(page, form)) from error
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


def _places(page: Page, form: Form) -> list[tuple[str, list[Choice]]]:
    return list_time_zones(page.formatter, form.value("zone"), ("", page.gettext("Each doctor's own time zone")))
