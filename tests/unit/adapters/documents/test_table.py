"""When items expire; what tables do is in tests/conformance/test_documents.py."""

import math

import pytest

from headpond.adapters.documents.table import LEFT_S, SPARE_S, expires

YEAR_9999_ENDS = 253_402_300_799


@pytest.mark.parametrize(
    ("end", "moment"),
    [
        (1_000_000.0, 1_000_000 + 4 * 86_400),
        (1_000_000.25, 1_000_001 + 4 * 86_400),
        (1e15, YEAR_9999_ENDS),
        (math.inf, YEAR_9999_ENDS),
    ],
)
def test_an_item_expires_some_days_after_its_end_and_never_before(end: float, moment: int) -> None:
    assert expires(end) == moment


def test_services_have_days_before_a_duty_does_their_work() -> None:
    assert LEFT_S - SPARE_S >= 3 * 86_400
