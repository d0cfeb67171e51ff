import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.core.settings import COMPOSE_PASSWORD, DEVELOPMENT_SECRET, InvalidSettingsError, Settings, read_settings
from tests.servers import ROOT

SECRET = "0123456789abcdef0123456789abcdef"


def settings(**values: str) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[arg-type] # strings, like those of the environment


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@db/x", "postgresql+asyncpg://u:p@db/x"),
        ("postgres://u:p@db/x", "postgresql+asyncpg://u:p@db/x"),
        ("postgresql+asyncpg://u:p@db/x", "postgresql+asyncpg://u:p@db/x"),
        ("sqlite:///./x.db", "sqlite+aiosqlite:///./x.db"),
        ("postgresql://u:p@db/x?sslmode=require", "postgresql+asyncpg://u:p@db/x?ssl=require"),
        ("postgresql://u@/x?host=/run/postgresql", "postgresql+asyncpg://u@/x?host=%2Frun%2Fpostgresql"),
    ],
)
def test_database_url_gets_its_driver(url: str, expected: str) -> None:
    assert settings(database_url=url).database_url == expected


def test_unknown_option_of_the_database_url_is_named() -> None:
    with pytest.raises(ValidationError, match="channel_binding"):
        settings(database_url="postgresql://db/x?channel_binding=require")


@pytest.mark.parametrize(
    "url", ["mysql://x", "nonsense", "sqlite://", "sqlite:///:memory:", "postgresql+psycopg://db/x"]
)
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="database_url"):
        settings(database_url=url)


@pytest.mark.parametrize("name", ["SECRET_KEY", "AUDIT_KEY"])
@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        (DEVELOPMENT_SECRET, "must be set in production"),
        (f" {DEVELOPMENT_SECRET}\n", "must be set in production"),
        (DEVELOPMENT_SECRET.upper(), "must be set in production"),
        (DEVELOPMENT_SECRET * 2, "must be set in production"),
        ("short", "at least 32 bytes"),
        (" " * 40, "at least 32 bytes"),
        (SECRET[:31] + " ", "at least 32 bytes"),
        ("x" * 32, "at least 8 different characters"),
        ("abcdefg" * 10, "at least 8 different characters"),
    ],
)
def test_production_refuses_an_unsafe_secret(name: str, secret: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} .*{reason}") as caught:
        settings(environment="production", **({"secret_key": SECRET} | {name.lower(): secret}))
    assert f"'{secret}'" not in str(caught.value)


def test_production_refuses_to_start_without_a_secret() -> None:
    with pytest.raises(ValidationError, match="SECRET_KEY"):
        settings(environment="production", secret_key="")


@pytest.mark.parametrize("token", ["x" * 16, " " * 20, DEVELOPMENT_SECRET])
def test_production_refuses_a_weak_token_for_metrics(token: str) -> None:
    with pytest.raises(ValidationError, match="METRICS_TOKEN"):
        settings(environment="production", secret_key=SECRET, metrics_token=token)
    assert settings(metrics_token=token).environment == "development"


@pytest.mark.parametrize(
    "proxies",
    ["0.0.0.0/0", "::/0", "10.0.0.1, 0.0.0.0/1", "10.0.0.0/7", "2000::/3", "::/8", "::ffff:0:0/96", "::ffff:0:0/103"],
)
def test_production_refuses_very_large_proxy_networks(proxies: str) -> None:
    with pytest.raises(ValidationError, match="TRUSTED_PROXIES"):
        settings(environment="production", secret_key=SECRET, trusted_proxies=proxies)
    assert settings(trusted_proxies=proxies).environment == "development"


@pytest.mark.parametrize("proxies", ["10.0.0.0/8", "fc00::/7", "2001:db8::/32", "::1", "::ffff:10.0.0.0/104"])
def test_production_accepts_proxy_networks(proxies: str) -> None:
    assert settings(environment="production", secret_key=SECRET, trusted_proxies=proxies).proxies == (proxies,)


