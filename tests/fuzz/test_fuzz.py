"""Schemathesis over the OpenAPI document, against a real server: every check it has, as four kinds of callers.

``FUZZ_EXAMPLES`` (per operation and phase) makes it longer; ``make fuzz`` does.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.databases import both, migrate, temporary_postgresql
from tests.people import PASSWORD, Person, log_in
from tests.servers import Server, clients, serve

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3"))
IN_SHORT = "FUZZ_EXAMPLES" not in os.environ
SEED = ["--seed", "1"] if IN_SHORT else []  # a short run is to find the same things every time, a long one new ones
ADMIN = "admin-of-fuzz@example.com"
# What ends the session that it is called in is tried last: all that came after it would be refused.
LAST = "logout|end_sessions?|erase_account|end_sessions_of_user|remove_second_factor_of_user"
# Not tomorrow: a long run goes on over midnight.
FIRST_DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=2)


@pytest.fixture(scope="module", params=both("fuzz"))
async def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with AsyncExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('fuzz')}/fuzz.db"
        else:
            url = await stack.enter_async_context(temporary_postgresql())
        await migrate(url)
        await make_admin(url)
        long_session = serve(url, processes=1, ACCESS_TOKEN_MINUTES="1440", SESSION_IDLE_MINUTES="1440")
        [server] = await stack.enter_async_context(long_session)
        yield server


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
    server: Server, role: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    phases = "examples,coverage,fuzzing,stateful"
    if IN_SHORT and request.node.callspec.params["server"] == "sqlite":
        phases = "examples,fuzzing,stateful"  # the values at the edges are the same ones that PostgreSQL gets
    headers: list[str] = []
    async with clients([server]) as [client]:
        doctor = await Person.join(client, "doctor", email=f"doctor-of-{role}@example.com")
        patient = await Person.join(client, "patient", email=f"patient-of-{role}@example.com")
        # Something to find: a week of open time and a visit in it.
        await doctor.open(FIRST_DAY.isoformat(), (FIRST_DAY + timedelta(days=7)).isoformat())
        await patient.book(doctor, (FIRST_DAY + timedelta(hours=10)).isoformat())
        if role != "nobody":
            email = {"doctor": doctor.email, "patient": patient.email, "admin": ADMIN}[role]
            headers = ["--header", f"Authorization: Bearer {await log_in(client, email)}"]
    for some in ("--exclude-operation-id-regex", "--include-operation-id-regex"):
        command: list[str | Path] = [
            sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG, "run", f"{server.url}/openapi.json",
            # Cancelling with DELETE keeps the appointment, as cancelled; and with the same Idempotency-Key a request is
            # answered as it was, even if what it made is gone. The checks would call that mistakes.
            "--checks", "all", "--exclude-checks", "use_after_free,ensure_resource_availability", some, f"^({LAST})$",
            "--phases", phases, "--max-examples", str(EXAMPLES), "--max-failures", "20", "--no-color", *SEED, *headers,
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await process.communicate()
        keep(output)
        assert process.returncode == 0, output.decode()
        assert server.process.poll() is None
