"""Runs all comparisons, one after the other: `make bench`.

Each is a script of its own (`python -m benchmarks.booking`), says in its docstring what it does and claims, and can be
run alone. What they find, as ratios, goes to `benchmarks/results.json`, which `docs/performance.md` quotes. The exit
status is 0 if all claims hold. It takes some quarter of an hour, on an otherwise idle machine.
"""

import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).with_name("results.json")
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


def main() -> int:
    """Runs them all, whatever comes of each; the exit status is 0 if all claims hold."""
    failed = []
    for name in SCRIPTS:
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
    print(f"\nNot everything is as claimed: {', '.join(failed)}." if failed else "\nEverything is as claimed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
