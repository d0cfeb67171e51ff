"""What a route may ask for in its signature: a session, the time, and who calls.

The one module of ``core`` that may import anything, and that only edges may import.
"""

from asyncio import Task
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from typing import Annotated

from asgi_correlation_id import correlation_id
from fastapi import Depends, Request, Response
from fastapi.security import OAuth2PasswordBearer
from fastapi.security.base import SecurityBase

from app.adapters.mail import Mailer
from app.core.addresses import UNKNOWN, read_address
from app.core.clients import Client
from app.core.clock import Clock
from app.core.computing import Computation
from app.core.errors import DomainError
from app.core.fair_locks import ClientFairLock, ClientSemaphores, current_client
from app.core.permissions import Actor, Role
from app.core.rate_limits import RateLimiter
from app.core.security import CLOCK_SKEW, Passwords, is_device, read_access_token
from app.core.settings import Settings
from app.db.database import Database, Transaction
from app.repositories import sessions
from app.services.administration import begin_decision
from app.services.patient_limits import PatientLimits


@dataclass(slots=True)
class Readiness:
    """The latest look at the database, and until when its result is good."""

    look: Task[bool] | None = None
    good_until: float = -inf


SEARCHES_AT_ONCE = 4
"""Searches of one client that compute at the same time: each may keep thousands of rows."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What one running application owns; made at its start, on ``app.state.resources``."""

    settings: Settings
    database: Database
    passwords: Passwords
    clock: Clock
    mailer: Mailer
    limits: RateLimiter
    readiness: Readiness = field(default_factory=Readiness)
    processor: ClientFairLock = field(default_factory=ClientFairLock)
    """The turns of long computations."""
    searching: ClientSemaphores = field(default_factory=lambda: ClientSemaphores(SEARCHES_AT_ONCE))
    """For the searches of each client."""

    @property
    def patient_limits(self) -> PatientLimits:
        """How much a patient may book and cancel online."""
        settings = self.settings
        return PatientLimits(
            settings.max_upcoming_visits_per_doctor, settings.max_upcoming_visits, settings.max_cancellations_per_day
        )

    @property
    def secret(self) -> str:
        """The key that signs access tokens."""
        return self.settings.secret_key.get_secret_value()

    @property
    def token_lifetime(self) -> timedelta:
        """How long an access token is valid."""
        return timedelta(minutes=self.settings.access_token_minutes)


# FastAPI solves the dependencies of a dependency again wherever it is named, even if its value is cached. So these
# depend on little but the request. The route puts the transaction into ``request.state.transaction``; whatever finds
# the caller puts them into ``request.state.actor``, and the time into ``request.state.now``.


async def get_resources(request: Request) -> Resources:
    """The resources of the application that serves this request."""
    return _resources(request)


def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


AppResources = Annotated[Resources, Depends(get_resources)]


async def get_now(request: Request) -> datetime:
    """The time of this request: read once, the same for all that it does."""
    if not hasattr(request.state, "now"):
        request.state.now = _resources(request).clock()
    now: datetime = request.state.now
    return now


Now = Annotated[datetime, Depends(get_now)]


async def run_in_transaction(
    request: Request,
    answer: Callable[[Transaction], Awaitable[Response]],
    keep: Callable[[Transaction, Response], Awaitable[None]],
) -> Response:
    """Answers a request, and has ``keep`` write what is to be committed with the answer.

    Both in one transaction, except for a GET: it cannot change anything. If it is recorded, ``keep`` has a transaction
    of its own afterwards. ``answer`` may run again: see ``Database.write_in_turn``.
    """
    database = _resources(request).database
    if request.method == "GET":
        async with database.read() as transaction:
            response = await answer(transaction)
        if request.state.recorded:
            async with database.write() as transaction:
                await keep(transaction, response)
        return response

    async def answer_and_keep(transaction: Transaction) -> Response:
        response = await answer(transaction)
        await keep(transaction, response)
        return response

    return await database.write_in_turn(answer_and_keep)


async def get_transaction(request: Request) -> Transaction:
    """The transaction of this request, which its route has opened and will end."""
    transaction: Transaction = request.state.transaction
    return transaction


DbTransaction = Annotated[Transaction, Depends(get_transaction)]


