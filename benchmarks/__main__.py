"""Runs all comparisons, one after the other: `make bench`; or some: `python -m benchmarks search growth`.

Each is a script of its own (`python -m benchmarks.booking`), says in its docstring what it does and claims, and can be
run alone. What they find, as ratios, goes to `benchmarks/results.json` and to the tables of `docs/performance.md`. The
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

from benchmarks.comparing import entry_table

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
    PAGE.write_text(with_tables(PAGE.read_text(), json.loads(RESULTS.read_text())))
    print(f"\nNot everything is as claimed: {', '.join(failed)}." if failed else "\nEverything is as claimed.")
    return 1 if failed else 0


def with_tables(page: str, results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The page, with the results of each script in the table behind the line that begins with its command."""

    def fill(match: re.Match[str]) -> str:
        entries = results.get(match["name"])
        return f"{match['before']}{entry_table(entries)}\n" if entries else match[0]

    return re.sub(
        r"(?P<before>^`python -m benchmarks\.(?P<name>\w+)`(?:.*\n)+?)(?:^\|.*\n)+", fill, page, flags=re.MULTILINE
    )


if __name__ == "__main__":
    sys.exit(main())
