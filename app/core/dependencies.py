"""FastAPI dependencies: the transaction, the time of the request and the caller.

Unlike the rest of ``core``, this module may import services and repositories. Only routers, pages and the HTTP toolkit
may import it.
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

from app.adapters.mail import Mailer
from app.core.addresses import UNKNOWN, read_address
from app.core.clients import Client
from app.core.clock import Clock
from app.core.computing import Computation
from app.core.errors import DomainError
from app.core.fair_locks import ClientFairLock, ClientSemaphores, current_client
from app.core.permissions import Actor, Permission, Role
from app.core.rate_limits import RateLimiter
from app.core.security import CLOCK_SKEW, Passwords, is_device, read_access_token
from app.core.settings import Settings
from app.db.database import Database, Transaction
from app.repositories import sessions
from app.services.administration import begin_decision
from app.services.patient_limits import PatientLimits


@dataclass(slots=True)
class Readiness:
    """The latest check of the database, and the time of the event loop until which its result is valid."""

    check: Task[bool] | None = None
    valid_until: float = -inf


MAX_SEARCHES_PER_CLIENT = 4
"""Maximum number of searches that one client computes at a time. Each may hold thousands of rows in memory."""


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of a running application. Created at start-up and stored as ``app.state.resources``."""

    settings: Settings
    database: Database
    passwords: Passwords
    clock: Clock
    mailer: Mailer
    limits: RateLimiter
    sends_mail: bool
    """Whether messages reach people. The default mailer only prints them, so pages must not promise them."""
    readiness: Readiness = field(default_factory=Readiness)
    processor: ClientFairLock = field(default_factory=ClientFairLock)
    """Gives long computations their turns on the processor."""
    searching: ClientSemaphores = field(default_factory=lambda: ClientSemaphores(MAX_SEARCHES_PER_CLIENT))
    """Permits for the searches of each client."""

    @property
    def patient_limits(self) -> PatientLimits:
        """The limits of booking and cancelling online."""
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


# FastAPI resolves the dependencies of a dependency again wherever it is named, even if its value is cached. So these
# functions depend on little but the request, and share values in ``request.state``: the route stores ``transaction``,
# authentication stores ``actor``, and ``get_now`` stores ``now``.


def read_resources(request: Request) -> Resources:
    """Return the resources of the application that serves this request."""
    resources: Resources = request.app.state.resources
    return resources


async def get_resources(request: Request) -> Resources:
    """Do the same, as a dependency."""
    return read_resources(request)


AppResources = Annotated[Resources, Depends(get_resources)]


async def get_now(request: Request) -> datetime:
    """Return the time of this request, in UTC. The clock is read once per request."""
    if not hasattr(request.state, "now"):
        request.state.now = read_resources(request).clock()
    now: datetime = request.state.now
    return now


Now = Annotated[datetime, Depends(get_now)]


async def run_in_transaction(
    request: Request,
    answer: Callable[[Transaction], Awaitable[Response]],
    keep: Callable[[Transaction, Response], Awaitable[None]],
) -> Response:
    """Answer a request, and let ``keep`` write what must be committed with the response.

    Both run in one transaction, except for a GET: ``answer`` then runs in a read-only transaction, and ``keep`` runs
    afterwards in its own transaction if the request is recorded in the audit trail. ``answer`` may run more than once:
    see ``Database.write_in_turn``.
    """
    database = read_resources(request).database
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
    """Return the transaction of this request. Its route opens and ends it."""
    transaction: Transaction = request.state.transaction
    return transaction


DbTransaction = Annotated[Transaction, Depends(get_transaction)]


async def get_passwords(request: Request) -> Passwords:
    """Return the password hasher, and mark the route as one that hashes passwords.

    Such routes have the lower rate limit. They must hold no database connection while they hash.
    """
    return read_resources(request).passwords


Hashing = Annotated[Passwords, Depends(get_passwords)]


async def take_credentials() -> None:
    """Mark a route that accepts a secret or sends a code or an invitation, without hashing.

    Such routes have the lower rate limit, too.
    """


TAKES_CREDENTIALS = Depends(take_credentials)
CREDENTIAL_MARKERS = frozenset({get_passwords, take_credentials})

FRESH = timedelta(minutes=10)
"""How long after a log-in sensitive actions are allowed, so that a passer-by at an unlocked screen cannot take them."""
_STAFF = (Role.DOCTOR, Role.STAFF, Role.ADMIN)
_SAFE_METHODS = frozenset({"GET", "HEAD"})

type _Find = Callable[..., Awaitable[Actor | None]]


async def public() -> None:
    """Mark a route as open to everyone."""


