"""Seasons, orders, throughput: the parts that decisions are made of."""

from itertools import accumulate

import msgspec

from headpond.domain.pace import WorkerReport
from headpond.domain.quote import Backlog
from headpond.domain.scaling.arrivals import KEEP_S, Arrivals
from headpond.domain.scaling.checking import faults
from headpond.domain.scaling.decision import decide
from headpond.domain.scaling.members import cold_start_of, rate_of
from headpond.domain.scaling.memory import Memory
from headpond.domain.scaling.observation import ColdStart, Crew, Observation, Orders, Rate
from headpond.domain.scaling.policies import policy_of
from headpond.domain.scaling.rules import ScalingRules, Window
from headpond.domain.scaling.season import (
    DAY,
    KEEP,
    SLOT_S,
    WEEK,
    Pattern,
    Season,
    learned,
    slot,
)
from headpond.domain.throughput import Throughput, is_full

NOW = 1_795_996_800.0


def decided(rules: ScalingRules, orders: Orders, jobs: int = 600) -> int:
    seen = Observation(
        waiting=Backlog(jobs, jobs), arrived=Backlog(jobs, jobs), crew=Crew(), orders=orders
    )
    return decide(policy_of(rules), rules, seen, Memory(target=2), NOW).target


def test_orders_go_before_the_policy_until_they_end() -> None:
    rules = ScalingRules(policy="queue-depth", max=6)
    assert decided(rules, Orders(paused=True)) == 2
    assert decided(rules, Orders(workers=0)) == 0
    assert decided(rules, Orders(workers=99)) == 6
    assert decided(rules, Orders(workers=0, until=NOW)) == 6


def test_money_bounds_everything() -> None:
    rules = ScalingRules(usd_per_worker_hour=1.0, max_usd_per_hour=3.0, max_usd_per_day=100)
    assert decided(rules, Orders(workers=9)) == 3


def test_predictive_is_warm_for_the_morning_that_comes_every_day() -> None:  # SPEC S6
    rules = ScalingRules(policy="predictive", max=20)
    memory, targets = Memory(), dict[int, int]()
    arrived = 0.0
    for number in range(3 * 288 + 110):
        now = NOW + number * 300
        hour = number % 288 / 12
        arrived += 300 * (5.0 if 8 <= hour < 18 else 0.0)
        seen = Observation(
            waiting=Backlog(),
            arrived=Backlog(int(arrived), arrived),
            crew=Crew(ready=memory.target or 0),
            rate=Rate(1.0, 1.0),
            cold_start=ColdStart(240, 240),
        )
        decision = decide(policy_of(rules), rules, seen, memory, now)
        memory = decision.memory
        targets[number] = decision.target
    assert targets[94] == 0  # 07:50 on the first day: nobody knows
    assert targets[3 * 288 + 95] >= 5  # 07:55 on the fourth: the morning is expected


def test_what_is_further_off_than_a_pattern_is_long_has_no_example() -> None:
    counts = [300 * ((number + 100) % DAY) for number in range(3 * DAY)]
    season = learned(counts, 240, until=slot(NOW))
    near, pattern = season.forecast(1.0, NOW, after_s=240, span_s=300)
    assert pattern is Pattern.DAILY
    assert near > 1.0
    far = season.forecast(1.0, NOW, after_s=240, span_s=30 * DAY * SLOT_S)
    assert far == (1.0 + (DAY - 1) - 99, Pattern.DAILY)
    assert learned(counts, 2 * DAY * SLOT_S, until=slot(NOW)).scores.keys() == {Pattern.STEADY}


def test_what_is_learnt_at_once_is_what_would_have_been_learnt_by_watching() -> None:
    counts = [(number * 7) % 11 for number in range(KEEP)]
    first = slot(NOW) - KEEP
    watched = Season()
    for number, arrived in enumerate(accumulate(counts, initial=0)):
        at = (first + number) * SLOT_S
        watched = watched.noted(Arrivals().noted(Backlog(arrived, arrived), at), 240, at)
    season = learned(counts, 240, until=slot(NOW))
    assert (season.number, season.rates) == (watched.number, watched.rates)
    assert season.scores == watched.scores
    assert {pattern: score.count for pattern, score in season.scores.items()} == {
        Pattern.STEADY: KEEP - 1,
        Pattern.DAILY: KEEP - 1 - DAY,
        Pattern.WEEKLY: KEEP - 1 - WEEK,
    }


def test_slots_in_which_nobody_watched_are_as_the_one_before() -> None:
    season = learned([300, 600], 0, until=slot(NOW))
    arrivals = Arrivals().noted(Backlog(5, 5), NOW + 2 * SLOT_S)
    assert season.noted(arrivals, 0, NOW + 2 * SLOT_S).rates == (1.0, 2.0, 2.0, 2.0)


def test_full_work_makes_a_rate_that_fades() -> None:
    assert is_full(12, 4)
    assert not is_full(1, 15)
    done = Throughput(120, 240, 2_400)
    assert done.known
    assert done.faded() == Throughput(60, 120, 1_200)
    assert Throughput().faded() == Throughput()


def test_counts_are_kept_for_as_long_as_a_rate_may_ask_for() -> None:
    arrivals = Arrivals()
    for number in range(5):
        arrivals = arrivals.noted(Backlog(number, 0), NOW + number * KEEP_S / 2)
    # One from before that time stays, so that all of it is covered.
    assert [count.jobs for count in arrivals.counts] == [2, 3, 4]


def worker(**more: object) -> WorkerReport:
    told = {
        "worker": "w",
        "pool": "default",
        "at": NOW,
        "started_at": NOW,
        "healthy": True,
        "in_flight": 0,
        "capacity": 4,
    }
    return msgspec.convert(told | more, WorkerReport)


def test_what_full_workers_did_says_more_of_the_rate_than_what_there_is_room_for() -> None:
    unmeasured, empty = worker(), worker(run_s=2.0, token_s=0.5)
    full = worker(run_s=2.0, token_s=0.5, full=Throughput(10.0, 5, 100))
    assert rate_of([unmeasured]) is None
    assert rate_of([unmeasured, empty]) == Rate(2.0, 8.0)
    assert rate_of([full, empty]) == Rate(0.5, 10.0)


def test_the_cold_start_is_that_of_the_latest() -> None:
    assert cold_start_of([]) is None
    assert cold_start_of([10.0]) == ColdStart(10.0, 10.0)


def test_rules_that_do_not_go_together_are_told_with_their_places() -> None:
    wrong = ScalingRules(
        min=5,
        max=2,
        max_usd_per_day=9.0,
        schedule={"office": Window(when="someday", zone="Mars/Olympus")},
    )
    assert [place for place, _ in faults(wrong)] == [
        ("min",),
        ("usd_per_worker_hour",),
        ("schedule", "office", "when"),
        ("schedule", "office", "zone"),
    ]
    assert not list(faults(ScalingRules(schedule={"day": Window(when="daily 08:00-18:00")})))