async def get_passwords(request: Request) -> Passwords:
    """For routes that hash passwords. They get the lower rate limit, and must hold no connection while they hash."""
    return _resources(request).passwords


Hashing = Annotated[Passwords, Depends(get_passwords)]


async def take_credentials() -> None:
    """Marks a route that takes a secret, or sends a code or an invitation, without hashing: the lower limit applies."""


TAKES_CREDENTIALS = Depends(take_credentials)
CREDENTIAL_MARKERS = frozenset({get_passwords, take_credentials})

FRESH = timedelta(minutes=10)
"""How long after a log-in its session may do what a passer-by at an unlocked screen must not."""
_STAFF = (Role.DOCTOR, Role.ADMIN)
_SAFE_METHODS = frozenset({"GET", "HEAD"})

_bearer = OAuth2PasswordBearer(
    tokenUrl="auth/login", auto_error=False, description="An access token of `POST /auth/login`."
)


async def public() -> None:
    """Lets everybody in; a route says so in its signature."""


class _ByToken(SecurityBase):
    """Knows a caller by her access token, and is described as what asks for one.

    Were the token a dependency of its own, there would be one more to go through with every request.
    """

    model, scheme_name = _bearer.model, _bearer.scheme_name

    def __init__(self, find: Callable[[Request, str | None], Awaitable[Actor | None]]) -> None:
        self._find = find

    async def __call__(self, request: Request) -> Actor | None:
        return await self._find(request, await _bearer(request))


@_ByToken
async def find_viewer(request: Request, token: str | None) -> Actor | None:
    """The caller, or nobody if no token was sent; a token that is not valid is an error."""
    return await _find_caller(request, request.state.transaction, token)


@_ByToken
async def find_brief_viewer(request: Request, token: str | None) -> Actor | None:
    """The same, in a transaction that is over before the route begins, for one that has transactions of its own."""
    async with _resources(request).database.read() as transaction:
        return await _find_caller(request, transaction, token)


async def _find_caller(request: Request, transaction: Transaction, token: str | None) -> Actor | None:
    request.state.actor = None
    if token is None:
        return None
    resources = _resources(request)
    now = await get_now(request)
    claims = read_access_token(token, key=resources.secret, now=now, lifetime=resources.token_lifetime)
    actor = await sessions.find_actor(transaction, claims)
    if actor is None:
        raise DomainError("not_authenticated")
    await attach_actor(request, resources, actor)
    return actor


async def attach_actor(request: Request, resources: Resources, actor: Actor) -> None:
    """Counts a request for its caller, and notes who she is."""
    # Not before she is known: whose session has ended must not use up what the owner has.
    # And once, even if the request is answered in a second try.
    if not any(quota.name == "account" for quota in request.state.quotas):
        await resources.limits.count_account(actor.id, request.state.quotas)
    request.state.actor = actor


def require(
    *roles: Role,
    setting_up: bool = False,
    booking: bool = False,
    find: Callable[..., Awaitable[Actor | None]] = find_viewer,
) -> Callable[..., Awaitable[Actor]]:
    """A dependency on a caller with one of these roles, however she is found.

    ``setting_up`` admits her without the second factor that her role may ask for. ``booking`` asks for a confirmed
    address where the settings do.
    """

    async def authenticate(caller: Annotated[Actor | None, Depends(find)], request: Request) -> Actor:
        if caller is None:
            raise DomainError("not_authenticated")
        if caller.role not in roles:
            raise DomainError("wrong_role")
        if not setting_up and _lacks_second_factor(caller, _resources(request).settings):
            raise DomainError("set_up_second_factor")
        if booking:
            check_email_confirmed(caller, _resources(request).settings)
        return caller

    return authenticate


def check_email_confirmed(caller: Actor, settings: Settings) -> None:
    """Raises ``email_not_confirmed`` where the settings ask for a confirmed address and the caller's is not."""
    if settings.requires_confirmed_email and not caller.email_confirmed:
        raise DomainError("email_not_confirmed")


def _lacks_second_factor(caller: Actor, settings: Settings) -> bool:
    required = {"nobody": (), "staff": _STAFF, "everybody": tuple(Role)}[settings.require_second_factor]
    return caller.role in required and not (caller.login and caller.login.second_factor)


