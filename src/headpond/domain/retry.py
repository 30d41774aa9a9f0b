"""When a failed job is tried again."""

from typing import Annotated

import msgspec
from msgspec import Meta

Delay = Annotated[float, Meta(ge=0)]


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a job that failed is tried again: exponential back-off."""

    max_attempts: Annotated[
        int, Meta(ge=1, description="Runs of a job before it is put among the dead letters")
    ] = 3
    first_delay_s: Annotated[Delay, Meta(description="Pause after the first failure")] = 1.0
    max_delay_s: Annotated[Delay, Meta(description="Longest pause")] = 60.0
    not_now_s: Annotated[
        float, Meta(gt=0, description="Shortest pause after an engine said that it has no room")
    ] = 1.0
    max_lost_leases: Annotated[
        int, Meta(ge=1, description="How often a job may take its worker or engine down with it")
    ] = 5


def backoff_s(policy: RetryPolicy, attempts: int, chance: float) -> float:
    """Seconds before the next try after `attempts` failed ones (1 or more).

    `chance` in [0, 1) spreads the delay over its upper half ("equal jitter"), so that jobs which
    failed together do not return together.
    """
    exponent = min(attempts - 1, 62)
    ceiling = min(policy.max_delay_s, policy.first_delay_s * 2.0**exponent)
    return ceiling * (0.5 + 0.5 * chance)


def outage_s(policy: RetryPolicy, lost_leases: int) -> float:
    """Seconds before a job is tried again that met an engine which fails with everybody.

    An engine like that is tried every `max_delay_s`, and those that have tried it let others go
    first. With the defaults a job that is alone is tried for half an hour.
    """
    return policy.max_delay_s * 2.0**lost_leases
