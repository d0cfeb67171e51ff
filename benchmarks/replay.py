"""The database's own limit: the statements of bookings, as the application has sent them, by pgbench.

They are recorded from the application itself while it makes real bookings, one after the other and in-process, with
their values; so the replay cannot drift from it. pgbench, which comes with the server, then plays the same bookings on
a database in which nobody has made them, over many connections, as prepared statements in the same transactions.

pgbench reads the values of each booking from a table. What that takes is measured alone, and taken off.
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

from app.adapters.mail import print_mail
from app.core import clock
from app.core.settings import Settings
from app.main import create_app, open_resources
from benchmarks.databases import connected
from tests.postgres import PostgresServer
from tests.statements import observing

type Statement = tuple[str, tuple[Any, ...]]
"""What was sent, and its values."""

CONNECTIONS, THREADS = 8, 2
MAX_REPLAY = 120  # seconds
TABLE = "replayed_bookings"
READ_VALUES = f"\\set i :i + 1\n\\set n :i * {CONNECTIONS} + :client_id\nSELECT * FROM {TABLE} WHERE n = :n \\gset\n"
_PARAMETER = re.compile(r"\$(\d+)")


async def record_bookings(
    settings: Settings, bookings: Sequence[tuple[dict[str, str], dict[str, str]]]
) -> list[list[Statement]]:
    """The statements of each booking, given as its headers and its body; they are made, one after the other."""
    app = create_app(settings)
    recorded = []
    # Without its lifespan, in which the audit trail is sealed: those statements belong to no booking.
    async with open_resources(settings, clock.now, print_mail) as app.state.resources:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://bench") as client:
            for headers, body in bookings:
                with _listening() as statements:
                    answer = await client.post("/appointments", headers=headers, json=body)
                if answer.status_code != 201:
                    raise RuntimeError(f"not a booking: {answer.status_code} {answer.text}")
                recorded.append(statements)
    return recorded


@contextmanager
def _listening() -> Iterator[list[Statement]]:
    seen: list[Statement] = []

    with observing(lambda statement, values: seen.append((statement, values))):
        yield seen


async def prepare_replay(url: URL, recorded: Sequence[Sequence[Statement]], folder: Path) -> tuple[Path, Path]:
    """Puts the values into the database; returns the scripts that play a booking, and that read its values only."""
    texts = {tuple(statement for statement, _ in each) for each in recorded}
    if len(texts) != 1:
        raise RuntimeError(f"bookings differ in their statements: {texts}")
    rows = [[_written(value) for _, values in each for value in values] for each in recorded]
    columns = [f"v{number}" for number in range(len(rows[0]))]
    async with connected(url) as connection:
        await connection.execute(
            f"CREATE TABLE {TABLE} (n integer PRIMARY KEY, {', '.join(f'{name} text' for name in columns)})"
        )
        records = [(number, *row) for number, row in enumerate(rows)]
        await connection.copy_records_to_table(TABLE, records=records)
        await connection.execute("ANALYZE")
    # pgbench knows no NULL; a value that is missing once is missing always, or the bookings would not be alike.
    missing = {name for number, name in enumerate(columns) if all(row[number] is None for row in rows)}
    names = iter(columns)
    lines = [_script(statement, [next(names) for _ in values], missing) for statement, values in recorded[0]]
    whole, values_only = folder / "booking.sql", folder / "values.sql"
    whole.write_text("\n".join([READ_VALUES, "BEGIN;", *lines, "COMMIT;", ""]))
    values_only.write_text(READ_VALUES)
    return whole, values_only


def _script(statement: str, names: Sequence[str], missing: set[str]) -> str:
    def variable(match: re.Match[str]) -> str:
        name = names[int(match[1]) - 1]
        return "NULL" if name in missing else f":{name}"

    return _PARAMETER.sub(variable, " ".join(statement.split())) + ";"


def _written(value: Any) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, datetime) else str(value)


async def replay(server: PostgresServer, url: URL, scripts: tuple[Path, Path], count: int) -> float:
    """Seconds for ``count`` bookings, if the database had nothing else to do; the first ones, each of them once."""
    whole, values_only = [await _seconds_each(server, url, script, count) for script in scripts]
    await count_bookings(url, count)
    return (whole - values_only) * count


async def count_bookings(url: URL, count: int) -> None:
    """Raises an error unless there are as many bookings as were played."""
    async with connected(url) as connection:
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
        async with asyncio.timeout(MAX_REPLAY):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    found = re.search(r"^tps = ([\d.]+)", output.decode(), re.MULTILINE)
    if process.returncode or not found:
        raise RuntimeError(f"pgbench has failed: {output.decode()}")
    return 1 / float(found[1])