# Every route names one of these; a test fails the one that does not.
Public = Annotated[None, Depends(public)]
Viewer = Annotated[Actor | None, Depends(find_viewer)]
"""Everybody; who has logged in may see a little more."""
PatientActor = Annotated[Actor, Depends(require(Role.PATIENT))]
BookingActor = Annotated[Actor, Depends(require(Role.PATIENT, booking=True))]
"""A ``PatientActor`` whose e-mail address is confirmed, where the settings ask for that."""
DoctorActor = Annotated[Actor, Depends(require(Role.DOCTOR))]
AdminActor = Annotated[Actor, Depends(require(Role.ADMIN))]
AnyActor = Annotated[Actor, Depends(require(*Role))]
AccountActor = Annotated[Actor, Depends(require(*Role, setting_up=True))]
"""Anybody who looks after her own account, even if the second factor that her role asks for is not set up yet."""
BriefActor = Annotated[Actor, Depends(require(*Role, setting_up=True, find=find_brief_viewer))]
"""An ``AccountActor`` whose route holds no transaction while it works."""


def require_fresh(
    *roles: Role, setting_up: bool = False, find: Callable[..., Awaitable[Actor | None]] = find_viewer
) -> Callable[..., Awaitable[Actor]]:
    """A dependency on a caller with one of these roles who has logged in within the last ten minutes."""

    async def authenticate_anew(
        caller: Annotated[Actor, Depends(require(*roles, setting_up=setting_up, find=find))], now: Now
    ) -> Actor:
        check_fresh(caller, now)
        return caller

    return authenticate_anew


def check_fresh(caller: Actor, now: datetime) -> None:
    """Raises ``log_in_again`` for somebody who has logged in too long ago."""
    # A log-in that seems to be in the future was noted by a clock that was ahead.
    if not timedelta(seconds=-CLOCK_SKEW) <= now - caller.get_login().at <= FRESH:
        raise DomainError("log_in_again")


def require_deciding(
    find: Callable[..., Awaitable[Actor | None]] = find_viewer,
) -> Callable[..., Awaitable[Actor]]:
    """A dependency on an administrator with a log-in within the last ten minutes, for routes that decide something.

    Only a request that changes something takes the lock of ``begin_decision``.
    """

    async def authenticate_to_decide(
        caller: Annotated[Actor, Depends(require_fresh(Role.ADMIN, find=find))], request: Request
    ) -> Actor:
        if request.method not in _SAFE_METHODS:
            await begin_decision(request.state.transaction, caller)
        return caller

    return authenticate_to_decide


FreshActor = Annotated[Actor, Depends(require_fresh(*Role))]
"""An ``AnyActor`` who has logged in within the last ten minutes."""
FreshAccountActor = Annotated[Actor, Depends(require_fresh(*Role, setting_up=True))]
"""An ``AccountActor`` who has."""
FreshAdminActor = Annotated[Actor, Depends(require_deciding())]
"""An ``AdminActor`` with a recent log-in, for routes that decide something."""


DEVICE = "device"
"""The cookie of a browser that has logged in before; see ``app/http/devices.py``."""


def cookie_name(settings: Settings, name: str) -> str:
    """What a cookie is called: in production so that a browser takes it over TLS and from this host alone."""
    return f"__Host-{name}" if settings.environment == "production" else name


async def get_client(request: Request) -> Client:
    """Where the request comes from."""
    resources = _resources(request)
    device = request.cookies.get(cookie_name(resources.settings, DEVICE), "")
    address = read_address(_host(request))
    user_agent = request.headers.get("User-Agent", "")
    return Client(
        str(address or UNKNOWN),
        "".join(character for character in user_agent if character.isprintable()),
        correlation_id.get(),
        device if device and is_device(resources.secret, device) else None,
    )


RequestClient = Annotated[Client, Depends(get_client)]


async def get_search_time(request: Request) -> AsyncIterator[Computation]:
    """The processor time that this request may spend on searching."""
    resources = _resources(request)
    client = current_client.get()
    computation = Computation(
        resources.processor,
        client,
        resources.settings.max_search_seconds,
        permits=resources.searching.get(client),
        writers=resources.database.writers,
    )
    try:
        yield computation
    finally:
        computation.close()


SearchTime = Annotated[Computation, Depends(get_search_time, scope="function")]


def _host(request: Request) -> str | None:
    return request.client.host if request.client else None
