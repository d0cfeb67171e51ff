"""Run all comparisons, one after the other (`make bench`), or only some (`python -m benchmarks search growth`).

Each comparison is a script that can also be run alone (`python -m benchmarks.booking`). Its docstring says what it
measures and what it claims. The results are ratios. They are written to `benchmarks/results.json`, and the most
important ones to `docs/performance.md`. The exit status is 0 if all claims hold. A full run takes about 25 minutes on
an otherwise idle machine.
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
    "desk",
    "upgrade",
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
    "desk": ("search for a first name among 100,000 patients, compared with 20 ms: PostgreSQL",),
    "upgrade": ("longest write during the migration of a million appointments, compared with 500 ms: PostgreSQL",),
    "attack": (
        "99th percentile under attack, compared with a quiet round: PostgreSQL",
        "99th percentile under attack, compared with a quiet round: SQLite",
    ),
}
"""The comparisons in docs/performance.md, by script. results.json contains all of them."""
MARKER = "<!-- figures, written by `python -m benchmarks` -->"
MAX_SCRIPT_SECONDS = 900


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scripts, even if one fails, and update the page. Return 0 if all claims hold, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run comparisons and keep the results.")
    parser.add_argument("names", nargs="*", choices=SCRIPTS, help="the scripts to run (default: all)")
    failed = []
    for name in parser.parse_args(arguments).names or SCRIPTS:
        print(f"\n## {name}\n", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", "--results", str(RESULTS)]
        with subprocess.Popen(command) as process:
            try:
                status = process.wait(MAX_SCRIPT_SECONDS)
            except subprocess.TimeoutExpired:
                process.terminate()  # the script then stops its servers (stop_on_sigterm)
                status = 1
        if status:
            failed.append(name)
    PAGE.write_text(with_figures(PAGE.read_text(), json.loads(RESULTS.read_text())))
    print(f"\nNot all claims hold: {', '.join(failed)}." if failed else "\nAll claims hold.")
    return 1 if failed else 0


def with_figures(page: str, results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return the page with the selected results in the table after the line ``MARKER``."""
    before, marker, after = page.partition(MARKER)
    following = re.sub(r"\A\n*(?:\|.*\n)*\n*", "", after)
    return f"{before}{marker}\n\n{figure_table(results)}\n\n{following}"


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
