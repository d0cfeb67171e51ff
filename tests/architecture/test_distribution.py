"""How pytest-xdist distributes the tests. A version that does not fit pytest ignores groups silently."""

import pytest


@pytest.mark.xdist_group("distribution")
def test_groups_are_distributed_as_a_whole(request: pytest.FixtureRequest) -> None:
    """Otherwise each worker sets up what the tests of a group share."""
    is_required = request.config.getoption("loadgroup", default=False)
    assert request.node.nodeid.endswith("@distribution") == is_required
