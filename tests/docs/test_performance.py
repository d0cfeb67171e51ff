"""The figures of docs/performance.md are those of benchmarks/results.json."""

import json
import re

from benchmarks.__main__ import FIGURES, PAGE, RESULTS, SCRIPTS, with_figures


def test_every_comparison_has_results_a_script_and_a_figure() -> None:
    assert sorted(json.loads(RESULTS.read_text())) == sorted(SCRIPTS) == sorted(FIGURES)
    assert all((RESULTS.parent / f"{name}.py").exists() for name in SCRIPTS)
    named = re.findall(r"\| `(\w+)` \|$", PAGE.read_text(), re.MULTILINE)
    assert set(named) == set(SCRIPTS)


def test_figures_are_those_of_the_results() -> None:
    results = json.loads(RESULTS.read_text())
    assert with_figures(PAGE.read_text(), results) == PAGE.read_text()
    other = {name: [entry | {"median": 77} for entry in entries] for name, entries in results.items()}
    assert with_figures(PAGE.read_text(), other).count("| 77 (") == sum(map(len, FIGURES.values()))