@pytest.mark.parametrize("name", ["ENVIRONMENT", "environment"])
def test_empty_environment_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Without this check an empty variable would mean development."""
    monkeypatch.delenv("ENVIRONMENT", raising=False)
    monkeypatch.setenv("SECRET_KEY", "")
    assert settings().environment == "development", "other empty variables count as unset"
    monkeypatch.setenv(name, "")
    with pytest.raises(ValidationError, match="ENVIRONMENT is set, but empty"):
        settings()


def test_empty_environment_in_the_env_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ENVIRONMENT", raising=False)
    file = tmp_path / ".env"
    file.write_text("ENVIRONMENT=\nLOG_LEVEL=\n")
    with pytest.raises(ValidationError, match="ENVIRONMENT is set, but empty"):
        Settings(_env_file=file)
    file.write_text("ENVIRONMENT=production\n")
    with pytest.raises(ValidationError, match="SECRET_KEY"):
        Settings(_env_file=file)


@pytest.mark.parametrize("host", ["db:5432", "localhost"])
def test_production_refuses_the_password_of_the_compose_file(host: str) -> None:
    known = (Path(__file__).parents[2] / "docker-compose.yml").read_text()
    assert f"POSTGRES_PASSWORD: ${{POSTGRES_PASSWORD:-{COMPOSE_PASSWORD}}}" in known
    assert f"postgresql+asyncpg://doctor:{COMPOSE_PASSWORD}@db:5432/doctor_appointments" in known
    url = f"postgresql://doctor:{COMPOSE_PASSWORD}@{host}/doctor_appointments"
    with pytest.raises(ValidationError, match="POSTGRES_PASSWORD"):
        settings(environment="production", secret_key=SECRET, database_url=url)
    assert settings(secret_key=SECRET, database_url=url).environment == "development"
    other = url.replace(":doctor@", ":another@")
    assert settings(environment="production", secret_key=SECRET, database_url=other).environment == "production"


@pytest.mark.parametrize("weaker", [{"password_memory_kib": "19455"}, {"password_passes": "1"}])
def test_production_refuses_cheap_passwords(weaker: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="PASSWORD_MEMORY_KIB"):
        settings(environment="production", secret_key=SECRET, **weaker)


def test_audit_key_defaults_to_the_secret_key() -> None:
    assert settings(secret_key=SECRET).sealing_secret == SECRET
    assert settings(secret_key=SECRET, audit_key=SECRET[::-1]).sealing_secret == SECRET[::-1]
    with pytest.raises(ValidationError, match="AUDIT_KEY") as caught:
        settings(environment="production", secret_key=SECRET, audit_key="guess")
    assert "guess" not in str(caught.value)


def test_production_starts_with_a_good_secret() -> None:
    assert settings(environment="production", secret_key=SECRET).environment == "production"


def test_secret_is_not_in_the_repr() -> None:
    assert SECRET not in repr(settings(secret_key=SECRET))


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/clinic")
    monkeypatch.setenv("ACCESS_TOKEN_MINUTES", "5")
    assert settings().database_url == "postgresql+asyncpg://db/clinic"
    assert settings().access_token_minutes == 5


@pytest.mark.parametrize("token", ["short", "x" * 15])
def test_short_metrics_token_is_refused(token: str) -> None:
    with pytest.raises(ValidationError, match="16 characters") as caught:
        settings(metrics_token=token)
    assert f"'{token}'" not in str(caught.value)


@pytest.mark.parametrize(
    "origins",
    ["https://good.example", "http://localhost:3000", "https://a.example,https://b.example", "*", "http://[::1]:8080"],
)
def test_valid_origins_are_accepted(origins: str) -> None:
    assert settings(cors_origins=origins).cors_allowed == tuple(origins.split(","))


@pytest.mark.parametrize(
    ("origin", "normalized"),
    [
        ("https://GOOD.example", "https://good.example"),
        ("https://good.example:443", "https://good.example"),
        ("http://good.example:80", "http://good.example"),
        ("http://good.example:443", "http://good.example:443"),
        ("http://[0:0::1]:80", "http://[::1]"),
    ],
)
def test_origins_are_normalized(origin: str, normalized: str) -> None:
    assert settings(cors_origins=origin).cors_allowed == (normalized,)


@pytest.mark.parametrize(
    "origins",
    [
        "good.example",
        "https://good.example/",
        "https://good.example/app",
        "https://good.example?x",
        "https://user@good.example",
        "https://good.example:x",
        "https://",
        "ftp://good.example",
        "null",
        "https://*.good.example/x",
        "https://a.example, b.example",
    ],
)
def test_invalid_origin_is_refused(origins: str) -> None:
    with pytest.raises(ValidationError, match="is not an origin; write https://"):
        settings(cors_origins=origins)


def test_all_origins_with_credentials_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"CORS_ORIGINS=\* and CORS_CREDENTIALS=true"):
        settings(cors_origins="https://good.example,*", cors_credentials="true")


@pytest.mark.parametrize("proxies", ["10.0.0.1", "10.0.0.0/8, ::1", "2001:db8::/32"])
def test_valid_proxies_are_accepted(proxies: str) -> None:
    assert settings(trusted_proxies=proxies).proxies == tuple(proxies.split(", "))


@pytest.mark.parametrize("proxies", ["*", "proxy.local", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.1 10.0.0.2", "0"])
def test_invalid_proxy_network_is_refused(proxies: str) -> None:
    with pytest.raises(ValidationError, match="is not an address or network"):
        settings(trusted_proxies=proxies)


@pytest.mark.parametrize("rate", ["off", "1/second", "1200/minute", "5/10 minute"])
def test_valid_rates_are_accepted(rate: str) -> None:
    assert settings(rate_limit_login=rate).rate_limit_login == rate


@pytest.mark.parametrize(
    "rate",
    ["0/minute", "-1/minute", "60", "60/fortnight", "60/minute;5/second", "many", "1/0 second", "OFF", "1.5/day"],
)
@pytest.mark.parametrize("which", ["rate_limit_per_address", "rate_limit_login", "rate_limit_per_account"])
def test_invalid_rate_is_refused(rate: str, which: str) -> None:
    with pytest.raises(ValidationError, match="not a rate; write 60/minute"):
        settings(**{which: rate})


def test_each_invalid_setting_has_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # without the developer's .env
    for name, value in {"ENVIRONMENT": "production", "SECRET_KEY": "tell-no-one", "AUDIT_KEY": "hidden"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettingsError) as refused:
        read_settings()
    assert [line.split(" must ")[0] for line in str(refused.value).splitlines()] == [
        "These settings cannot be used:",
        "  SECRET_KEY",
        "  AUDIT_KEY",
    ]
    monkeypatch.setenv("MAX_CONNECTIONS", "many-and-more")
    monkeypatch.setenv("DATABASE_URL", "mysql://me:secret@db/x")
    for name in ("CORS_ORIGINS", "RATE_LIMIT_LOGIN", "TRUSTED_PROXIES"):
        monkeypatch.setenv(name, "many-and-more")
    with pytest.raises(InvalidSettingsError) as refused:
        read_settings()
    lines = str(refused.value).splitlines()
    assert sorted(line.split(":")[0] for line in lines[1:]) == [
        "  CORS_ORIGINS",
        "  DATABASE_URL",
        "  MAX_CONNECTIONS",
        "  RATE_LIMIT_LOGIN",
        "  TRUSTED_PROXIES",
    ]
    assert not [text for text in ("many-and-more", "secret", "pydantic") if text in str(refused.value)]


def test_server_with_invalid_settings_ends_without_a_traceback(tmp_path: Path) -> None:
    server = subprocess.run(
        [sys.executable, "-m", "uvicorn", "app.main:app", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ENVIRONMENT": "production", "SECRET_KEY": "tell-no-one"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert server.returncode == 1
    assert server.stderr.splitlines() == [
        "These settings cannot be used:",
        "  SECRET_KEY must have at least 32 bytes; try: openssl rand -hex 32",
    ]
