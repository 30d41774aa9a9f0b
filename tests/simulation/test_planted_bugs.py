"""Each bug planted in a service or a store breaks a promise in some world.

The search begins at the seed that found the bug before. `python -m tests.simulation.planted` begins
each at 0.
"""

import pytest

from tests.simulation.planted import BUGS, RARE, find

pytestmark = pytest.mark.no_cover


@pytest.mark.timeout(300)
@pytest.mark.parametrize("bug", BUGS)
def test_the_worlds_find_that(bug: str) -> None:
    assert find(bug, first=RARE.get(bug, 0)) is not None


def test_rare_bugs_are_bugs() -> None:
    assert RARE.keys() <= BUGS.keys()
