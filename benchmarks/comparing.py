"""What the comparisons share: taking turns, ratios, tables, and the results."""

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
    """A ratio, as it came out in each round, and what is claimed of its median; nothing, where neither bound is."""

    name: str
    ratios: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None
    also: bool = True
    """Whether all else that is claimed with it is so: that nobody saw an error, that exactly one has won."""

    @property
    def claim(self) -> str:
        """The bounds, in words."""
        bounds = {"at least": self.at_least, "at most": self.at_most}
        return " and ".join(f"{word} {bound:.3g}" for word, bound in bounds.items() if bound is not None)

    @property
    def holds(self) -> bool:
        """Whether the median is within its bounds, and all else is as claimed."""
        middle = median(self.ratios)
        low, high = self.at_least, self.at_most
        return self.also and (low is None or middle >= low) and (high is None or middle <= high)

    def entry(self) -> dict[str, Any]:
        """As the results keep it."""
        return {
            "comparison": self.name,
            "claim": self.claim or None,
            "median": rounded(median(self.ratios)),
            "min": rounded(min(self.ratios)),
            "max": rounded(max(self.ratios)),
            "rounds": len(self.ratios),
            "holds": self.holds if self.claim else None,
        }


def read_options(
    script: str, description: str, arguments: Sequence[str] | None, *, fewest: int, usual: int, most: int
) -> argparse.Namespace:
    """How many ``rounds``, and the file for the ``results``, if there is one."""
    parser = make_parser(script, description)
    add_rounds(parser, fewest=fewest, usual=usual, most=most)
    return parser.parse_args(arguments)


def make_parser(script: str, description: str) -> argparse.ArgumentParser:
    """Knows ``--results``; the file is updated with what this script has measured."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{script}", description=description)
    parser.add_argument("--results", type=Path, metavar="FILE", help="a file of results to be brought up to date")
    return parser


def add_rounds(parser: argparse.ArgumentParser, *, fewest: int, usual: int, most: int) -> None:
    """Knows ``--rounds``, within bounds."""
    parser.add_argument("--rounds", type=between(fewest, most), default=usual, help="%(default)s unless given")


def between(fewest: int, most: int) -> Callable[[str], int]:
    """Reads a number of the command line that has bounds."""

    def read(text: str) -> int:
        number = int(text)
        if not fewest <= number <= most:
            raise argparse.ArgumentTypeError(f"must be {fewest} to {most}")
        return number

    return read


def stop_on_sigterm() -> None:
    """What a script has started is to be stopped then too, as it is on Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


async def take_turns[Measured](
    contenders: Mapping[str, Callable[[], Awaitable[Measured]]],
    rounds: int,
    *,
    before: Callable[[], Awaitable[None]] | None = None,
) -> dict[str, list[Measured]]:
    """What each contender measures, round by round, after a first round that does not count.

    In every second round they come in the opposite order, so that none is always the one after another. What is to be
    done ``before`` each round is not measured.
    """
    measured: dict[str, list[Measured]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        if before:
            await before()
        turns = list(contenders.items())
        for name, measure in turns if number % 2 else reversed(turns):
            found = await measure()
            if number:
                measured[name].append(found)
    return measured


def ratios(ones: Sequence[float], others: Sequence[float]) -> list[float]:
    """The ones to the others, round by round: what else the machine does in a round falls on both."""
    return [one / other for one, other in zip(ones, others, strict=True)]


def rounded(number: float) -> float:
    """To three digits that count, which is more than these measurements are good for."""
    return float(f"{number:.3g}")


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median (and the range)."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown, of which the first row is the head."""
    head, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body))


def result_table(comparisons: Sequence[Comparison]) -> str:
    """One row for each: its claim, and what came out."""
    return entry_table([each.entry() for each in comparisons])


def entry_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return results as a table."""
    rows = [["comparison", "claim", "rounds", "median (and range)", "holds"]]
    for each in entries:
        low, middle, high = (f"{each[name]:g}" for name in ("min", "median", "max"))
        holds = {None: "", True: "yes", False: "**no**"}[each["holds"]]
        spread = f"{middle} ({low} to {high})"
        rows.append([each["comparison"], each["claim"] or "", str(each["rounds"]), spread, holds])
    return table(rows)


def record(script: str, comparisons: Sequence[Comparison], results: Path | None) -> int:
    """Keeps what a script has measured in the file of the results, if there is one; the script's exit status."""
    if results:
        kept = json.loads(results.read_text()) if results.exists() else {}
        kept[script] = [each.entry() for each in comparisons]
        results.write_text(json.dumps(dict(sorted(kept.items())), indent=2, ensure_ascii=False) + "\n")
    return 0 if all(each.holds for each in comparisons) else 1
