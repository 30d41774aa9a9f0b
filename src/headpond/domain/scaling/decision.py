"""One decision: what the policy would like, within what holds of every policy.

found   a fleet that runs before the first decision is taken as it is, and held as if it had just
        been wished for
wish    of the policy; what is unknown keeps what there is, and work that waits needs a worker
ease    down to the highest wish within `down_cooldown_s`, and to zero only from one worker
        that has been alone for as long; up not within `up_cooldown_s` of the last raise, and
        by no more than a step
order   of an operator, instead of that
bounds  up to `min` and the schedule's minimum at once, down to the cap on money and `max`
"""

from typing import Protocol

import msgspec
from msgspec.structs import replace

from headpond.domain.scaling.guards import at_most, eased, least, ordered
from headpond.domain.scaling.memory import Memory, Past, found, with_high
from headpond.domain.scaling.observation import Observation
from headpond.domain.scaling.rules import ScalingRules


class Wish(msgspec.Struct, frozen=True):
    """How many workers a policy would like, and why in words.

    None: it cannot say, and what there is should stay. `past` is its memory for the next time.
    """

    workers: int | None
    why: str
    past: Past | None = None


class Policy(Protocol):
    """Makes a wish of what is seen. It need not know bounds or cooldowns."""

    def wish(self, seen: Observation, past: Past | None, now: float) -> Wish:
        """The wish at `now`; `past` is what the last one handed on."""
        ...


class Decision(msgspec.Struct, frozen=True):
    """So many workers the pool should have, and why in words."""

    target: int
    why: str
    memory: Memory


def decide(
    policy: Policy, rules: ScalingRules, seen: Observation, memory: Memory, now: float
) -> Decision:
    """The target at `now`."""
    if memory.target is None and seen.crew is not None and seen.crew.size:
        memory = found(seen.crew.size, now)
    base = rules.min if memory.target is None else memory.target
    wish = policy.wish(seen, memory.past, now)
    fewest = least(rules, now)
    wanted = min(rules.max, max(fewest.workers, _wanted(wish, seen, base)))
    highs = with_high(memory.highs, wanted, now, rules.down_cooldown_s)
    memory = replace(memory, highs=highs, past=wish.past)
    verdict = ordered(seen.orders, base, now)
    if verdict is None:
        verdict = eased(rules, memory, base, wanted, now)
        if verdict.workers < fewest.workers or wanted == fewest.workers > (wish.workers or 0):
            verdict = fewest
    verdict = at_most(rules, seen, verdict, now)
    why = "; ".join(filter(None, (wish.why, verdict.note)))
    return Decision(verdict.workers, why, _after(memory, base, verdict.workers, rules, now))


def _wanted(wish: Wish, seen: Observation, base: int) -> int:
    if wish.workers is None:
        return base
    if seen.waiting is not None and seen.waiting.jobs:
        return max(1, wish.workers)
    return wish.workers


def _after(memory: Memory, base: int, target: int, rules: ScalingRules, now: float) -> Memory:
    if target == base:
        return replace(memory, target=target)
    if target < base:
        return replace(memory, target=target, changed_at=now)
    highs = with_high(memory.highs, target, now, rules.down_cooldown_s)
    return replace(memory, target=target, raised_at=now, changed_at=now, highs=highs)
