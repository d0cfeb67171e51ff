"""Language and time zone of the pages, stored in cookies of the browser, with or without an account."""

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
    """A language, and the path to continue at."""

    language: Literal["en", "de", "es"]
    next: str = "/"


class ZoneChoice(Body):
    """A time zone, and the path to continue at. Without a zone, times are shown in the zone of each doctor."""

    zone: TimeZone | None = None
    next: str = "/"


@router.get("/preferences")
async def show_preferences(page: PublicPage, next_: Annotated[str, Query(alias="next")] = "/") -> Response:
    """Show the time zones to choose from."""
    form = Form({"zone": page.zone.key if page.zone else "", "next": local_path(next_) or "/"})
    return page.render("account/preferences.html", form=form, places=_places(page, form))


@router.post("/preferences")
async def choose_zone(page: PublicPage, form: SentForm) -> Response:
    """Set the time zone in which times are shown."""
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
    """Set the language of the pages."""
    choice = form.read(LanguageChoice)
    response = page.redirect(local_path(choice.next) or "/")
    page.cookies.set(response, LANGUAGE, choice.language, KEPT_CHOICE)
    return response


def _places(page: Page, form: Form) -> list[tuple[str, list[Choice]]]:
    return list_time_zones(page.formatter, form.value("zone"), ("", page.gettext("Each doctor's own time zone")))
