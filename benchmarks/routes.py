"""Measure the cost of authentication and middleware together.

Two uvicorn processes run on loopback with one PostgreSQL database: the application, and the bare routes of
`benchmarks/bare.py`. `GET /auth/me` passes all middleware, authenticates (a signed token, and one statement for its
session and account), and reads the caller's account. It is compared with a bare route that reads the same account, and
with one that does nothing.

The routes are measured alternately in every round, in changing order, after a first round that is not counted. The CPU
time of the server process per response, user and system, is compared within the round. The log level is `warning`, and
rate limits are off, because all requests come from one address.

Claim: the route uses at most 2.5 times the CPU of the bare route that does the same. The exit status is 0 if it holds.
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
REQUESTS, CONNECTIONS, PATIENTS = 1500, 4, 100
AUTHENTICATED, SAME_READ, NOTHING = "authenticated", "same read", "nothing"


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison and print the results. Return 0 if the claim holds, else 1."""
    options = read_options(
        "routes", "Compare routes.", arguments, minimum=MIN_ROUNDS, default=DEFAULT_ROUNDS, maximum=MAX_ROUNDS
    )
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as folder, closing(PostgresServer()) as server:
        comparisons = uvloop.run(compare(server.url, Path(folder), options.rounds))
    print(result_table(comparisons))
    return record("routes", comparisons, options.results)


async def compare(url: str, folder: Path, rounds: int) -> list[Comparison]:
    await migrate(url)
    clinic = await load_clinic(url, now=datetime.now(UTC), doctors=1, patients=PATIENTS)
    tokens = await log_in(url, clinic.patients, settings_for(url))
    own_requests = [write_request("GET", "/auth/me", headers={"Authorization": f"Bearer {token}"}) for token in tokens]
    read_requests = [write_request("GET", f"/users/{user}") for user in clinic.patients]
    async with AsyncExitStack() as stack:
        log = stack.enter_context((folder / "log").open("wb"))
        application = await stack.enter_async_context(serve(url, 1, stderr=log))
        bare = await stack.enter_async_context(serve(url, 1, stderr=log, app="benchmarks.bare:app"))

        def send_many(servers: Sequence[Server], requests: Sequence[bytes]) -> Callable[[], Awaitable[Run]]:
            repeated = list(islice(cycle(requests), REQUESTS))
            return partial(send_all, servers, repeated, status=200, connections=CONNECTIONS)

        runs = await take_turns(
            {
                AUTHENTICATED: send_many(application, own_requests),
                SAME_READ: send_many(bare, read_requests),
                NOTHING: send_many(bare, [write_request("GET", "/nothing")]),
            },
            rounds,
        )
    cpu = {name: [run.cpu_per_request for run in each] for name, each in runs.items()}
    return [
        Comparison(
            "CPU of an authenticated route, compared with a bare route that does the same",
            ratios(cpu[AUTHENTICATED], cpu[SAME_READ]),
            at_most=2.5,
        ),
        Comparison(
            "CPU of an authenticated route, compared with a bare route that does nothing",
            ratios(cpu[AUTHENTICATED], cpu[NOTHING]),
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
