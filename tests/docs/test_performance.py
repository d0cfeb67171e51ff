"""The figures of docs/performance.md are those of benchmarks/results.json."""

import json
import re

from benchmarks.__main__ import PAGE, RESULTS, SCRIPTS, with_tables


def test_every_comparison_has_results_and_a_script() -> None:
    assert sorted(json.loads(RESULTS.read_text())) == sorted(SCRIPTS)
    assert all((RESULTS.parent / f"{name}.py").exists() for name in SCRIPTS)


def test_the_tables_are_the_results() -> None:
    results = json.loads(RESULTS.read_text())
    named = re.findall(r"^`python -m benchmarks\.(\w+)`", PAGE.read_text(), re.MULTILINE)
    assert sorted(named) == sorted(results)
    assert with_tables(PAGE.read_text(), results) == PAGE.read_text()
    other = {name: [entries[0] | {"median": 77}] for name, entries in results.items()}
    assert with_tables(PAGE.read_text(), other).count("| 77 (") == len(results)
