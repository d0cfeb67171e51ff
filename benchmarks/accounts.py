"""Whether the time of an answer tells that an address has an account.

One server process on an SQLite file, on loopback, with hashing as expensive as it is in production. There are as many
addresses with an account as without one. For each, somebody sends a wrong password to `POST /auth/login`, and asks for
a reset token at `POST /auth/forgot-password`; so few times an address that nobody is made to wait. Requests are sent
one at a time, over one connection. Known and unknown addresses alternate in pairs, whose order within is by chance but
the same every time, so that what else the machine does meanwhile falls on both.

The table shows medians, and the ratio known to unknown with the range in which it lies in 95 % of 2000 bootstrap
samples. The claim, which the exit status follows: the ratio of each endpoint, as the median of those of ten tenths of
the samples, lies between 0.95 and 1.05.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import httpx2

from app.core.settings import OWASP_MEMORY_KIB, OWASP_PASSES
from benchmarks.comparing import Comparison, between, make_parser, record, result_table, stop_on_sigterm, table
from tests.people import PASSWORD
from tests.servers import serve

type Times = dict[tuple[str, str], list[float]]
"""Seconds, of an endpoint and a kind of address."""

ADDRESSES = 50  # of each kind
FIRST = 10  # samples that do not count
MIN_SAMPLES, DEFAULT_SAMPLES = 40, 200
MAX_SAMPLES = 5 * ADDRESSES - FIRST  # five reset tokens an address; ten wrong passwords
PAUSE = 0.01  # seconds, in which the server does what it does after an answer
CLOSEST, FURTHEST = 0.95, 1.05
RESAMPLED, TENTHS = 2000, 10
MAX_ANSWER = 60  # seconds

LOG_IN, FORGOT = "POST /auth/login", "POST /auth/forgot-password"
KNOWN, UNKNOWN = "known", "unknown"


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison and prints it; the exit status is 0 if the claim holds."""
    parser = make_parser("accounts", "Look for accounts by the time of an answer.")
    parser.add_argument(
        "--samples",
        type=between(MIN_SAMPLES, MAX_SAMPLES),
        default=DEFAULT_SAMPLES,
        help="of each kind; %(default)s unless given",
    )
    options = parser.parse_args(arguments)
    stop_on_sigterm()
    with silence():
        times = asyncio.run(measure(options.samples))
    comparisons = [
        Comparison(
            f"time of {name} for a known address, compared with an unknown one",
            [ratio(times[name, KNOWN][part::TENTHS], times[name, UNKNOWN][part::TENTHS]) for part in range(TENTHS)],
            at_least=CLOSEST,
            at_most=FURTHEST,
        )
        for name in (LOG_IN, FORGOT)
    ]
    print(times_table(times), "", result_table(comparisons), sep="\n")
    return record("accounts", comparisons, options.results)


def address(kind: str, number: int) -> str:
    # As long as each other, and neither before the other in the alphabet.
    return f"person{2 * number + (kind == KNOWN):03}@example.com"


@contextmanager
def silence() -> Iterator[None]:
    """Standard output goes nowhere meanwhile; servers write the messages there that they would send."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


async def measure(samples: int) -> Times:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder)}/accounts.db"
        hashing: dict[str, Any] = {
            "PASSWORD_MEMORY_KIB": str(OWASP_MEMORY_KIB),
            "PASSWORD_PASSES": str(OWASP_PASSES),
        }
        async with (
            serve(url, 1, **hashing) as [server],
            # There is no TLS to verify.
            httpx2.AsyncClient(base_url=server.url, timeout=MAX_ANSWER, verify=False) as client,
        ):
            for number in range(ADDRESSES):
                await register(client, address(KNOWN, number))
            times: Times = {(name, kind): [] for name in (LOG_IN, FORGOT) for kind in (KNOWN, UNKNOWN)}
            for name, kind, email in order(samples):
                times[name, kind].append(await ask(client, name, email))
                await asyncio.sleep(PAUSE)
    return {which: seconds[FIRST:] for which, seconds in times.items()}


async def register(client: httpx2.AsyncClient, email: str) -> None:
    body = {"email": email, "password": PASSWORD, "name": "A patient", "role": "patient"}
    (await client.post("/auth/register", json=body)).raise_for_status()


def order(samples: int) -> Iterator[tuple[str, str, str]]:
    """What is asked about whom; an address comes again only after all others."""
    chance = Random(20261201)
    for number in range(samples + FIRST):
        pair = [KNOWN, UNKNOWN]
        for name in (LOG_IN, FORGOT):
            chance.shuffle(pair)
            for kind in pair:
                yield name, kind, address(kind, number % ADDRESSES)


async def ask(client: httpx2.AsyncClient, name: str, email: str) -> float:
    if name == LOG_IN:
        request = client.build_request("POST", "/auth/login", data={"username": email, "password": "a wrong one"})
        expected = 401
    else:
        request = client.build_request("POST", "/auth/forgot-password", json={"email": email})
        expected = 200
    started = perf_counter()
    answer = await client.send(request)
    seconds = perf_counter() - started
    if answer.status_code != expected:
        raise RuntimeError(f"not an answer to this question: {answer.status_code} {answer.text}")
    return seconds


def ratio(known: Sequence[float], unknown: Sequence[float]) -> float:
    return median(known) / median(unknown)


def interval(known: Sequence[float], unknown: Sequence[float]) -> tuple[float, float]:
    chance = Random(20261201)
    ratios = [
        ratio(chance.choices(known, k=len(known)), chance.choices(unknown, k=len(unknown))) for _ in range(RESAMPLED)
    ]
    cuts = quantiles(ratios, n=40)
    return cuts[0], cuts[-1]


def times_table(times: Times) -> str:
    rows = [["endpoint", "samples of each", "known", "unknown", "known / unknown", "95 % interval"]]
    for name in (LOG_IN, FORGOT):
        known, unknown = times[name, KNOWN], times[name, UNKNOWN]
        low, high = interval(known, unknown)
        medians = [f"{1000 * median(seconds):.2f} ms" for seconds in (known, unknown)]
        rows.append(
            [f"`{name}`", str(len(known)), *medians, f"{ratio(known, unknown):.3f}", f"{low:.3f} to {high:.3f}"]
        )
    return table(rows)


if __name__ == "__main__":
    sys.exit(main())
