"""Pages: what every page needs, and how it is rendered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hmac import compare_digest
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.core.dependencies import Resources
from app.core.permissions import Actor, Permission
from app.core.security import derive_key, keyed_hash, new_token
from app.core.text import capitalize_first, isolate
from app.core.time_zones import find_zone
from app.http.problems import methods_of
from app.scheduling.visits import VisitMode
from app.schemas.fields import TIME_ZONES
from app.web.kit.assets import ASSETS
from app.web.kit.cookies import Cookies
from app.web.kit.formatting import NAMED_UTC, Formatter, is_clock_ambiguous
from app.web.kit.languages import LANGUAGES, choose_locale, translations
from app.web.kit.navigation import HOME, NAVIGATION

TEMPLATES = Path(__file__).parents[1] / "templates"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    # Browsers then send the Referer to this site, which tells which page has shown a form (`Page.path`).
    # Under no-referrer, the Origin of a form would be null, and the form would be refused (ADR 0024).
    "Referrer-Policy": "same-origin",
    "Vary": "Accept-Language, Cookie",
}
LANGUAGE, ZONE, FLASH, FORMS, DRAFT = "language", "zone", "flash", "forms", "draft"
CONFIRM_EMAIL = "/confirm-email"
KEPT_CHOICE = timedelta(days=365)

_FLASH_SECONDS = timedelta(minutes=5)
_MAX_PATH_LENGTH = 1000
_TITLES = frozenset({"Dr", "Dr.", "Dra.", "Prof", "Prof.", "\u062f."})

type FlashLevel = Literal["good", "note", "bad"]


@dataclass(kw_only=True)
class Page:
    """The page that answers a request: its viewer, language and time zone."""

    request: Request
    resources: Resources
    cookies: Cookies
    now: datetime
    viewer: Actor | None
    formatter: Formatter
    zone: ZoneInfo | None
    """The zone that the visitor has chosen; ``None`` shows times in the zone of each doctor."""
    zones: Sequence[ZoneInfo] = ()
    """The zones of all doctors. ``load_zones`` sets them on pages with times."""
    form_cookie: str = field(default_factory=new_token)

    def gettext(self, text: str, **values: object) -> str:
        """Return a text in the language of the page."""
        return self.formatter.gettext(text, **values)

    def clock_of(self, time_zone: str) -> ZoneInfo:
        """Return the zone in which times of a doctor with this zone are shown."""
        return self.zone or self.doctor_zone(time_zone)

    def render(self, template: str, status: HTTPStatus = HTTPStatus.OK, **content: Any) -> Response:
        """Return the page as HTML. A message from the previous request is shown once."""
        message = None
        match self.cookies.unseal(FLASH, self.now, _FLASH_SECONDS):
            # On a shared computer a message may be about the previous user (ADR 0041).
            case [level, text, of] if of in {None, self._viewer_id}:
                message = level, text
        source = _ENVIRONMENTS[self.formatter.locale.language].get_template(template)
        html = source.render(page=self, formatter=self.formatter, message=message, **content)
        response = HTMLResponse(html, status, HEADERS)
        # Only if there is none: another value would invalidate the forms in other tabs.
        if self.cookies.get(FORMS) is None:
            self.cookies.set(response, FORMS, self.form_cookie, KEPT_CHOICE)
        if self.cookies.get(FLASH) is not None:
            self.cookies.drop(response, FLASH)
        return response

    def redirect(self, path: str, message: str | None = None, level: FlashLevel = "good") -> Response:
        """Redirect to another page (303). The message is shown there once, and only to the same visitor."""
        # After a 303 the browser sends a GET, so going back or reloading repeats nothing (ADR 0024).
        response = RedirectResponse(path, HTTPStatus.SEE_OTHER, HEADERS)
        match self.cookies.unseal(DRAFT, self.now):
            case [_, _, action, *_] if self.request.method == "POST" and action == self.request.url.path:
                self.cookies.drop(response, DRAFT)  # the form was accepted
        if message:
            self.cookies.seal(response, FLASH, [level, message, self._viewer_id], self.now, _FLASH_SECONDS)
        return response

    def redirect_back(self, form: Mapping[str, str], default: str, message: str) -> Response:
        """Redirect to the path in the form's ``back`` field (macro ``parts.back``), else to ``default``."""
        return self.redirect(local_path(form.get("back")) or default, message)

    def doctor_zone(self, time_zone: str) -> ZoneInfo:
        """Return the doctor's zone; ``NAMED_UTC`` if this installation does not know it."""
        return find_zone(time_zone) or NAMED_UTC

    def clock_name(self, moment: datetime, time_zone: str, mode: VisitMode | None = None) -> str | None:
        """Return the place of the zone in which a doctor's time is shown, if it has to be named beside the time."""
        in_doubt = is_clock_ambiguous(
            moment, self.doctor_zone(time_zone), chosen=self.zone, zones=self.zones, mode=mode
        )
        return self.formatter.place(self.clock_of(time_zone)) if in_doubt else None

    @property
    def has_several_clocks(self) -> bool:
        """Whether doctors have different local times, and the visitor has chosen no zone."""
        zones = self.zones
        if self.zone or not zones:
            return False
        return is_clock_ambiguous(self.now, zones[0], chosen=None, zones=zones, mode=None)

    def name_patient(self, name: str) -> str:
        """For Mia Lee: whom a visit is for, if not for the viewer."""
        return self.gettext("For %(name)s", name=isolate(name))

    def initials(self, name: str) -> str:
        """Return the initials of the first and the last name, without a title."""
        names = [part for part in name.split() if part not in _TITLES and part[0].isalpha()] or [name.strip()]
        return "".join(part[0].upper() for part in (names[0], *names[1:][-1:]))

    @property
    def path(self) -> str:
        """The path of the page to return to, with its query; for a submitted form, the page that showed it.

        A form that is sent to an address with a page of its own is shown there again, unless it came from a page below
        that address. If the browser does not say which page showed the form, it is the nearest page above the address.
        """
        url = self.request.url
        own = _with_query(url.path, url.query)
        if self.request.method == "GET":
            return own
        has_page = self._has_page(url.path)
        before = urlsplit(self.request.headers.get("Referer", ""))
        if before.netloc == url.netloc and (not has_page or f"{before.path}/".startswith(f"{url.path}/")):
            path = local_path(_with_query(before.path, before.query))
            if path and self._has_page(before.path):
                return path
        above = url.path
        while above and not self._has_page(above):
            above = above.rpartition("/")[0]
        return local_path(_with_query(above, url.query)) or "/"

    def _has_page(self, path: str) -> bool:
        return "GET" in methods_of(Request({**self.request.scope, "path": path}))

    @property
    def _viewer_id(self) -> str | None:
        return str(self.viewer.id) if self.viewer else None

    @property
    def home(self) -> str:
        """The home page of the viewer's role; the search for visitors who are not signed in."""
        return HOME[self.viewer.role] if self.viewer else "/"

    @property
    def can_book(self) -> bool:
        """Whether the viewer can pick times: patients, and visitors who are not signed in."""
        return self.viewer is None or self.viewer.may(Permission.BOOK_ONLINE)

    @property
    def asks_to_confirm(self) -> bool:
        """Whether the page asks the viewer to confirm the email address of the account."""
        asked = self.resources.settings.requires_confirmed_email and self.request.url.path != CONFIRM_EMAIL
        return asked and self.viewer is not None and not self.viewer.email_confirmed

    def confirm_email_path(self, next_: str) -> str:
        """Return the path of the page that confirms the email address and then continues at ``next_``."""
        return f"{CONFIRM_EMAIL}?{urlencode({'next': next_})}" if next_ else CONFIRM_EMAIL

    @property
    def links(self) -> list[tuple[str, str, bool]]:
        """The navigation: the path and the text of each link, and whether it is the current section."""
        here = self.request.url.path
        return [
            (address, self.gettext(name), here == address or (address != "/" and here.startswith(f"{address}/")))
            for address, name in NAVIGATION[self.viewer.role if self.viewer else None]
        ]

    @property
    def languages(self) -> Mapping[str, str]:
        """The languages to choose from, by code."""
        return LANGUAGES

    @property
    def assets(self) -> Mapping[str, str]:
        """The paths of static files, by name."""
        return ASSETS

    def form_token(self) -> str:
        """Return a token for the forms of this browser (CSRF). Each call returns a different one, and all are valid."""
        salt = new_token()
        return f"{salt}.{self._mark(salt)}"

    def owns_form_token(self, token: str) -> bool:
        """Return whether a token was made for this browser."""
        salt, _, mark = token.partition(".")
        return self.cookies.get(FORMS) is not None and compare_digest(mark.encode(), self._mark(salt).encode())

    def new_key(self) -> str:
        """Return a key that tells a form that is sent twice from two equal forms (see ``Once``)."""
        return new_token()

    def _mark(self, salt: str) -> str:
        # With the first page the browser has no cookie yet; `render` sets the one that was used here.
        browser_token = self.cookies.get(FORMS) or self.form_cookie
        return keyed_hash(derive_key(self.resources.secret, "forms"), f"{salt}.{browser_token}")


