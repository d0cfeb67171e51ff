"""Schemathesis over the OpenAPI document, against a real server: every check it has, as four kinds of callers.

What people keep to themselves must be in none of the answers (``tests/fuzz/secrets.py``) and not in the log.

``FUZZ_EXAMPLES`` (per operation and phase) makes it longer; ``make fuzz`` does.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.databases import both_databases, migrate, temporary_postgresql
from tests.fuzz.expected import write_config
from tests.people import PASSWORD, Person, get_tokens
from tests.servers import PATIENCE, ROOT, Server, clients, serve

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3"))
IN_SHORT = "FUZZ_EXAMPLES" not in os.environ
SEED = ["--seed", "1"] if IN_SHORT else []  # a short run is to find the same things every time, a long one new ones
ADMIN = "admin-of-fuzz@example.com"
# What ends the session that it is called in is tried last: all that came after it would be refused.
LAST = "logout|end_sessions?|erase_account|end_sessions_of_user|remove_second_factor_of_user"
# Not tomorrow: a long run goes on over midnight.
FIRST_DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=2)
REASON = "a rash behind the left knee"
LONGEST = 600  # seconds for anything that is waited for: a slow machine is no failure


@dataclass
class Target:
    """A server, and what it logs."""

    server: Server
    log: Path


@pytest.fixture(scope="module", params=both_databases("fuzz"))
async def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    folder = tmp_path_factory.mktemp("fuzz")
    async with AsyncExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite+aiosqlite:///{folder}/fuzz.db"
        else:
            url = await stack.enter_async_context(temporary_postgresql())
        await migrate(url)
        await make_admin(url)
        long_session = {"ACCESS_TOKEN_MINUTES": "1440", "SESSION_IDLE_MINUTES": "1440"}
        log = stack.enter_context((folder / "log").open("wb"))
        serving = serve(
            url,
            processes=1,
            stderr=log,
            LOG_LEVEL="info",
            REQUEST_BODY_SECONDS=str(LONGEST),
            DATABASE_TIMEOUT_SECONDS=PATIENCE,
            **long_session,
        )
        [server] = await stack.enter_async_context(serving)
        yield Target(server, folder / "log")


async def make_admin(url: str) -> None:
    """On the command line, as every administrator is made."""
    command = [sys.executable, "-m", "app.cli", "create-admin", "--email", ADMIN, "--name", "X", "--password-stdin"]
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | {"DATABASE_URL": url}, stdin=asyncio.subprocess.PIPE
    )
    await process.communicate(PASSWORD.encode())
    assert process.returncode == 0


def keep(output: bytes) -> None:
    """``FUZZ_LOG`` names a file for what a long run says."""
    if log := os.environ.get("FUZZ_LOG"):
        with Path(log).open("ab") as file:
            file.write(output)


@pytest.mark.parametrize("role", ["patient", "doctor", "admin", "nobody"])
async def test_no_request_finds_a_hole(
    target: Target, role: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server = target.server
    phases = "examples,coverage,fuzzing,stateful"
    if IN_SHORT and request.node.callspec.params["target"] == "sqlite":
        phases = "examples,fuzzing,stateful"  # the values at the edges are the same ones that PostgreSQL gets
    headers: list[str] = []
    secrets = [PASSWORD]
    async with clients([server]) as [client]:
        doctor = await Person.register(client, "doctor", email=f"doctor-of-{role}@example.com")
        patient = await Person.register(client, "patient", email=f"patient-of-{role}@example.com")
        # Something to find: a week of open time and a visit in it.
        await doctor.publish(FIRST_DAY.isoformat(), (FIRST_DAY + timedelta(days=7)).isoformat())
        await patient.book(doctor, (FIRST_DAY + timedelta(hours=10)).isoformat(), reason=REASON)
        secrets += [doctor.token, patient.token]
        if role == "nobody":
            secrets += [doctor.email, patient.email, REASON]
        else:
            email = {"doctor": doctor.email, "patient": patient.email, "admin": ADMIN}[role]
            granted = await get_tokens(client, email)
            headers = ["--header", f"Authorization: Bearer {granted['access_token']}"]
            secrets += [granted["access_token"], granted["refresh_token"]]
    config = tmp_path / "expected.toml"
    write_config(config)
    for some in ("--exclude-operation-id-regex", "--include-operation-id-regex"):
        command: list[str | Path] = [
            sys.executable, "-m", "schemathesis.cli", "--config-file", config, "run", f"{server.url}/openapi.json",
            # Cancelling with DELETE keeps the appointment, as cancelled; and with the same Idempotency-Key a request is
            # answered as it was, even if what it made is gone. The checks would call that mistakes.
            "--checks", "all", "--exclude-checks", "use_after_free,ensure_resource_availability", some, f"^({LAST})$",
            "--phases", phases, "--max-examples", str(EXAMPLES), "--max-failures", "20", "--no-color", *SEED, *headers,
            "--request-timeout", str(LONGEST), "--max-response-time", str(LONGEST),
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=tmp_path,
            env=os.environ
            | {"SCHEMATHESIS_HOOKS": "tests.fuzz.secrets", "PYTHONPATH": str(ROOT)}
            | {"FUZZ_SECRETS": "\n".join(secrets)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        keep(output)
        assert process.returncode == 0, output.decode()
        assert server.process.poll() is None
    logged = target.log.read_text()
    for word in (*secrets, doctor.email, patient.email, REASON, "Traceback"):
        assert word not in logged