class ByToken[Caller](OAuth2PasswordBearer):
    """A dependency that finds the caller by the access token, and a security requirement in the OpenAPI document.

    The token is not a dependency of its own, because FastAPI would have to resolve one more for every request.
    """

    def __init__(self, find: Callable[[Request, str | None], Awaitable[Caller | None]]) -> None:
        super().__init__(
            tokenUrl="auth/login",
            scheme_name="OAuth2PasswordBearer",
            description="An access token from `POST /auth/login`.",
            auto_error=False,
        )
        self._find = find

    async def __call__(self, request: Request) -> Caller | None:  # type: ignore[override] # noqa: D102 - the caller
        return await self._find(request, await super().__call__(request))


@ByToken
async def find_caller(request: Request, token: str | None) -> Actor | None:
    """Return the caller, or ``None`` without a token. Raises ``not_authenticated`` if the token is invalid."""
    return await _find_by_token(request, request.state.transaction, token)


@ByToken
async def find_brief_caller(request: Request, token: str | None) -> Actor | None:
    """Return the caller like ``find_caller``, in a transaction that ends before the route begins.

    For routes that open their own transactions.
    """
    async with read_resources(request).database.read() as transaction:
        return await _find_by_token(request, transaction, token)


async def _find_by_token(request: Request, transaction: Transaction, token: str | None) -> Actor | None:
    request.state.actor = None
    if token is None:
        return None
    resources = read_resources(request)
    now = await get_now(request)
    # Before the database is queried, so that a forged token costs no statement.
    claims = read_access_token(token, key=resources.secret, now=now, lifetime=resources.token_lifetime)
    actor = await sessions.find_actor(transaction, claims)
    if actor is None:
        raise DomainError("not_authenticated")
    await attach_actor(request, resources, actor)
    return actor


async def attach_actor(request: Request, resources: Resources, actor: Actor) -> None:
    """Count a request towards the caller's rate limit, and store the caller in ``request.state.actor``."""
    # Count only after authentication, so that an expired token cannot use up the owner's quota; and only once, even if
    # the request runs a second time.
    if not any(quota.name == "account" for quota in request.state.quotas):
        await resources.limits.count_account(actor.id, request.state.quotas)
    request.state.actor = actor


def require(
    permission: Permission | None, *, setting_up: bool = False, booking: bool = False, find: _Find = find_caller
) -> Callable[..., Awaitable[Actor]]:
    """Return a dependency that requires a caller with this permission (``None``: any caller), found by ``find``.

    ``setting_up`` admits callers who have not set up the second factor that their role requires. ``booking`` requires a
    confirmed email address if the settings do. Raises ``not_authenticated``, ``wrong_role``, ``set_up_second_factor``
    or ``email_not_confirmed``.
    """

    async def authenticate(caller: Annotated[Actor | None, Depends(find)], request: Request) -> Actor:
        if caller is None:
            raise DomainError("not_authenticated")
        if permission is not None and not caller.may(permission):
            raise DomainError("wrong_role")
        if not setting_up and lacks_second_factor(caller, read_resources(request).settings):
            raise DomainError("set_up_second_factor")
        if booking:
            check_email_confirmed(caller, read_resources(request).settings)
        return caller

    return authenticate


def check_email_confirmed(caller: Actor, settings: Settings) -> None:
    """Raise ``email_not_confirmed`` if the settings require a confirmed address and the caller's is not confirmed."""
    if settings.requires_confirmed_email and not caller.email_confirmed:
        raise DomainError("email_not_confirmed")


def lacks_second_factor(caller: Actor, settings: Settings, *, is_staff: bool = False) -> bool:
    """Return whether the caller has used no second factor, but their role or being ``is_staff`` requires one."""
    required = {"nobody": (), "staff": _STAFF, "everybody": tuple(Role)}[settings.require_second_factor]
    is_required = caller.role in required or (is_staff and bool(required))
    return is_required and not (caller.login and caller.login.second_factor)


