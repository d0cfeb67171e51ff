"""What authentication and the middlewares cost, together.

Two uvicorn processes on loopback, on one PostgreSQL database: the application, and the bare routes of
`benchmarks/bare.py`. `GET /auth/me` asks who calls (a signed token, and one statement for its session and account) and
passes every middleware, then reads the caller's account. It is held against a bare route that reads the same account,
and against one that does nothing at all.

They take turns in every round, in changing order, after a first round that does not count. What is compared, within
the round, is the CPU that the server process uses for an answer, user and system. The log is at `warning`, and no rate
is counted, for all requests come from one address.

The claim, which the exit status follows: at most 2.5 times the CPU of the bare route that does the same.
"""

import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import uvloop

from benchmarks.clinics import load_clinic, log_in
from benchmarks.comparing import Comparison, ratios, read_options, record, result_table, stop_on_sigterm, take_turns
from benchmarks.crowd import Run, send_all, write_request
from tests.databases import migrate, settings_for
from tests.postgres import PostgresServer
from tests.servers import Server, serve

MIN_ROUNDS, DEFAULT_ROUNDS, MAX_ROUNDS = 5, 9, 21
REQUESTS, CONNECTIONS, PEOPLE = 1500, 4, 100
AUTHENTICATED, SAME_READING, NOTHING = "authenticated", "the same reading", "nothing"


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison and prints it; the exit status is 0 if the claim holds."""
    options = read_options(
        "routes", "Compare routes.", arguments, fewest=MIN_ROUNDS, usual=DEFAULT_ROUNDS, most=MAX_ROUNDS
    )
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as folder, closing(PostgresServer()) as server:
        comparisons = uvloop.run(compare(server.url, Path(folder), options.rounds))
    print(result_table(comparisons))
    return record("routes", comparisons, options.results)


async def compare(url: str, folder: Path, rounds: int) -> list[Comparison]:
    await migrate(url)
    clinic = await load_clinic(url, now=datetime.now(UTC), doctors=1, patients=PEOPLE)
    tokens = await log_in(url, clinic.patients, settings_for(url))
    own = [write_request("GET", "/auth/me", headers={"Authorization": f"Bearer {token}"}) for token in tokens]
    read = [write_request("GET", f"/users/{user}") for user in clinic.patients]
    async with AsyncExitStack() as stack:
        log = stack.enter_context((folder / "log").open("wb"))
        application = await stack.enter_async_context(serve(url, 1, stderr=log))
        bare = await stack.enter_async_context(serve(url, 1, stderr=log, app="benchmarks.bare:app"))

        def asking(servers: Sequence[Server], requests: Sequence[bytes]) -> Callable[[], Awaitable[Run]]:
            many = list(islice(cycle(requests), REQUESTS))
            return partial(send_all, servers, many, status=200, connections=CONNECTIONS)

        runs = await take_turns(
            {
                AUTHENTICATED: asking(application, own),
                SAME_READING: asking(bare, read),
                NOTHING: asking(bare, [write_request("GET", "/nothing")]),
            },
            rounds,
        )
    cpu = {name: [run.cpu_each for run in each] for name, each in runs.items()}
    return [
        Comparison(
            "CPU of an authenticated route, compared with a bare route that does the same",
            ratios(cpu[AUTHENTICATED], cpu[SAME_READING]),
            at_most=2.5,
        ),
        Comparison(
            "CPU of an authenticated route, compared with a bare route that does nothing",
            ratios(cpu[AUTHENTICATED], cpu[NOTHING]),
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
