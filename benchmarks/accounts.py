"""Check that response times do not reveal whether an address has an account.

One server process runs on loopback with an SQLite file and with password hashing as expensive as in production. There
are as many addresses with an account as without one. For each address, `POST /auth/login` is called with a wrong
password, and `POST /auth/forgot-password` requests a reset token. The number of requests per address stays below the
limits that delay requests. Requests are sent one at a time, over one connection. Known and unknown addresses alternate
in pairs. The order within a pair is random but reproducible, so other load on the machine affects both equally.

The table shows medians and the ratio of known to unknown with its 95 % interval from 2000 bootstrap samples. The
samples are divided into ten parts, each with its own ratio. Claim: for each endpoint the median of these ten ratios is
between 0.95 and 1.05. The exit status is 0 if it holds.
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
from benchmarks.comparing import Comparison, integer_between, make_parser, record, result_table, stop_on_sigterm, table
from tests.people import PASSWORD
from tests.servers import serve

type Times = dict[tuple[str, str], list[float]]
"""Response times in seconds, by endpoint and kind of address."""

ADDRESSES = 50  # of each kind
WARM_UP_SAMPLES = 10  # not counted
MIN_SAMPLES, DEFAULT_SAMPLES = 40, 200
MAX_SAMPLES = 5 * ADDRESSES - WARM_UP_SAMPLES  # within the limits per address: five reset tokens, ten wrong passwords
PAUSE_SECONDS = 0.01  # for the work that the server does after a response
MIN_RATIO, MAX_RATIO = 0.95, 1.05
RESAMPLES, PARTS = 2000, 10
MAX_RESPONSE_SECONDS = 60

LOG_IN, FORGOT = "POST /auth/login", "POST /auth/forgot-password"
KNOWN, UNKNOWN = "known", "unknown"


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison and print the results. Return 0 if the claim holds, else 1."""
    parser = make_parser("accounts", "Try to detect accounts by response times.")
    parser.add_argument(
        "--samples",
        type=integer_between(MIN_SAMPLES, MAX_SAMPLES),
        default=DEFAULT_SAMPLES,
        help="the number of samples of each kind (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    stop_on_sigterm()
    with discard_stdout():
        times = asyncio.run(measure(options.samples))
    comparisons = [
        Comparison(
            f"time of {name} for a known address, compared with an unknown one",
            [ratio(times[name, KNOWN][part::PARTS], times[name, UNKNOWN][part::PARTS]) for part in range(PARTS)],
            at_least=MIN_RATIO,
            at_most=MAX_RATIO,
        )
        for name in (LOG_IN, FORGOT)
    ]
    print(times_table(times), "", result_table(comparisons), sep="\n")
    return record("accounts", comparisons, options.results)


def address(kind: str, number: int) -> str:
    # Addresses of both kinds have the same length and alternate in alphabetical order.
    return f"person{2 * number + (kind == KNOWN):03}@example.com"


@contextmanager
def discard_stdout() -> Iterator[None]:
    """Discard the standard output, to which the servers print their mails."""
    sys.stdout.flush()
    stdout = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)


async def measure(samples: int) -> Times:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder)}/accounts.db"
        hashing: dict[str, Any] = {
            "PASSWORD_MEMORY_KIB": str(OWASP_MEMORY_KIB),
            "PASSWORD_PASSES": str(OWASP_PASSES),
        }
        async with (
            serve(url, 1, **hashing) as [server],
            # Without TLS there is nothing to verify, and loading the certificates takes time.
            httpx2.AsyncClient(base_url=server.url, timeout=MAX_RESPONSE_SECONDS, verify=False) as client,
        ):
            for number in range(ADDRESSES):
                await register(client, address(KNOWN, number))
            times: Times = {(name, kind): [] for name in (LOG_IN, FORGOT) for kind in (KNOWN, UNKNOWN)}
            for name, kind, email in schedule(samples):
                times[name, kind].append(await time_request(client, name, email))
                await asyncio.sleep(PAUSE_SECONDS)
    return {key: seconds[WARM_UP_SAMPLES:] for key, seconds in times.items()}


async def register(client: httpx2.AsyncClient, email: str) -> None:
    body = {"email": email, "password": PASSWORD, "name": "A patient", "role": "patient"}
    (await client.post("/auth/register", json=body)).raise_for_status()


def schedule(samples: int) -> Iterator[tuple[str, str, str]]:
    """Yield the endpoint, the kind and the address of each request. An address is used again only after all others."""
    random = Random(20261201)
    for number in range(samples + WARM_UP_SAMPLES):
        pair = [KNOWN, UNKNOWN]
        for name in (LOG_IN, FORGOT):
            random.shuffle(pair)
            for kind in pair:
                yield name, kind, address(kind, number % ADDRESSES)


async def time_request(client: httpx2.AsyncClient, name: str, email: str) -> float:
    if name == LOG_IN:
        request = client.build_request("POST", "/auth/login", data={"username": email, "password": "a wrong one"})
        expected = 401
    else:
        request = client.build_request("POST", "/auth/forgot-password", json={"email": email})
        expected = 200
    started = perf_counter()
    response = await client.send(request)
    seconds = perf_counter() - started
    if response.status_code != expected:
        raise RuntimeError(f"unexpected response: {response.status_code} {response.text}")
    return seconds


def ratio(known: Sequence[float], unknown: Sequence[float]) -> float:
    return median(known) / median(unknown)


def interval(known: Sequence[float], unknown: Sequence[float]) -> tuple[float, float]:
    random = Random(20261201)
    ratios = [
        ratio(random.choices(known, k=len(known)), random.choices(unknown, k=len(unknown))) for _ in range(RESAMPLES)
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
