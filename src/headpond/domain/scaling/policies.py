"""The policies by name."""

from typing import assert_never

from headpond.domain.scaling.decision import Policy
from headpond.domain.scaling.flow import Flow
from headpond.domain.scaling.queue_depth import QueueDepth
from headpond.domain.scaling.rules import ScalingRules


def policy_of(rules: ScalingRules) -> Policy:
    """The policy that the rules name, with its parameters from there."""
    queue_depth = QueueDepth(rules.messages_per_worker)
    match rules.policy:
        case "queue-depth":
            return queue_depth
        case "flow":
            return Flow(
                target_wait_s=rules.target_wait_s,
                headroom=rules.headroom,
                unmeasured=queue_depth,
            )
        case _:  # pragma: no cover
            assert_never(rules.policy)
