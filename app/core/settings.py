"""The settings, from the environment or a ``.env`` file. docs/running.md describes each of them."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, PositiveInt, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.core.origins import normalize_origin

DEVELOPMENT_SECRET = "a-secret-for-development-only-not-for-production"  # noqa: S105 - refused in production
COMPOSE_PASSWORD = "doctor"  # noqa: S105 - the one in docker-compose.yml, refused in production
OFF = "off"  # a word, because an empty value means the default
MIN_TOKEN_LENGTH = 16
MIN_SECRET_LENGTH = 32  # bytes; RFC 7518 section 3.2 requires a key as long as the hash
MIN_PROXY_PREFIX = 8  # a shorter prefix would trust a large part of the Internet
# The recommendation of the OWASP Password Storage Cheat Sheet for argon2id: 19 MiB, two passes, one lane.
OWASP_MEMORY_KIB = 19_456
OWASP_PASSES = 2

_DRIVERS = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}
_OPTIONS = {"host", "port", "ssl"}
_UNIQUE_LOCAL = IPv6Network("fc00::/7")  # private networks, RFC 4193
_IPV4_MAPPED = IPv6Network("::ffff:0:0/96")  # IPv4-mapped addresses, as a dual-stack socket reports them (RFC 4291)
_RATE = re.compile(r"[1-9]\d{0,6}/([1-9]\d{0,3} )?(second|minute|hour|day)")


class Settings(BaseSettings):
    """The settings of an operator. In production, unsafe values prevent the start."""

    model_config = SettingsConfigDict(
        env_file=".env",
        extra="ignore",  # .env may have variables of docker-compose.yml, too
        frozen=True,
        hide_input_in_errors=True,  # it may be a secret
        env_ignore_empty=True,  # docker-compose.yml passes variables that are not set as empty ones
    )

    environment: Literal["development", "production"] = "development"
    database_url: str = "sqlite+aiosqlite:///./appointments.db"
    secret_key: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    audit_key: SecretStr = SecretStr("")
    """The key that seals the audit trail. Empty: ``secret_key`` is used."""
    access_token_minutes: Annotated[PositiveInt, Field(le=24 * 60)] = 30
    # An hour without use and a day in any case (NIST SP 800-63B-4 section 2.2.3, for AAL2).
    session_idle_minutes: Annotated[PositiveInt, Field(le=90 * 24 * 60)] = 60
    session_hours: Annotated[PositiveInt, Field(le=365 * 24)] = 24
    require_second_factor: Literal["nobody", "staff", "everybody"] = "nobody"
    email_confirmation: Literal["", "optional", "required"] = ""
    """Empty: ``required`` in production, otherwise ``optional``."""
    doctor_approval: Literal["", "open", "required"] = ""
    """Empty: ``required`` in production, otherwise ``open``."""
    max_mails_per_hour: Annotated[PositiveInt, Field(le=1000)] = 5
    """Messages of one kind to one address."""
    max_open_invitations: Annotated[PositiveInt, Field(le=1000)] = 100
    database_pool_size: Annotated[PositiveInt, Field(le=200)] = 10
    database_timeout_seconds: Annotated[PositiveInt, Field(le=60)] = 5
    database_prepared_statements: bool = True
    """Off for a pooler in transaction mode, such as PgBouncer."""
    allow_older_time_zones: bool = False
    password_workers: Annotated[PositiveInt, Field(le=64)] = 2
    password_queue: Annotated[PositiveInt, Field(le=10_000)] = 64
    password_memory_kib: Annotated[int, Field(ge=8, le=4 * 1024 * 1024)] = OWASP_MEMORY_KIB
    password_passes: Annotated[PositiveInt, Field(le=100)] = OWASP_PASSES
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otel_exporter_otlp_endpoint: str = ""
    """The OpenTelemetry collector that gets traces and metrics, by OTLP over HTTP; empty: none."""
    metrics_token: SecretStr = SecretStr("")
    cors_origins: str = ""
    cors_credentials: bool = False
    trusted_proxies: str = ""
    # Per ten seconds, so that no client can use up a minute's requests at once (ADR 0021).
    rate_limit_per_address: str = "200/10 second"
    rate_limit_login: str = "20/10 second"
    rate_limit_per_account: str = "100/10 second"
    max_upcoming_visits_per_doctor: Annotated[int, Field(ge=0)] = 20
    max_upcoming_visits: Annotated[int, Field(ge=0)] = 50
    max_cancellations_per_day: Annotated[int, Field(ge=0)] = 30
    max_in_flight_per_client: Annotated[PositiveInt, Field(le=100_000)] = 32
    max_search_seconds: Annotated[float, Field(gt=0, le=60)] = 0.5
    request_head_seconds: Annotated[PositiveInt, Field(le=600)] = 10
    request_body_seconds: Annotated[PositiveInt, Field(le=600)] = 10
    response_stall_seconds: Annotated[PositiveInt, Field(le=600)] = 30
    max_connections: Annotated[PositiveInt, Field(le=100_000)] = 1000
    max_connections_per_address: Annotated[PositiveInt, Field(le=100_000)] = 200

    @property
    def cors_allowed(self) -> tuple[str, ...]:
        """The origins whose pages may read responses, as browsers write them; ``*`` stands for all."""
        return tuple(normalize_origin(origin) or origin for origin in _split(self.cors_origins))

    @property
    def proxies(self) -> tuple[str, ...]:
        """The addresses and networks of proxies whose ``X-Forwarded-`` headers are trusted."""
        return _split(self.trusted_proxies)

    @property
    def refuses_weak_passwords(self) -> bool:
        """Whether passwords that are easy to guess are refused."""
        return self.environment == "production"

    @property
    def requires_confirmed_email(self) -> bool:
        """Whether patients must confirm their email address before they book, and doctors before they are booked."""
        required = "required" if self.environment == "production" else "optional"
        return (self.email_confirmation or required) == "required"

    @property
    def requires_doctor_approval(self) -> bool:
        """Whether an administrator must approve new doctors, and changes of their names and specialties."""
        required = "required" if self.environment == "production" else "open"
        return (self.doctor_approval or required) == "required"

    @property
    def lists_new_doctors(self) -> bool:
        """Whether a doctor is listed right after the registration, without a confirmation or an approval."""
        return not (self.requires_doctor_approval or self.requires_confirmed_email)

    @property
    def sealing_secret(self) -> str:
        """The secret from which the key of the audit trail's hash chain is derived."""
        return self.audit_key.get_secret_value() or self.secret_key.get_secret_value()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the usual sources. Empty values count as unset, except an empty ``ENVIRONMENT``, which is refused."""
        file = cast("DotEnvSettingsSource", dotenv_settings).env_file
        as_written = (
            _EnvironmentVariable(settings_cls, env_ignore_empty=False),
            _EnvironmentInFile(settings_cls, file, env_ignore_empty=False),
        )
        return init_settings, env_settings, dotenv_settings, file_secret_settings, *as_written

    @field_validator("environment", mode="before")
    @classmethod
    def _refuse_empty_environment(cls, value: object) -> object:
        if value == "":
            raise ValueError("ENVIRONMENT is set, but empty; write development or production")
        return value

    @field_validator("database_url")
    @classmethod
    def _normalize_database_url(cls, value: str) -> str:
        try:
            url = make_url(value)
        except ArgumentError:
            raise ValueError("not a database URL; try sqlite:///./appointments.db") from None
        if url.drivername not in _DRIVERS:
            raise ValueError("must start with postgresql:// or sqlite://")
        if url.drivername.startswith("sqlite") and url.database in {None, "", ":memory:"}:
            raise ValueError("an SQLite database must be a file: in memory, each connection would have its own")
        # Hosted databases give URLs with libpq's sslmode, which asyncpg calls ssl.
        query = {"ssl" if name == "sslmode" else name: option for name, option in url.query.items()}
        if unknown := query.keys() - _OPTIONS:
            raise ValueError(f"unknown options: {', '.join(sorted(unknown))}")
        return url.set(drivername=_DRIVERS[url.drivername], query=query).render_as_string(hide_password=False)

    @field_validator("metrics_token")
    @classmethod
    def _check_token_length(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < MIN_TOKEN_LENGTH:
            raise ValueError(f"must have at least {MIN_TOKEN_LENGTH} characters; try: openssl rand -hex 32")
        return value

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _check_endpoint(cls, value: str) -> str:
        if value and normalize_origin(value) is None:
            raise ValueError("not the address of a collector; write http://collector.example.com:4318, without a path")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: str) -> str:
        for origin in _split(value):
            if origin != "*" and normalize_origin(origin) is None:
                raise ValueError("one of them is not an origin; write https://app.example.com, without a path")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, value: str) -> str:
        for network in _split(value):
            try:
                ip_network(network)
            except ValueError:
                raise ValueError("one of them is not an address or network; write 10.0.0.7 or 10.0.0.0/8") from None
        return value

    @field_validator("rate_limit_per_address", "rate_limit_login", "rate_limit_per_account")
    @classmethod
    def _check_rate(cls, value: str) -> str:
        if value != OFF and not _RATE.fullmatch(value):
            raise ValueError(f"not a rate; write 60/minute, 1000/hour or {OFF}")
        return value

    @model_validator(mode="after")
    def _refuse_all_origins_with_credentials(self) -> Self:
        if self.cors_credentials and "*" in self.cors_allowed:
            raise ValueError("CORS_ORIGINS=* and CORS_CREDENTIALS=true would let every website act as its visitors")
        return self

    @model_validator(mode="after")
    def _check_lifetimes(self) -> Self:
        # The expiry of a session is not looked up for an access token, so a token must not outlive it (ADR 0013).
        if not self.access_token_minutes <= self.session_idle_minutes <= self.session_hours * 60:
            raise ValueError("ACCESS_TOKEN_MINUTES <= SESSION_IDLE_MINUTES <= SESSION_HOURS * 60 must hold")
        return self

    @model_validator(mode="after")
    def _refuse_unsafe_production(self) -> Self:
        if self.environment == "production" and (unsafe := list(self._find_unsafe())):
            raise ValueError("\n".join(unsafe))
        return self

    def _find_unsafe(self) -> Iterator[str]:
        """Yield a message for each setting that is unsafe in production."""
        yield from _find_weakness("SECRET_KEY", self.secret_key, MIN_SECRET_LENGTH)
        if self.audit_key:
            yield from _find_weakness("AUDIT_KEY", self.audit_key, MIN_SECRET_LENGTH)
        if self.metrics_token:
            yield from _find_weakness("METRICS_TOKEN", self.metrics_token, MIN_TOKEN_LENGTH)
        if any(_is_too_wide(ip_network(text)) for text in self.proxies):
            yield (
                "TRUSTED_PROXIES has a network so large that most clients could choose the address that is limited and "
                "recorded for them; list the addresses of your proxies"
            )
        if make_url(self.database_url).password == COMPOSE_PASSWORD:
            yield (
                "DATABASE_URL has the password of docker-compose.yml, which is public; choose another one, and set "
                "POSTGRES_PASSWORD to it before the database is started for the first time"
            )
        if self.password_memory_kib < OWASP_MEMORY_KIB or self.password_passes < OWASP_PASSES:
            yield f"production requires PASSWORD_MEMORY_KIB >= {OWASP_MEMORY_KIB} and PASSWORD_PASSES >= {OWASP_PASSES}"


class InvalidSettingsError(Exception):
    """The settings cannot be used. The message has a line for each reason."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("\n  ".join(["These settings cannot be used:", *reasons]))


