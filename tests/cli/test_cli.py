"""The command line, as an operator types it."""

import asyncio
import io
from pathlib import Path

import pytest
from sqlalchemy import text

from app.cli import main
from app.db.session import Sessions
from tests.databases import connected, empty


@pytest.fixture(autouse=True)
def configured(schema_url: str, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "postgresql":
        asyncio.run(empty(schema_url))
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    monkeypatch.setenv("DATABASE_URL", schema_url)


def create_admin(password: str, monkeypatch: pytest.MonkeyPatch, email: str = "root@example.com") -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))
    return main(["create-admin", "--email", email, "--name", "Root", "--password-stdin"])


def users(url: str) -> list[tuple[str, str]]:
    async def select() -> list[tuple[str, str]]:
        async with connected(url) as engine, Sessions(engine).read() as session:
            return [tuple(row) for row in await session.execute(text("SELECT email, role FROM users"))]

    return asyncio.run(select())


def test_an_administrator_is_made(
    schema_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create_admin("correct horse battery", monkeypatch) == 0
    assert "root@example.com is an administrator now." in capsys.readouterr().out
    assert users(schema_url) == [("root@example.com", "admin")]
    assert create_admin("correct horse battery", monkeypatch) == 1
    assert "exists already" in capsys.readouterr().err
    assert len(users(schema_url)) == 1


@pytest.mark.parametrize(
    ("password", "email", "said"),
    [
        ("short", "root@example.com", "at least 8"),
        ("password1", "root@example.com", "most common"),
        ("correct horse battery", "nobody", "e-mail address"),
    ],
)
def test_an_unsafe_administrator_is_not_made(
    schema_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    password: str,
    email: str,
    said: str,
) -> None:
    assert create_admin(password, monkeypatch, email) == 1
    printed = capsys.readouterr()
    assert said in printed.err
    assert password not in printed.err + printed.out
    assert users(schema_url) == []


def test_the_password_is_asked_for(schema_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda _prompt: "correct horse battery")
    assert main(["create-admin", "--email", "root@example.com", "--name", "Root"]) == 0
    assert users(schema_url) == [("root@example.com", "admin")]


def test_migrating_again_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate"]) == 0
    assert "The database has the newest schema, 0001." in capsys.readouterr().out


def test_no_command_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([])
    assert exit_.value.code == 2
    assert "create-admin" in capsys.readouterr().err
