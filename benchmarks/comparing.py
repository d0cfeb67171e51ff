"""Code that the comparisons share: alternating contenders, ratios, tables, options and the file of results."""

import argparse
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """A ratio in each round, with bounds on its median. Without bounds nothing is claimed."""

    name: str
    ratios: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None
    also_holds: bool = True
    """Whether the other conditions of the claim hold, for example that no request failed."""

    @property
    def claim(self) -> str:
        """The bounds in words, or an empty string."""
        bounds = {"at least": self.at_least, "at most": self.at_most}
        return " and ".join(f"{word} {bound:.3g}" for word, bound in bounds.items() if bound is not None)

    @property
    def holds(self) -> bool:
        """Whether the median is within its bounds and the other conditions hold."""
        middle = median(self.ratios)
        low, high = self.at_least, self.at_most
        return self.also_holds and (low is None or middle >= low) and (high is None or middle <= high)

    def entry(self) -> dict[str, Any]:
        """Return the comparison as results.json stores it."""
        return {
            "comparison": self.name,
            "claim": self.claim or None,
            "median": round_to_three_digits(median(self.ratios)),
            "min": round_to_three_digits(min(self.ratios)),
            "max": round_to_three_digits(max(self.ratios)),
            "rounds": len(self.ratios),
            "holds": self.holds if self.claim else None,
        }


def read_options(
    script: str, description: str, arguments: Sequence[str] | None, *, minimum: int, default: int, maximum: int
) -> argparse.Namespace:
    """Parse the command line. The options are ``rounds`` and ``results``, a path or ``None``."""
    parser = make_parser(script, description)
    add_rounds(parser, minimum=minimum, default=default, maximum=maximum)
    return parser.parse_args(arguments)


def make_parser(script: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with the option ``--results``."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{script}", description=description)
    parser.add_argument("--results", type=Path, metavar="FILE", help="a file of results to update")
    return parser


def add_rounds(parser: argparse.ArgumentParser, *, minimum: int, default: int, maximum: int) -> None:
    """Add the option ``--rounds`` with its bounds."""
    parser.add_argument(
        "--rounds",
        type=integer_between(minimum, maximum),
        default=default,
        help="the number of rounds (default: %(default)s)",
    )


def integer_between(minimum: int, maximum: int) -> Callable[[str], int]:
    """Return a type for ``argparse`` that parses an integer within these bounds, both included."""

    def read(text: str) -> int:
        number = int(text)
        if not minimum <= number <= maximum:
            raise argparse.ArgumentTypeError(f"must be {minimum} to {maximum}")
        return number

    return read


def stop_on_sigterm() -> None:
    """Exit on SIGTERM like on Ctrl-C, so that ``finally`` blocks stop the servers that the script has started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


async def take_turns[Measured](
    contenders: Mapping[str, Callable[[], Awaitable[Measured]]],
    rounds: int,
    *,
    prepare: Callable[[], Awaitable[None]] | None = None,
) -> dict[str, list[Measured]]:
    """Run all contenders in each round and return their measurements by name. The first round is not counted.

    The order is reversed in every second round, so that no contender always follows the same one. ``prepare`` runs
    before each round and is not measured.
    """
    measured: dict[str, list[Measured]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        if prepare:
            await prepare()
        order = list(contenders.items())
        for name, measure in order if number % 2 else reversed(order):
            result = await measure()
            if number:
                measured[name].append(result)
    return measured


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Return the ratios within each round, so that other load on the machine affects both values."""
    return [numerator / denominator for numerator, denominator in zip(numerators, denominators, strict=True)]


def round_to_three_digits(number: float) -> float:
    """Round to three significant digits: these measurements are not more precise."""
    return float(f"{number:.3g}")


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the median and the range as text."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table. The first row is the header."""
    head, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body))


def result_table(comparisons: Sequence[Comparison]) -> str:
    """Return a table of the comparisons with their claims and results."""
    return entry_table([each.entry() for each in comparisons])


def entry_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return entries of results.json as a table."""
    rows = [["comparison", "claim", "rounds", "median (and range)", "holds"]]
    for each in entries:
        low, middle, high = (f"{each[name]:g}" for name in ("min", "median", "max"))
        holds = {None: "", True: "yes", False: "**no**"}[each["holds"]]
        spread = f"{middle} ({low} to {high})"
        rows.append([each["comparison"], each["claim"] or "", str(each["rounds"]), spread, holds])
    return table(rows)


def record(script: str, comparisons: Sequence[Comparison], results: Path | None) -> int:
    """Replace the entries of a script in the file of results, if there is one, and return the exit status."""
    if results:
        entries = json.loads(results.read_text()) if results.exists() else {}
        entries[script] = [each.entry() for each in comparisons]
        results.write_text(json.dumps(dict(sorted(entries.items())), indent=2, ensure_ascii=False) + "\n")
    return 0 if all(each.holds for each in comparisons) else 1
