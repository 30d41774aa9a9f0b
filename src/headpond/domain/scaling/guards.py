"""What holds of every policy. Each guard takes a number of workers and gives one with its reason.

Without a reason the number is what it was.
"""

from typing import NamedTuple

from headpond.domain.scaling.memory import Memory
from headpond.domain.scaling.money import affordable
from headpond.domain.scaling.observation import Observation, Orders
from headpond.domain.scaling.rules import ScalingRules
from headpond.domain.scaling.schedule import minimum


class Verdict(NamedTuple):
    """So many workers; `note` says what made it another number than was wanted."""

    workers: int
    note: str = ""


def eased(rules: ScalingRules, memory: Memory, base: int, wanted: int, now: float) -> Verdict:
    """A change from `base` at the pace that the cooldowns allow; `memory` has this wish already."""
    if wanted > base:
        return _raised(rules, memory, base, wanted, now)
    if wanted < base:
        return _lowered(rules, memory, base, now)
    return Verdict(wanted)


def ordered(orders: Orders, base: int, now: float) -> Verdict | None:
    """What an operator ordered, None if nothing that is in force."""
    if not orders.in_force(now):
        return None
    if orders.workers is not None:
        return Verdict(orders.workers, "an operator ordered so many")
    return Verdict(base, "an operator paused scaling")


def least(rules: ScalingRules, now: float) -> Verdict:
    """The fewest workers at a time: `min`, or the minimum of the schedule."""
    fewest, window = minimum(rules.schedule, now)
    if fewest > rules.min:
        return Verdict(fewest, f"the schedule keeps {fewest} in {window!r}")
    return Verdict(rules.min, f"min is {rules.min}")


def at_most(rules: ScalingRules, seen: Observation, verdict: Verdict, now: float) -> Verdict:
    """Not above `max`, nor what the caps on money leave."""
    most = affordable(rules, seen.spent, seen.crew, now)
    if min(verdict.workers, rules.max) > most:
        return Verdict(int(most), f"the cap on money leaves {most:.0f}")
    if verdict.workers > rules.max:
        return Verdict(rules.max, f"max is {rules.max}")
    return verdict


def _raised(rules: ScalingRules, memory: Memory, base: int, wanted: int, now: float) -> Verdict:
    if memory.raised_at is not None and now - memory.raised_at < rules.between_raises_s:
        return Verdict(base, f"the last raise was {now - memory.raised_at:.0f} s ago")
    step = max(rules.max_step, base)
    if wanted > base + step:
        return Verdict(base + step, f"at most {step} more at a time")
    return Verdict(wanted)


def _lowered(rules: ScalingRules, memory: Memory, base: int, now: float) -> Verdict:
    high = memory.highs[0]
    if high.workers >= base:
        how = "found running" if high.at == memory.found_at else "wanted"
        return Verdict(base, f"{high.workers} were {how} {now - high.at:.0f} s ago")
    if high.workers:
        return Verdict(high.workers)
    if base > 1:
        return Verdict(1, "the last one stays a while longer")
    alone_s = 0.0 if memory.changed_at is None else now - memory.changed_at
    if memory.changed_at is not None and alone_s < rules.down_cooldown_s:
        return Verdict(1, f"the last one stays {rules.down_cooldown_s - alone_s:.0f} s longer")
    return Verdict(0)
