"""The fewest workers with which everything is done by its time."""

import math

from msgspec.structs import replace

from headpond.domain.quote import Backlog
from headpond.domain.scaling.arrivals import Arrivals
from headpond.domain.scaling.decision import Wish
from headpond.domain.scaling.observation import ColdStart, Crew, Due, Observation, Rate
from headpond.domain.scaling.policies import policy_of
from headpond.domain.scaling.rules import ScalingRules

NOW = 1_800_000_000.0
COLD_S = 240.0
RULES = ScalingRules(policy="deadline", target_wait_s=60)


def wished(
    crew: Crew,
    *,
    queued: int = 0,
    per_s: float = 0.0,
    due: tuple[Due, ...] = (),
    rules: ScalingRules = RULES,
) -> Wish:
    """The wish where every worker does a job a second and arrivals have long been steady."""
    arrivals = Arrivals()
    for ago_s in range(240, 0, -10):
        arrivals = arrivals.noted(Backlog(int((240 - ago_s) * per_s), 0), NOW - ago_s)
    seen = Observation(
        waiting=Backlog(queued, queued),
        arrived=Backlog(int(240 * per_s), 0),
        crew=crew,
        rate=Rate(1.0, 1.0),
        cold_start=ColdStart(COLD_S, COLD_S),
        due=due,
    )
    return policy_of(rules).wish(seen, arrivals, NOW)


def test_steady_arrivals_get_the_workers_that_they_keep_busy_and_no_more() -> None:
    assert wished(Crew(ready=5), per_s=4.0).workers == 4
    assert wished(Crew(ready=5), per_s=4.1).workers == 5


def test_a_queue_that_is_gone_before_a_new_worker_comes_calls_for_none() -> None:
    assert wished(Crew(ready=4), queued=1_000).workers == 4
    # What is left a cold start from now, when 30 s more are allowed: 1,200 less 4 times 270.
    wish = wished(Crew(ready=4), queued=1_200)
    assert wish.workers == 4 + 120 / 30
    assert wish.why == "1200 s of a worker's work are due within 30 s"


def test_those_that_are_starting_are_counted_from_when_they_work() -> None:
    half_started = (NOW - COLD_S / 2,) * 2
    assert wished(Crew(ready=4, starting=half_started), queued=1_200).workers == 6


def test_what_waits_keeps_those_that_work_on_it() -> None:
    assert wished(Crew(ready=4), queued=90).workers == 3
    assert wished(Crew(ready=4), queued=0).workers == 0


def test_work_for_tonight_is_spread_until_tonight() -> None:  # SPEC S6
    tonight = (Due(NOW + 10 * 3_600, Backlog(72_000, 72_000)),)
    assert wished(Crew(), queued=72_000, due=tonight).workers == 3
    assert wished(Crew(ready=3), queued=72_000, due=tonight).workers == 2


def test_what_should_have_been_done_is_done_as_soon_as_what_has_no_deadline() -> None:
    overdue = (Due(NOW - 5, Backlog(600, 600)),)
    assert wished(Crew(ready=1), queued=600, due=overdue) == wished(Crew(ready=1), queued=600)


def test_a_deadline_before_half_the_target_wait_is_kept_too() -> None:
    soon = (Due(NOW + 400, Backlog(1_000, 1_000)),)
    patient = replace(RULES, target_wait_s=3_600)
    assert wished(Crew(ready=1), queued=1_000, rules=patient).workers == 1
    # 1 does 400 until then, others have 160 s after their cold start.
    wish = wished(Crew(ready=1), queued=1_000, due=soon, rules=patient)
    assert wish.workers == math.ceil(1 + 600 / (400 - COLD_S))


def test_a_deadline_that_only_those_who_work_can_keep_calls_for_no_others() -> None:
    now = (Due(NOW + 100, Backlog(300, 300)),)
    patient = replace(RULES, target_wait_s=3_600)
    assert wished(Crew(ready=2), queued=300, due=now, rules=patient).workers == 2
    assert wished(Crew(ready=9), queued=300, due=now, rules=patient).workers == 3