def read_settings() -> Settings:
    """Read the settings from the environment or a ``.env`` file. Raises ``InvalidSettingsError``."""
    try:
        return Settings()
    except ValidationError as error:
        reasons: list[str] = []
        for each in error.errors(include_input=False, include_url=False):
            setting = "".join(f"{part}: ".upper() for part in each["loc"])
            reasons += [f"{setting}{line}" for line in each["msg"].removeprefix("Value error, ").splitlines()]
        raise InvalidSettingsError(*reasons) from None


class _EnvironmentVariable(EnvSettingsSource):
    """Reads only ``ENVIRONMENT``, even if it is empty. Otherwise an empty value would count as development."""

    def __call__(self) -> dict[str, Any]:
        return _environment_of(super().__call__())


class _EnvironmentInFile(DotEnvSettingsSource):
    """Reads only ``ENVIRONMENT``, from the ``.env`` file."""

    def __call__(self) -> dict[str, Any]:
        return _environment_of(super().__call__())


def _environment_of(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name == "environment"}


def _find_weakness(name: str, value: SecretStr, min_length: int) -> Iterator[str]:
    """Yield a message if a secret is public, too short or easy to guess."""
    secret = value.get_secret_value().strip()
    hint = "try: openssl rand -hex 32"
    if DEVELOPMENT_SECRET in secret.lower():
        yield f"{name} must be set in production, and must not be the one for development; {hint}"
    elif len(secret.encode()) < min_length:
        yield f"{name} must have at least {min_length} bytes; {hint}"
    elif len(set(secret)) < (distinct := min_length // 4):
        yield f"{name} must have at least {distinct} different characters; {hint}"


def _is_too_wide(network: IPv4Network | IPv6Network) -> bool:
    if isinstance(network, IPv6Network):
        if network == _UNIQUE_LOCAL:
            return False
        if network.subnet_of(_IPV4_MAPPED):
            return network.prefixlen - _IPV4_MAPPED.prefixlen < MIN_PROXY_PREFIX
        if _IPV4_MAPPED.subnet_of(network):
            return True
    return network.prefixlen < MIN_PROXY_PREFIX


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
