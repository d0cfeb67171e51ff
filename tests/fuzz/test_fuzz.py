"""Schemathesis sends requests that it generates from the OpenAPI document to a real server, as four kinds of callers.

All its checks are used. Secrets of users must be neither in a response (``tests/fuzz/secrets.py``) nor in the log.

``FUZZ_EXAMPLES`` sets the number of examples per operation and phase. ``make fuzz`` sets a high number.
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
IS_SHORT = "FUZZ_EXAMPLES" not in os.environ
SEED = ["--seed", "1"] if IS_SHORT else []  # a short run is reproducible, a long one is random
ADMIN = "admin-of-fuzz@example.com"
# Operations that end the caller's session run last, because later requests would be refused.
RUN_LAST = "logout|end_sessions?|erase_account|end_sessions_of_user|remove_second_factor_of_user"
# Not tomorrow, because a long run may continue after midnight.
FIRST_DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=2)
REASON = "a rash behind the left knee"
MAX_WAIT_SECONDS = 600  # so high that a slow machine does not cause failures


@dataclass
class Target:
    """A server and its log."""

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
        session_settings = {"ACCESS_TOKEN_MINUTES": "1440", "SESSION_IDLE_MINUTES": "1440"}
        log = stack.enter_context((folder / "log").open("wb"))
        serving = serve(
            url,
            processes=1,
            stderr=log,
            LOG_LEVEL="info",
            REQUEST_BODY_SECONDS=str(MAX_WAIT_SECONDS),
            DATABASE_TIMEOUT_SECONDS=PATIENCE,
            **session_settings,
        )
        [server] = await stack.enter_async_context(serving)
        yield Target(server, folder / "log")


async def make_admin(url: str) -> None:
    """Create an administrator on the command line."""
    command = [sys.executable, "-m", "app.cli", "create-admin", "--email", ADMIN, "--name", "X", "--password-stdin"]
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | {"DATABASE_URL": url}, stdin=asyncio.subprocess.PIPE
    )
    await process.communicate(PASSWORD.encode())
    assert process.returncode == 0


def append_to_log(output: bytes) -> None:
    """Append the output of Schemathesis to the file named by ``FUZZ_LOG``, if it is set."""
    if log := os.environ.get("FUZZ_LOG"):
        with Path(log).open("ab") as file:
            file.write(output)


@pytest.mark.parametrize("role", ["patient", "doctor", "admin", "anonymous"])
async def test_generated_requests_pass_all_checks(
    target: Target, role: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server = target.server
    phases = "examples,coverage,fuzzing,stateful"
    if IS_SHORT and (role == "anonymous" or request.node.callspec.params["target"] == "sqlite"):
        # Boundary values are sent to PostgreSQL, and to public operations by users: they get the same response.
        phases = "examples,fuzzing,stateful"
    headers: list[str] = []
    secrets = [PASSWORD]
    async with clients([server]) as [client]:
        doctor = await Person.register(client, "doctor", email=f"doctor-of-{role}@example.com")
        patient = await Person.register(client, "patient", email=f"patient-of-{role}@example.com")
        # Data for the requests to find: a week of availability and a visit in it.
        await doctor.publish(FIRST_DAY.isoformat(), (FIRST_DAY + timedelta(days=7)).isoformat())
        await patient.book(doctor, (FIRST_DAY + timedelta(hours=10)).isoformat(), reason=REASON)
        secrets += [doctor.token, patient.token]
        if role == "anonymous":
            secrets += [doctor.email, patient.email, REASON]
        else:
            email = {"doctor": doctor.email, "patient": patient.email, "admin": ADMIN}[role]
            tokens = await get_tokens(client, email)
            headers = ["--header", f"Authorization: Bearer {tokens['access_token']}"]
            secrets += [tokens["access_token"], tokens["refresh_token"]]
    config = tmp_path / "expected.toml"
    write_config(config)
    for option in ("--exclude-operation-id-regex", "--include-operation-id-regex"):
        command: list[str | Path] = [
            sys.executable, "-m", "schemathesis.cli", "--config-file", config, "run", f"{server.url}/openapi.json",
            # The excluded checks would report two intended behaviours: DELETE cancels an appointment without deleting
            # it, and a repeated Idempotency-Key returns the first response even if its object no longer exists.
            "--checks", "all", "--exclude-checks", "use_after_free,ensure_resource_availability",
            option, f"^({RUN_LAST})$", "--phases", phases, "--max-examples", str(EXAMPLES), "--max-failures", "20",
            "--no-color", *SEED, *headers,
            "--request-timeout", str(MAX_WAIT_SECONDS), "--max-response-time", str(MAX_WAIT_SECONDS),
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
        append_to_log(output)
        assert process.returncode == 0, output.decode()
        assert server.process.is_alive()
    logged = target.log.read_text()
    for text in (*secrets, doctor.email, patient.email, REASON, "Traceback"):
        assert text not in logged
