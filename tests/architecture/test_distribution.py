"""How pytest-xdist distributes the tests. A version that does not fit pytest ignores groups silently."""

import subprocess
import sys

import pytest

from tests.servers import ROOT


@pytest.mark.xdist_group("distribution")
def test_groups_are_distributed_as_a_whole(request: pytest.FixtureRequest) -> None:
    """Otherwise each worker sets up what the tests of a group share."""
    is_required = request.config.getoption("loadgroup", default=False)
    assert request.node.nodeid.endswith("@distribution") == is_required


def test_suite_can_be_collected_without_the_plugins_that_mutation_testing_leaves_out() -> None:
    options = ["-q", "--collect-only", "-p", "no:xdist", "-p", "no:cov", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, "tests/core/test_permissions.py"]
    collected = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert collected.returncode == 0, collected.stdout + collected.stderr
