"""When a failed job is tried again."""

import msgspec


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exponential back-off. Times in seconds.

    `max_lost_leases` bounds how often a job may take its worker down with it; `not_now_s` is the
    pause after an engine said that it has no room, where it did not name one.
    """

    max_attempts: int = 3
    first_delay_s: float = 1.0
    max_delay_s: float = 60.0
    not_now_s: float = 1.0
    max_lost_leases: int = 5


def backoff_s(policy: RetryPolicy, attempts: int, chance: float) -> float:
    """Seconds before the next try after `attempts` failed ones (1 or more).

    `chance` in [0, 1) spreads the delay over its upper half ("equal jitter"), so that jobs which
    failed together do not return together.
    """
    exponent = min(attempts - 1, 62)
    ceiling = min(policy.max_delay_s, policy.first_delay_s * 2.0**exponent)
    return ceiling * (0.5 + 0.5 * chance)
