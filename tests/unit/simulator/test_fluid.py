"""The fluid model: nothing is lost, what is paid adds up, and the article's findings come out."""

import random
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from headpond.errors import InvalidRequest
from headpond.simulator.capacity import flat
from headpond.simulator.comparison import compare
from headpond.simulator.direct import Balancer
from headpond.simulator.fleet import Fleet
from headpond.simulator.fluid import Demand, Setting, demand_of, flow, warm_start
from headpond.simulator.machines import ColdStart, SpotMarket, read_spot
from headpond.simulator.optimum import offline_bound
from headpond.simulator.scalers.article import WorkerScaler
from headpond.simulator.scalers.fixed import Fixed
from headpond.simulator.scalers.naming import OTHERS, OURS, Bounds, contender
from headpond.simulator.traces import read_trace
from headpond.simulator.traces.arrivals import Arrival, Bin
from headpond.simulator.traces.requests import RequestTrace
from headpond.simulator.waits import Line

DAY = Setting(trace=read_trace("diurnal:3", days=1), capacity=flat(1.0), warm=2)
DEMAND = demand_of(DAY)


def test_waits_are_counted_first_come_first_served() -> None:
    line = Line(5.0)
    line.join(0, 4, 4.0)
    line.join(1, 2, 4.0)
    assert line.serve(1, 5.0) == pytest.approx(4.5)
    assert line.serve(3, 10.0) == pytest.approx(1.5)
    assert (line.requests, line.work_s, line.per_work_s) == (0, 0, 0)
    waits = line.waits
    assert waits.total == 6
    assert [waits.percentile(share) for share in (0.05, 0.5, 0.99)] == [0, 5, 10]
    assert waits.later_than(5) == pytest.approx(1.5)


def test_who_loses_patience_or_its_machine_leaves_the_line() -> None:
    line = Line(5.0)
    line.join(0, 4, 4.0)
    line.join(10, 2, 4.0)
    assert line.leave(14, 60.0) == 4
    assert line.lose(0.25) == 0.5
    assert (line.requests, line.work_s) == (1.5, 3.0)
    line.give_up(20)
    assert line.waits.percentile(0.5) == 50
    assert Line(5.0).waits.percentile(0.5) == 0


def test_a_long_line_is_forgotten_behind_its_front() -> None:
    line = Line(5.0)
    for step in range(3000):
        line.join(step, 1, 1.0)
        if step > 100:
            line.serve(step, 1.0)
    assert line.requests == pytest.approx(101)


def test_all_requests_are_counted_and_all_hours_are_paid() -> None:
    result = flow(DAY, DEMAND, WorkerScaler(), "article")
    assert result.requests == pytest.approx(sum(come.requests for come in DEMAND.bins))
    assert result.hours.busy <= result.work_bound_h + 1e-6
    assert result.cost_usd == pytest.approx(result.hours.total * DAY.on_demand_usd)
    assert result.moments[-1].at_s < DAY.trace.span_s
    assert result == flow(DAY, DEMAND, WorkerScaler(), "article")


# SPEC S1: the article's rule is worse than a static fleet, and the default is better than both.
def test_the_articles_rule_is_late_and_dear_and_flow_is_neither() -> None:
    article, static, ours = compare(DAY, ["article", "static", "flow"], Bounds(most=20)).results
    assert article.late_share > 0.4
    assert article.hours.total > static.hours.total > ours.hours.total
    assert ours.late_share < 0.01


def test_no_work_costs_nothing_and_a_first_request_waits_for_a_cold_start() -> None:
    trace = RequestTrace("late", [Arrival(7200.0, 1, 1)], span_s=14_400.0)
    setting = Setting(trace=trace, capacity=flat(1.0))
    comparison = compare(setting, ["flow"], Bounds(), optimum=True)
    (result,) = comparison.results
    assert comparison.warm == 0
    assert result.hours.total < 0.5
    assert 240 <= result.wait_p50_s <= 275
    assert comparison.bound is not None
    assert comparison.bound.with_late_h == 0  # to be late is cheaper than to serve one request
    assert result.over_optimum is None
    assert not comparison.meets_target(result)


def test_short_cooldowns_flap() -> None:
    bursts = [
        Arrival(900.0 * burst + 0.1 * number, 1, 1) for burst in range(8) for number in range(300)
    ]
    setting = Setting(trace=RequestTrace("bursts", bursts, span_s=7200.0), capacity=flat(1.0))
    demand = demand_of(setting)
    short, long = (
        flow(setting, demand, WorkerScaler(down_cooldown_s=seconds), "article").starts
        for seconds in (60.0, 600.0)
    )
    assert short > long


def test_without_a_queue_an_overloaded_machine_crashes_and_its_neighbours_follow() -> None:
    setting = replace(DAY, warm=2)
    crashing = flow(setting, DEMAND, Fixed(2), "cpu", Balancer("crash"))
    assert crashing.crashes > 10
    assert crashing.errors > 0.2 * crashing.requests
    holding = flow(setting, DEMAND, Fixed(2), "cpu", Balancer("queue"))
    assert holding.crashes == 0
    assert holding.errors > 0
    assert holding.wait_p99_s <= 65
    assert flow(setting, DEMAND, Fixed(2), "queue").errors == 0