@dataclass(kw_only=True)
class SignedInPage(Page):
    """A page for a user who is signed in."""

    actor: Actor

    @classmethod
    def of(cls, request: Request, actor: Actor) -> Self:
        """Return the page for the actor of this request."""
        return cls(actor=actor, **vars(make_page(request, actor)))


def make_page(request: Request, viewer: Actor | None) -> Page:
    """Return the page for a request."""
    resources: Resources = request.app.state.resources
    cookies = Cookies(request, resources)
    now = resources.clock()
    zone_name = cookies.get(ZONE)
    # The cookie is not sealed, so its value can be anything.
    zone = ZoneInfo(zone_name) if zone_name in TIME_ZONES else None
    locale = choose_locale(cookies.get(LANGUAGE), request.headers.get("Accept-Language", ""))
    return Page(
        request=request,
        resources=resources,
        cookies=cookies,
        now=now,
        viewer=viewer,
        formatter=Formatter(locale, (now.astimezone(zone) if zone else now).date()),
        zone=zone,
    )


def _with_query(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def sign_in_path(next_: str) -> str:
    """Return the path of the sign-in page that then continues at ``next_``."""
    return f"/sign-in?{urlencode({'next': next_})}"


def local_path(wanted: str | None) -> str | None:
    """Return the path if it is on this site, else ``None``. This prevents open redirects."""
    # Browsers read a backslash as a slash, and drop tabs and line breaks: both can turn a path into another host.
    if not wanted or len(wanted) > _MAX_PATH_LENGTH or not wanted.isprintable() or "\\" in wanted:
        return None
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return None
    is_local = wanted.startswith("/") and not wanted.startswith("//") and not parts.scheme and not parts.netloc
    return wanted if is_local else None


def _make_environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        # A misspelled name is an error, instead of an empty place on a page.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.filters["capitalize_first"] = capitalize_first
    environment.filters["isolate"] = isolate
    environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined] # of the extension
    return environment


# Created at import, so that an unreadable catalogue is noticed at start-up and not by the first reader of its language.
_ENVIRONMENTS = {language: _make_environment(language) for language in LANGUAGES}
