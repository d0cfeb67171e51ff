"""The command line."""

import asyncio
import io
import re
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import text

from app import cli
from app.cli import main
from app.core.audit_actions import AuditAction
from app.core.hash_chain import chain_key
from app.core.security import hash_token
from app.db.database import Database
from app.db.schema import newest_revision
from app.jobs.audit_seal import SealState, seal_once
from app.services import audit
from app.services.audit import Event
from tests.databases import bypass_audit_guard


@pytest.fixture(autouse=True)
def configured(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # without the developer's .env
    monkeypatch.setenv("DATABASE_URL", database_url)


async def run(*arguments: str) -> int:
    # A command creates its own event loop.
    return await asyncio.to_thread(main, list(arguments))


async def create_admin(password: str, monkeypatch: pytest.MonkeyPatch, email: str = "root@example.com") -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))
    return await run("create-admin", "--email", email, "--name", "Root", "--password-stdin")


async def list_users(database: Database) -> list[tuple[str, str]]:
    async with database.read() as transaction:
        return [(row.email, row.role) for row in await transaction.execute(text("SELECT email, role FROM users"))]


async def test_administrator_is_created(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await create_admin("correct horse battery", monkeypatch) == 0
    assert "root@example.com is now an administrator." in capsys.readouterr().out
    assert await list_users(database) == [("root@example.com", "admin")]
    assert await create_admin("correct horse battery", monkeypatch) == 1
    assert "already exists" in capsys.readouterr().err
    assert len(await list_users(database)) == 1


@pytest.mark.parametrize(
    ("password", "email", "message"),
    [
        ("short", "root@example.com", "password: must have at least 8 characters"),
        ("password1", "root@example.com", "password: This password is one of the most common"),
        ("correct horse battery", "nobody", "email: must be an email address"),
    ],
)
async def test_administrator_with_invalid_email_or_weak_password_is_not_created(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    password: str,
    email: str,
    message: str,
) -> None:
    assert await create_admin(password, monkeypatch, email) == 1
    printed = capsys.readouterr()
    assert message in printed.err
    assert password not in printed.err + printed.out
    assert await list_users(database) == []


NEW_CLINIC = {
    "name": "Okafor and Colleagues",
    "time-zone": "Europe/Berlin",
    "country": "DE",
    "manager-email": "bea@example.com",
}


async def create_clinic(**changes: str) -> int:
    options = NEW_CLINIC | {name.replace("_", "-"): value for name, value in changes.items()}
    return await run("create-clinic", *(part for name, value in options.items() for part in (f"--{name}", value)))


async def test_clinic_is_created_with_an_invitation_of_its_manager(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await create_clinic(locale="de") == 0
    [token] = re.findall(r"^/invitation\?token=(\S+)$", capsys.readouterr().out, re.MULTILINE)
    async with database.read() as transaction:
        found = await transaction.execute(
            text(
                "SELECT c.name, public_name, locale, email, member_role, created_by, token_hash "
                "FROM invitations JOIN clinics c ON c.id = clinic_id"
            )
        )
        assert found.all() == [
            (*2 * ("Okafor and Colleagues",), "de", "bea@example.com", "manager", None, hash_token(token))
        ]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("time_zone", "Mars/Olympus", "time-zone: must be the name of an IANA time zone"),
        ("country", "XX", "country: must be the ISO 3166-1 code"),
        ("manager_email", "nobody", "manager-email: must be an email address"),
    ],
)
async def test_invalid_clinic_is_not_created(
    database: Database, capsys: pytest.CaptureFixture[str], option: str, value: str, message: str
) -> None:
    assert await create_clinic(**{option: value}) == 1
    assert message in capsys.readouterr().err
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM clinics")) == 0


async def test_password_is_prompted_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda _prompt: "correct horse battery")
    assert await run("create-admin", "--email", "root@example.com", "--name", "Root") == 0
    assert await list_users(database) == [("root@example.com", "admin")]


async def test_repeated_password_must_be_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = iter(["correct horse battery", "correct horse batterie"])
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(entries))
    assert await run("create-admin", "--email", "root@example.com", "--name", "Root") == 1
    assert "password: the two entries differ" in capsys.readouterr().err
    assert await list_users(database) == []


async def test_migrating_again_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert await run("migrate") == 0
    assert f"The database has the newest schema, {newest_revision()}." in capsys.readouterr().out


