"""Runs all comparisons, one after the other: `make bench`; or some: `python -m benchmarks search growth`.

Each is a script of its own (`python -m benchmarks.booking`), says in its docstring what it does and claims, and can be
run alone. What they find, as ratios, goes to `benchmarks/results.json`, and some of them to `docs/performance.md`. The
exit status is 0 if all claims hold. It takes some 25 minutes, on an otherwise idle machine.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.comparing import table

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
SCRIPTS = (
    "booking",
    "routes",
    "search",
    "growth",
    "engines",
    "race",
    "engine",
    "listing",
    "pages",
    "accounts",
    "attack",
)
FIGURES: Mapping[str, Sequence[str]] = {
    "booking": (
        "rate of bookings, compared with the limit of asyncpg",
        "rate of bookings, compared with the straightforward implementation",
        "CPU of a booking, compared with raw asyncpg",
        "rate of bookings with one doctor, compared with many doctors",
    ),
    "routes": ("CPU of an authenticated route, compared with a bare route that does the same",),
    "growth": (
        "time of a booking with a million appointments, compared with none",
        "time of 30 days of a doctor's slots with 100,000 doctors, compared with 100",
    ),
    "search": (
        "days and hours, a specialist, a language, compared with 100 doctors: 100,000 doctors, PostgreSQL",
        "median search, compared with 10 ms: 100,000 doctors, PostgreSQL",
        "median search, compared with 10 ms: 10,000 doctors, SQLite",
    ),
    "engines": ("time of a booking, SQLite compared with PostgreSQL",),
    "race": ("slowest loser, over HTTP, compared with a unique index",),
    "engine": ("time of the reference implementation, compared with the engine (cold cache): 30 days, 300 bookings",),
    "listing": ("time of 30 days, 300 bookings, compared with an empty week: PostgreSQL, 100,000 bookings in all",),
    "pages": ("time of /, compared with the calls behind it: PostgreSQL",),
    "accounts": ("time of POST /auth/login for a known address, compared with an unknown one",),
    "attack": (
        "99th percentile under attack, compared with a quiet round: PostgreSQL",
        "99th percentile under attack, compared with a quiet round: SQLite",
    ),
}
"""The comparisons that the page shows, by script; results.json has all of them."""
MARKER = "<!-- figures, written by `python -m benchmarks` -->"
LONGEST = 900  # seconds, of one script


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs them all, whatever comes of each; the exit status is 0 if all claims hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run comparisons and keep the results.")
    parser.add_argument("names", nargs="*", choices=SCRIPTS, help="all unless given")
    failed = []
    for name in parser.parse_args(arguments).names or SCRIPTS:
        print(f"\n## {name}\n", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", "--results", str(RESULTS)]
        with subprocess.Popen(command) as process:
            try:
                status = process.wait(LONGEST)
            except subprocess.TimeoutExpired:
                process.terminate()  # it stops what it has started
                status = 1
        if status:
            failed.append(name)
    PAGE.write_text(with_figures(PAGE.read_text(), json.loads(RESULTS.read_text())))
    print(f"\nNot everything is as claimed: {', '.join(failed)}." if failed else "\nEverything is as claimed.")
    return 1 if failed else 0


def with_figures(page: str, results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return the page with the selected results in the table after the line ``MARKER``."""
    before, marker, after = page.partition(MARKER)
    rest = re.sub(r"\A\n*(?:\|.*\n)*\n*", "", after)
    return f"{before}{marker}\n\n{figure_table(results)}\n\n{rest}"


def figure_table(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return the selected results as a table, with the script that measures each."""
    rows = [["measured", "target", "median (and range)", "met", "script"]]
    for name, comparisons in FIGURES.items():
        entries = {entry["comparison"]: entry for entry in results[name]}
        for comparison in comparisons:
            entry = entries[comparison]
            met = {None: "", True: "yes", False: "**no**"}[entry["holds"]]
            spread = "{median:g} ({min:g} to {max:g})".format_map(entry)
            rows.append([comparison, entry["claim"] or "", spread, met, f"`{name}`"])
    return table(rows)


if __name__ == "__main__":
    sys.exit(main())
