"""Record the statements of bookings and replay them with pgbench, to measure the limit of the database itself.

Statements and values are recorded from the application while it books, one booking after the other and in-process. So
the replay always matches the code. pgbench, which comes with the server, then replays the bookings on a database
without them, over several connections, as prepared statements in the same transactions.

pgbench reads the values of each booking from a table. The time that this takes is measured separately and subtracted.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import URL

from app.core import clock
from app.core.settings import Settings
from app.main import create_app, open_resources
from benchmarks.databases import connect_to
from tests.postgres import PostgresServer
from tests.statements import observing

type Statement = tuple[str, tuple[Any, ...]]
"""The SQL of a statement and its parameters."""

CONNECTIONS, THREADS = 8, 2
MAX_REPLAY_SECONDS = 120
TABLE = "replayed_bookings"
READ_VALUES = f"\\set i :i + 1\n\\set n :i * {CONNECTIONS} + :client_id\nSELECT * FROM {TABLE} WHERE n = :n \\gset\n"
_PARAMETER = re.compile(r"\$(\d+)")


async def record_bookings(
    settings: Settings, bookings: Sequence[tuple[dict[str, str], dict[str, str]]]
) -> list[list[Statement]]:
    """Make the bookings, given as headers and bodies, one after the other. Return the statements of each."""
    app = create_app(settings)
    recorded = []
    # Without the lifespan, because the jobs that it starts send statements that do not belong to a booking.
    async with open_resources(settings, clock.now, None) as app.state.resources:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://bench") as client:
            for headers, body in bookings:
                with _record_statements() as statements:
                    response = await client.post("/appointments", headers=headers, json=body)
                if response.status_code != 201:
                    raise RuntimeError(f"unexpected response: {response.status_code} {response.text}")
                recorded.append(statements)
    return recorded


@contextmanager
def _record_statements() -> Iterator[list[Statement]]:
    statements: list[Statement] = []

    with observing(lambda statement, values: statements.append((statement, values))):
        yield statements


async def prepare_replay(url: URL, recorded: Sequence[Sequence[Statement]], folder: Path) -> tuple[Path, Path]:
    """Store the values in the database. Return two scripts: one replays a booking, one only reads its values."""
    texts = {tuple(statement for statement, _ in each) for each in recorded}
    if len(texts) != 1:
        raise RuntimeError(f"bookings differ in their statements: {texts}")
    rows = [[_to_text(value) for _, values in each for value in values] for each in recorded]
    columns = [f"v{number}" for number in range(len(rows[0]))]
    async with connect_to(url) as connection:
        await connection.execute(
            f"CREATE TABLE {TABLE} (n integer PRIMARY KEY, {', '.join(f'{name} text' for name in columns)})"
        )
        records = [(number, *row) for number, row in enumerate(rows)]
        await connection.copy_records_to_table(TABLE, records=records)
        await connection.execute("ANALYZE")
    # A variable of pgbench cannot be NULL. A value is NULL in all bookings or in none, because all are alike.
    missing = {name for number, name in enumerate(columns) if all(row[number] is None for row in rows)}
    names = iter(columns)
    lines = [_script(statement, [next(names) for _ in values], missing) for statement, values in recorded[0]]
    booking_script, values_script = folder / "booking.sql", folder / "values.sql"
    booking_script.write_text("\n".join([READ_VALUES, "BEGIN;", *lines, "COMMIT;", ""]))
    values_script.write_text(READ_VALUES)
    return booking_script, values_script


def _script(statement: str, names: Sequence[str], missing: set[str]) -> str:
    def variable(match: re.Match[str]) -> str:
        name = names[int(match[1]) - 1]
        return "NULL" if name in missing else f":{name}"

    return _PARAMETER.sub(variable, " ".join(statement.split())) + ";"


def _to_text(value: Any) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, datetime) else str(value)


async def replay(server: PostgresServer, url: URL, scripts: tuple[Path, Path], count: int) -> float:
    """Replay the first ``count`` bookings once and return the seconds, without the time to read the values."""
    booking_seconds, values_seconds = [await _seconds_each(server, url, script, count) for script in scripts]
    await count_bookings(url, count)
    return (booking_seconds - values_seconds) * count


async def count_bookings(url: URL, count: int) -> None:
    """Raise ``RuntimeError`` unless the database contains ``count`` appointments."""
    async with connect_to(url) as connection:
        booked = await connection.fetchval("SELECT count(*) FROM appointments")
    if booked != count:
        raise RuntimeError(f"{booked} bookings instead of {count}")


async def _seconds_each(server: PostgresServer, url: URL, script: Path, count: int) -> float:
    command: list[str | Path] = [
        *(server.program("pgbench"), "--no-vacuum", "--protocol=prepared", "--define=i=-1", f"--file={script}"),
        *(f"--client={CONNECTIONS}", f"--jobs={THREADS}", f"--transactions={count // CONNECTIONS}"),
        *(f"--host={url.query['host']}", f"--username={url.username}", str(url.database)),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(MAX_REPLAY_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    match = re.search(r"^tps = ([\d.]+)", output.decode(), re.MULTILINE)
    if process.returncode or not match:
        raise RuntimeError(f"pgbench failed: {output.decode()}")
    return 1 / float(match[1])
