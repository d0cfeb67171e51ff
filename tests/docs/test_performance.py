"""The figures of docs/performance.md are those of benchmarks/results.json."""

import json
import re
from pathlib import Path

from benchmarks.__main__ import RESULTS, SCRIPTS
from benchmarks.comparing import entry_table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/performance.md").read_text()


def test_every_comparison_has_results_and_a_script() -> None:
    assert sorted(json.loads(RESULTS.read_text())) == sorted(SCRIPTS)
    assert all((RESULTS.parent / f"{name}.py").exists() for name in SCRIPTS)


def test_the_tables_are_the_results() -> None:
    quoted = re.findall(r"(?:^\|.*\|$\n?)+", PAGE, re.MULTILINE)
    named = re.findall(r"^`python -m benchmarks\.(\w+)`", PAGE, re.MULTILINE)
    results = json.loads(RESULTS.read_text())
    assert sorted(named) == sorted(results)
    assert [table.strip() for table in quoted] == [entry_table(results[name]) for name in named]
