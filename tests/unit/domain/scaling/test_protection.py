"""Who should go last, from what workers report."""

import pytest
from msgspec.structs import replace

from headpond.domain.pace import FRESH_S, WorkerReport
from headpond.domain.scaling.protection import corrections, cost_of

NOW = 1_795_996_800.0


def busy(worker: str, in_flight: int) -> WorkerReport:
    return WorkerReport(
        worker=worker,
        pool="default",
        at=NOW,
        started_at=NOW - 60,
        healthy=True,
        in_flight=in_flight,
        capacity=16,
    )


@pytest.mark.parametrize(
    ("in_flight", "cost"), [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (15, 4), (16, 5)]
)
def test_it_costs_one_more_for_each_doubling_of_what_is_in_flight(
    in_flight: int, cost: int
) -> None:
    assert cost_of(busy("w", in_flight)) == cost


def test_what_is_in_flight_at_an_engine_that_is_ill_counts_for_nothing() -> None:
    assert cost_of(replace(busy("w", 9), healthy=False)) == 0


def test_only_what_is_wrong_is_corrected_and_the_furthest_off_first() -> None:
    costs = {"right": 1, "busier": 1, "full": 0, "idle": 2}
    reports = [busy("right", 1), busy("busier", 2), busy("full", 16), busy("idle", 0)]
    assert corrections(costs, reports, NOW) == [("full", 5), ("idle", 0), ("busier", 2)]


def test_who_does_not_report_keeps_its_cost() -> None:
    reports = [replace(busy("silent", 0), at=NOW - FRESH_S), busy("gone", 1)]
    assert corrections({"silent": 5, "new": 0}, reports, NOW) == []
