"""PgBouncer in transaction mode, where each transaction may use another connection of the server."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from sqlalchemy.engine import make_url

from tests.databases import migrate, temporary_postgresql
from tests.people import Person
from tests.servers import Server, clients, serve

pytestmark = pytest.mark.slow

SERVER_CONNECTIONS = 3


@contextmanager
def open_pooler(url: str, folder: Path) -> Iterator[str]:
    """Start PgBouncer in front of a database; yield the URL of the database through it."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        assert "CI" not in os.environ, "the tests of poolers need PgBouncer"
        pytest.skip("no PgBouncer here; apt-get install pgbouncer")
    target = make_url(url)
    password = f" password={target.password}" if target.password else ""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    config = folder / "pgbouncer.ini"
    host = target.host or target.query["host"]
    config.write_text(
        f"""
        [databases]
        * = host={host} port={target.port or 5432} user={target.username}{password}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = any
        pool_mode = transaction
        default_pool_size = {SERVER_CONNECTIONS}
        """
    )
    # PgBouncer refuses to run as root, and an unprivileged user cannot read the folder of a test.
    user = "nobody" if os.geteuid() == 0 else None
    readable = Path(f"/tmp/pgbouncer-{port}.ini")
    shutil.copy(config, readable)
    process = subprocess.Popen([program, "-q", readable], user=user, cwd="/")
    try:
        yield target.set(username="anybody", password=None, host="127.0.0.1", port=port, query={}).render_as_string(
            hide_password=False
        )
    finally:
        process.terminate()
        process.wait(10)
        readable.unlink()


async def book_at_once(client: httpx2.AsyncClient) -> list[list[int]]:
    """Return the statuses of patients who book different times, and of patients who book the same time."""
    doctor = await Person.register(client, "doctor")
    await doctor.publish("2030-01-07T09:00:00Z", "2030-01-07T17:00:00Z")
    patients = [await Person.register(client, "patient") for _ in range(12)]
    starts = [f"2030-01-07T{9 + number // 2:02}:{number % 2 * 30:02}:00Z" for number in range(12)]
    different = await asyncio.gather(
        *(each.try_to_book(doctor, start) for each, start in zip(patients, starts, strict=True))
    )
    same = await asyncio.gather(*(each.try_to_book(doctor, "2030-01-07T16:00:00Z") for each in patients))
    return [[response.status_code for response in responses] for responses in (different, same)]


async def test_server_without_prepared_statements_works_behind_a_pooler(tmp_path: Path) -> None:
    async with temporary_postgresql() as url:
        await migrate(url)
        with open_pooler(url, tmp_path) as pooled:
            async with (
                serve(pooled, 1, DATABASE_PREPARED_STATEMENTS="off", DATABASE_TIMEOUT_SECONDS="30") as servers,
                clients(servers) as [client],
            ):
                different, same = await book_at_once(client)
    assert different == [201] * 12
    assert sorted(same) == [201] + [409] * 11


async def test_server_with_prepared_statements_does_not_start_behind_a_pooler(tmp_path: Path) -> None:
    async with temporary_postgresql() as url:
        await migrate(url)
        with open_pooler(url, tmp_path) as pooled, (tmp_path / "log").open("wb") as log:
            server = Server(pooled, stderr=log)
            await asyncio.to_thread(server.process.join, 120)
            assert server.process.exitcode not in {0, None}
        assert "unsupported startup parameter" in (tmp_path / "log").read_text()