def test_machines_that_all_load_at_once_are_taken_for_sick() -> None:
    herd = ColdStart(median_s=240, links=2, grace_s=300)
    fleet = Fleet(herd, dice=random.Random(1))
    fleet.resize(10, 0.0)
    for now in range(0, 3600, 5):
        fleet.advance(float(now))
    assert fleet.given_up > 10
    staged = Fleet(herd, dice=random.Random(1))
    for now in range(0, 3600, 5):
        staged.advance(float(now))
        staged.resize(min(10, 2 + 2 * (now // 240)), float(now))
    assert (staged.given_up, staged.ready) == (0, 10)


def test_what_starts_goes_first_and_the_youngest_of_it() -> None:
    fleet = Fleet(ColdStart(median_s=100), dice=random.Random(1), warm=1)
    fleet.resize(2, 0.0)
    fleet.resize(3, 50.0)
    assert fleet.asked_for(1000.0) == (1000.0, 1050.0)
    fleet.resize(2, 60.0)
    assert fleet.asked_for(1000.0) == (1000.0,)
    fleet.advance(100.0)
    assert (fleet.ready, fleet.starting, fleet.size) == (2, 0, 2)
    fleet.resize(0, 110.0)
    assert fleet.stops == 3


def test_spot_machines_are_taken_away_and_cannot_be_had() -> None:
    market = SpotMarket(10.0, (2, 0))
    fleet = Fleet(ColdStart(median_s=1), dice=random.Random(1), on_demand=1, market=market)
    fleet.resize(9, 0.0)
    fleet.advance(5.0)
    assert (fleet.ready, fleet.spot()) == (3, 2)
    assert fleet.advance(10.0) == 2
    assert (fleet.ready, fleet.interruptions) == (1, 2)
    setting = replace(DAY, market=SpotMarket(3600.0, (100,)), spot_usd=0.1, on_demand_usd=1.0)
    assert flow(setting, DEMAND, Fixed(4), "spot").cost_usd == pytest.approx(0.1 * 96, rel=0.01)


def test_a_trace_of_spot_machines_is_read(tmp_path: Path) -> None:
    file = tmp_path / "spot.json"
    file.write_text('{"metadata": {"gap_seconds": 300}, "data": [0, 1]}')
    market = read_spot(file)
    assert (market.at(299), market.at(300) > 1000, market.at(600)) == (0, True, 0)
    file.write_text('{"metadata": {"gap_seconds": 300}, "data": [0, 16]}')
    assert read_spot(file).at(300) == 16
    with pytest.raises(InvalidRequest, match="no trace of spot machines"):
        read_spot(tmp_path / "nothing.json")


def test_cold_starts_spread_around_their_median() -> None:
    spread, dice = ColdStart(median_s=200, sigma=0.3), random.Random(1)
    drawn = sorted(spread.draw(dice, 0) for _ in range(2000))
    assert drawn[1000] == pytest.approx(200, rel=0.05)
    assert drawn[1800] == pytest.approx(spread.percentile_90_s, rel=0.05)
    assert drawn[20] == pytest.approx(spread.shortest_s, rel=0.08)


def cheapest(work: list[float], cold_start_steps: int, late_allowed: float) -> float:
    """The least machine-steps of any sequence of fleets, tried one by one; 1 work = 1 machine-step.

    A request that came in a step is in time until the end of the next.
    """
    best = float("inf")
    for fleets in product(range(4), repeat=len(work)):
        paid, line, late, before = 0.0, [0.0, 0.0], 0.0, 0
        for come, machines in zip(work, fleets, strict=True):
            paid += machines + cold_start_steps * max(0, machines - before)
            before, left, line = machines, float(machines), [line[1], come]
            for place in range(2):
                done = min(left, line[place])
                line[place] -= done
                left -= done
            late += line[0]
        if late <= late_allowed + 1e-9:
            best = min(best, paid)
    return best


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 11).map(lambda quarters: quarters / 4), min_size=1, max_size=5))
def test_the_optimum_is_the_best_of_all_schedules(work: list[float]) -> None:
    bins = [Bin(come if step == 0 else 0.0, 0, 0) for come in work for step in range(12)]
    demand = Demand(bins, [60 * come.requests for come in bins])
    setting = Setting(trace=DAY.trace, capacity=flat(1 / 60), cold_start=ColdStart(median_s=120))
    bound = offline_bound(setting, demand, late_share=0.2)
    assert bound.all_in_time_h * 60 == pytest.approx(cheapest(work, 2, 0.0))
    assert bound.with_late_h * 60 <= cheapest(work, 2, 0.2 * sum(work)) + 1e-6
    assert offline_bound(setting, demand, late_share=0.0).with_late_h == bound.all_in_time_h


@pytest.mark.no_cover
def test_no_policy_that_is_in_time_costs_less_than_the_optimum() -> None:
    quarter = replace(DAY, trace=read_trace("diurnal:3", days=0.3))
    comparison = compare(quarter, [*OURS, *OTHERS], Bounds(most=20), optimum=True)
    assert comparison.bound is not None
    assert comparison.bound.with_late_h <= comparison.bound.all_in_time_h
    for result in comparison.results:
        assert result.over_optimum == result.hours.total / comparison.bound.with_late_h
        if comparison.meets_target(result):
            assert result.hours.total >= comparison.bound.with_late_h, result.policy


def test_a_comparison_begins_with_what_the_first_minutes_need() -> None:
    assert warm_start([2.5] * 1000) == 1
    assert warm_start([10.0] * 1000) == 3
    one = contender("flow", DAY, DEMAND, Bounds())
    assert flow(DAY, DEMAND, one.scaler, "flow").moments[0].ready >= 1
