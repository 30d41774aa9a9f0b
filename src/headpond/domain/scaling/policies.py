"""The policies by name."""

from typing import assert_never

from headpond.domain.scaling.arrivals import KEEP_S
from headpond.domain.scaling.deadline import Deadline
from headpond.domain.scaling.decision import Policy
from headpond.domain.scaling.demand import WINDOW_S, demand_in_jobs, demand_in_tokens
from headpond.domain.scaling.flow import Flow, Measure
from headpond.domain.scaling.predictive import Predictive
from headpond.domain.scaling.queue_depth import QueueDepth
from headpond.domain.scaling.rules import ScalingRules

SHORTEST_S = 10.0
"""What arrived in less time makes no rate."""


def policy_of(rules: ScalingRules) -> Policy:
    """The policy that the rules name, with its parameters from there."""
    match rules.policy:
        case "queue-depth":
            return QueueDepth(rules.messages_per_worker)
        case "flow":
            return _flow(rules, demand_in_jobs)
        case "work":
            return _flow(rules, demand_in_tokens)
        case "deadline":
            return _deadline(rules)
        case "predictive":
            return Predictive(_deadline(rules))
        case _:  # pragma: no cover
            assert_never(rules.policy)


def _flow(rules: ScalingRules, measure: Measure) -> Flow:
    return Flow(
        target_wait_s=rules.target_wait_s,
        headroom=rules.headroom,
        window_s=_window_s(rules, WINDOW_S),
        measure=measure,
        unmeasured=QueueDepth(rules.messages_per_worker),
    )


def _deadline(rules: ScalingRules) -> Deadline:
    return Deadline(
        target_wait_s=rules.target_wait_s,
        # A queue takes up what a shorter window would call for workers for.
        window_s=_window_s(rules, KEEP_S),
        unmeasured=QueueDepth(rules.messages_per_worker),
    )


def _window_s(rules: ScalingRules, longest_s: float) -> float:
    return min(longest_s, max(SHORTEST_S, rules.down_cooldown_s))