async def test_audit_trail_is_verified(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def record() -> None:
        async with database.write() as transaction:
            await audit.record(
                transaction, *[Event(AuditAction.GET_APPOINTMENT)] * 4, now=datetime(2026, 12, 1, tzinfo=UTC)
            )

    monkeypatch.setattr(cli, "PROGRESS_EVENTS", 2)
    monkeypatch.setattr(audit, "BATCH", 2)
    monkeypatch.setenv("AUDIT_KEY", "a key of its own")
    await record()
    key = chain_key("a key of its own")
    while await seal_once(database, key, SealState()):
        pass
    await record()
    assert await run("audit", "verify") == 0
    printed = capsys.readouterr()
    assert "4 sealed events, 4 not sealed yet" in printed.out
    assert "4 events checked" in printed.err
    head = printed.out.partition("Head: ")[2].strip()
    assert await run("audit", "verify", "--head", head) == 0
    async with database.write() as transaction:
        await bypass_audit_guard(transaction)
        await transaction.execute(text("DELETE FROM audit_events WHERE position = 4"))
    assert await run("audit", "verify") == 0
    capsys.readouterr()
    assert await run("audit", "verify", "--head", head) == 1
    assert "its end was cut off" in capsys.readouterr().err
    async with database.write() as transaction:
        await bypass_audit_guard(transaction)
        await transaction.execute(text("DELETE FROM audit_events WHERE position = 2"))
    assert await run("audit", "verify") == 1
    assert "position 2 is missing" in capsys.readouterr().err
    monkeypatch.setenv("AUDIT_KEY", "another key")
    assert await run("audit", "verify") == 1
    assert "position 1" in capsys.readouterr().err


async def test_audit_trail_is_archived(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async with database.write() as transaction:
        for day in (1, 1, 2):
            await audit.record(transaction, Event(AuditAction.GET_APPOINTMENT), now=datetime(2026, 12, day, tzinfo=UTC))
    monkeypatch.setenv("AUDIT_KEY", "a key of its own")
    assert await seal_once(database, chain_key("a key of its own"), SealState()) == 3
    path, again = tmp_path / "2026.jsonl.gz", tmp_path / "again.jsonl.gz"
    assert await run("audit", "archive", "--before", "2026-12-02", str(path)) == 0
    printed = capsys.readouterr().out
    assert f"2 events are in {path}" in printed
    assert f"SHA-256: {sha256(path.read_bytes()).hexdigest()}" in printed
    head = re.search(r"2:[0-9a-f]{64}", printed)
    assert head
    assert await run("audit", "verify") == 0
    assert "1 sealed events, 0 not sealed yet, 2 archived." in capsys.readouterr().out
    assert await run("audit", "verify", "--archive", str(path), "--head", head[0]) == 0
    assert "The archive is intact: 2 events, from position 1 on." in capsys.readouterr().out
    assert await run("audit", "archive", "--before", "2026-12-02", str(path)) == 1  # the file exists
    assert "File exists" in capsys.readouterr().err
    assert await run("audit", "archive", "--before", "2026-12-02", str(again)) == 0
    assert "all of them are archived already" in capsys.readouterr().out
    assert not again.exists()
    path.write_bytes(path.read_bytes()[:-20])
    assert await run("audit", "verify", "--archive", str(path)) == 1
    assert capsys.readouterr().err
    with pytest.raises(SystemExit):
        await run("audit", "archive", "--before", "yesterday", str(again))


async def test_invalid_head_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        await run("audit", "verify", "--head", "4:abc")
    assert exited.value.code == 2
    assert "--head" in capsys.readouterr().err


async def test_unreachable_database_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    for command in ("migrate", "demo"):
        assert await run(command) == 1
        assert "Connect call failed" in capsys.readouterr().err


async def test_refused_settings_are_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    assert await run("migrate") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "These settings cannot be used:"
    assert lines[1].startswith("  SECRET_KEY must be set in production")
    monkeypatch.setenv("SECRET_KEY", "0123456789abcdef" * 2)
    assert await run("demo") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "These settings cannot be used:",
        "  ENVIRONMENT must not be production: the password of the demo is public",
    ]
    monkeypatch.setenv("ENVIRONMENT", "elsewhere")
    assert await run("migrate") == 1
    assert "ENVIRONMENT: Input should be" in capsys.readouterr().err


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_unknown_schema_is_reported(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with database.write() as transaction:
        await transaction.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        assert await create_admin("correct horse battery", monkeypatch) == 1
        assert "9999" in capsys.readouterr().err
    finally:
        async with database.write() as transaction:
            await transaction.execute(
                text("UPDATE alembic_version SET version_num = :newest"), {"newest": newest_revision()}
            )


async def test_missing_command_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        await run()
    assert exited.value.code == 2
    assert "create-admin" in capsys.readouterr().err