# Every route names one of these. tests/architecture/test_routes.py fails if one does not.
Public = Annotated[None, Depends(public)]
Viewer = Annotated[Actor | None, Depends(find_caller)]
"""A public route on which a caller who has logged in may see more. ``None`` without a token."""
HoldingActor = Annotated[Actor, Depends(require(Permission.BOOK_ONLINE))]
BookingActor = Annotated[Actor, Depends(require(Permission.BOOK_ONLINE, booking=True))]
"""A ``HoldingActor`` with a confirmed email address, if the settings require one."""
OwnRecordActor = Annotated[Actor, Depends(require(Permission.EDIT_OWN_RECORD))]
CalendarActor = Annotated[Actor, Depends(require(Permission.SEE_OWN_CALENDAR))]
ChangeForPatientsActor = Annotated[Actor, Depends(require(Permission.CHANGE_FOR_PATIENTS))]
AttendanceActor = Annotated[Actor, Depends(require(Permission.RECORD_ATTENDANCE))]
HoursActor = Annotated[Actor, Depends(require(Permission.SET_OWN_HOURS))]
VisitTypesActor = Annotated[Actor, Depends(require(Permission.SET_OWN_VISIT_TYPES))]
ProfileActor = Annotated[Actor, Depends(require(Permission.EDIT_OWN_PROFILE))]
AccountsActor = Annotated[Actor, Depends(require(Permission.SEE_ACCOUNTS))]
InvitationsActor = Annotated[Actor, Depends(require(Permission.INVITE_DOCTORS))]
AuditTrailActor = Annotated[Actor, Depends(require(Permission.READ_AUDIT_TRAIL))]
AnyActor = Annotated[Actor, Depends(require(None))]
AccountActor = Annotated[Actor, Depends(require(None, setting_up=True))]
"""A caller who manages their own account. A second factor that their role requires need not be set up yet."""
BriefActor = Annotated[Actor, Depends(require(None, setting_up=True, find=find_brief_caller))]
"""An ``AccountActor`` on a route that opens its own transactions."""


def require_fresh(
    permission: Permission | None, *, setting_up: bool = False, find: _Find = find_caller
) -> Callable[..., Awaitable[Actor]]:
    """Return a dependency that requires a caller as ``require`` does, and a log-in within the last ten minutes."""

    async def authenticate_fresh(
        caller: Annotated[Actor, Depends(require(permission, setting_up=setting_up, find=find))], now: Now
    ) -> Actor:
        check_fresh(caller, now)
        return caller

    return authenticate_fresh


def check_fresh(caller: Actor, now: datetime) -> None:
    """Raise ``log_in_again`` if the caller logged in longer ago than ``FRESH``."""
    # A log-in may seem to be in the future: the clock of the server that recorded it was ahead.
    if not timedelta(seconds=-CLOCK_SKEW) <= now - caller.get_login().at <= FRESH:
        raise DomainError("log_in_again")


def require_deciding(permission: Permission, find: _Find = find_caller) -> Callable[..., Awaitable[Actor]]:
    """Return a dependency that requires a caller with this permission and a log-in within the last ten minutes.

    For decisions about other accounts. Requests that can change something also take the lock of ``begin_decision``.
    """

    async def authenticate_to_decide(
        caller: Annotated[Actor, Depends(require_fresh(permission, find=find))], request: Request
    ) -> Actor:
        if request.method not in _SAFE_METHODS:
            await begin_decision(request.state.transaction, caller)
        return caller

    return authenticate_to_decide


FreshActor = Annotated[Actor, Depends(require_fresh(None))]
"""An ``AnyActor`` who has logged in within the last ten minutes."""
FreshAccountActor = Annotated[Actor, Depends(require_fresh(None, setting_up=True))]
"""An ``AccountActor`` who has logged in within the last ten minutes."""
# For decisions about other people (`require_deciding`): these callers have logged in within the last ten minutes.
DecidingActor = Annotated[Actor, Depends(require_deciding(Permission.ADMINISTER_ACCOUNTS))]
InvitingActor = Annotated[Actor, Depends(require_deciding(Permission.INVITE_DOCTORS))]
SuspendedDoctorsActor = Annotated[Actor, Depends(require_deciding(Permission.CANCEL_FOR_SUSPENDED_DOCTORS))]
BreakGlassActor = Annotated[Actor, Depends(require_deciding(Permission.BREAK_GLASS))]


DEVICE = "device"
"""The name of the cookie that identifies a browser which has logged in before; see ``app/http/browser.py``."""


def cookie_name(settings: Settings, name: str) -> str:
    """Return the full name of a cookie.

    In production it has the prefix ``__Host-``: browsers then accept the cookie only over TLS and from this host.
    """
    return f"__Host-{name}" if settings.environment == "production" else name


async def get_client(request: Request) -> Client:
    """Return the client of the request: address, user agent, request id and known device."""
    resources = read_resources(request)
    device = request.cookies.get(cookie_name(resources.settings, DEVICE), "")
    address = read_address(request.client.host if request.client else None)
    user_agent = request.headers.get("User-Agent", "")
    return Client(
        str(address or UNKNOWN),
        # Stored with the session and shown in the list of sessions.
        "".join(character for character in user_agent if character.isprintable()),
        correlation_id.get(),
        device if device and is_device(resources.secret, device) else None,
    )


RequestClient = Annotated[Client, Depends(get_client)]


async def get_search_time(request: Request) -> AsyncIterator[Computation]:
    """Provide the budget of processor time that this request may spend on a search."""
    resources = read_resources(request)
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


# With this scope, the permit is returned before the response is sent, so a slow client cannot hold it.
SearchTime = Annotated[Computation, Depends(get_search_time, scope="function")]
