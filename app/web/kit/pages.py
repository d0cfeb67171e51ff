"""A page: everything that each of them shows, and how it is answered."""

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
from app.core.permissions import Actor, Role
from app.core.security import derive_key, keyed_hash, new_token
from app.core.text import isolate
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
    # Without it a browser would not say where a form comes from.
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
    """What is shown in answer to one request: to whom, in which language, on which clock."""

    request: Request
    resources: Resources
    cookies: Cookies
    now: datetime
    viewer: Actor | None
    formatter: Formatter
    zone: ZoneInfo | None
    """The visitor's own, if it is known; else the doctor's is meant, whoever that is."""
    zones_in_play: Sequence[ZoneInfo] = ()
    """Those of all doctors; ``find_zones_in_play`` sets them where times are shown."""
    form_cookie: str = field(default_factory=new_token)

    def gettext(self, text: str, **values: object) -> str:
        """A text in the language of the page."""
        return self.formatter.gettext(text, **values)

    def clock_of(self, time_zone: str) -> ZoneInfo:
        """The zone in which times of this doctor are shown."""
        return self.zone or self.doctor_zone(time_zone)

    def render(self, template: str, status: HTTPStatus = HTTPStatus.OK, **content: Any) -> Response:
        """The page as HTML; shows, once, what was to be told on the next page."""
        message = None
        match self.cookies.unseal(FLASH, self.now, _FLASH_SECONDS):
            case [level, text, of] if of in {None, self._viewer_id}:
                message = level, text
        source = _ENVIRONMENTS[self.formatter.locale.language].get_template(template)
        html = source.render(page=self, formatter=self.formatter, message=message, **content)
        response = HTMLResponse(html, status, HEADERS)
        if self.cookies.get(FORMS) is None:
            self.cookies.set(response, FORMS, self.form_cookie, KEPT_CHOICE)
        if self.cookies.get(FLASH) is not None:
            self.cookies.drop(response, FLASH)
        return response

    def redirect(self, path: str, message: str | None = None, level: FlashLevel = "good") -> Response:
        """Leads to another page, after a form; ``told`` is shown there, once, and only to the same visitor."""
        response = RedirectResponse(path, HTTPStatus.SEE_OTHER, HEADERS)
        match self.cookies.unseal(DRAFT, self.now):
            case [_, _, action, *_] if self.request.method == "POST" and action == self.request.url.path:
                self.cookies.drop(response, DRAFT)  # the form was accepted
        if message:
            self.cookies.seal(response, FLASH, [level, message, self._viewer_id], self.now, _FLASH_SECONDS)
        return response

    def redirect_back(self, form: Mapping[str, str], default: str, message: str) -> Response:
        """Leads to where a form says that it was sent from (``parts.back``), else to ``default``."""
        return self.redirect(local_path(form.get("back")) or default, message)

    def doctor_zone(self, time_zone: str) -> ZoneInfo:
        """The doctor's own zone, or ``NAMED_UTC`` if it is not known here."""
        return find_zone(time_zone) or NAMED_UTC

    def clock_name(self, moment: datetime, time_zone: str, mode: VisitMode | None = None) -> str | None:
        """The place whose clock shows a time of this doctor, if that has to be said beside it."""
        in_doubt = is_clock_ambiguous(
            moment, self.doctor_zone(time_zone), chosen=self.zone, in_play=self.zones_in_play, mode=mode
        )
        return self.formatter.place(self.clock_of(time_zone)) if in_doubt else None

    @property
    def has_several_clocks(self) -> bool:
        """Whether doctors' clocks differ, and the visitor has chosen none."""
        zones = self.zones_in_play
        if self.zone or not zones:
            return False
        return is_clock_ambiguous(self.now, zones[0], chosen=None, in_play=zones, mode=None)

    def initials(self, name: str) -> str:
        """The first letters of the first and the last of somebody's names, without a title."""
        names = [part for part in name.split() if part not in _TITLES and part[0].isalpha()] or [name.strip()]
        return "".join(part[0].upper() for part in (names[0], *names[1:][-1:]))

    @property
    def path(self) -> str:
        """Where the page is, to come back to, with its query; for a form that was sent, the page that showed it.

        A form that is sent to an address with a page of its own is shown there again, unless it came from a page below
        that address. Where the browser does not say which page showed it, the nearest page above the address is meant.
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
        """Where whoever has signed in begins."""
        return HOME[self.viewer.role] if self.viewer else "/"

    @property
    def can_book(self) -> bool:
        """Whether times can be picked: by patients, and before signing in."""
        return self.viewer is None or self.viewer.role is Role.PATIENT

    @property
    def asks_to_confirm(self) -> bool:
        """Whether the visitor has to confirm the address of the account before they can go on."""
        asked = self.resources.settings.requires_confirmed_email and self.request.url.path != CONFIRM_EMAIL
        return asked and self.viewer is not None and not self.viewer.email_confirmed

    def confirm_email_path(self, next_: str) -> str:
        """Where the address is confirmed, and where that leads on to."""
        return f"{CONFIRM_EMAIL}?{urlencode({'next': next_})}" if next_ else CONFIRM_EMAIL

    @property
    def links(self) -> list[tuple[str, str, bool]]:
        """The navigation: an address, what stands there, and whether it is where we are."""
        here = self.request.url.path
        return [
            (address, self.gettext(name), here == address or (address != "/" and here.startswith(f"{address}/")))
            for address, name in NAVIGATION[self.viewer.role if self.viewer else None]
        ]

    @property
    def languages(self) -> Mapping[str, str]:
        """All there are."""
        return LANGUAGES

    @property
    def assets(self) -> Mapping[str, str]:
        """Where files are found."""
        return ASSETS

    def form_token(self) -> str:
        """What shows that a form is one of ours; another one each time, though all of a browser's are as good."""
        salt = new_token()
        return f"{salt}.{self._mark(salt)}"

    def owns_form_token(self, token: str) -> bool:
        """Whether a form was made for this browser."""
        salt, _, mark = token.partition(".")
        return self.cookies.get(FORMS) is not None and compare_digest(mark.encode(), self._mark(salt).encode())

    def new_key(self) -> str:
        """What tells a form that is sent twice from two that are alike (see ``Once``)."""
        return new_token()

    def _mark(self, salt: str) -> str:
        kept = self.cookies.get(FORMS) or self.form_cookie
        return keyed_hash(derive_key(self.resources.secret, "forms"), f"{salt}.{kept}")


@dataclass(kw_only=True)
class SignedInPage(Page):
    """A page for somebody whom we know."""

    actor: Actor

    @classmethod
    def of(cls, request: Request, actor: Actor) -> Self:
        """The page for the actor of this request."""
        return cls(actor=actor, **vars(make_page(request, actor)))


def make_page(request: Request, viewer: Actor | None) -> Page:
    """The page for whoever sends this request."""
    resources: Resources = request.app.state.resources
    cookies = Cookies(request, resources)
    now = resources.clock()
    zone_name = cookies.get(ZONE)
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
    """Where to sign in, and where that leads on to."""
    return f"/sign-in?{urlencode({'next': next_})}"


def local_path(wanted: str | None) -> str | None:
    """Where somebody wants to go on, if that is one of our pages; nobody may be led elsewhere by a link to us."""
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
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.filters["isolate"] = isolate
    environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined] # of the extension
    return environment


# At the start: a catalogue that cannot be read is noticed then, and not by the first who speaks its language.
_ENVIRONMENTS = {language: _make_environment(language) for language in LANGUAGES}
