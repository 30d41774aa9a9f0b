"""What a queue takes: how long it leases, delays and keeps, and how often it hands out."""

import math

import msgspec

UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60))


class Limits(msgspec.Struct, frozen=True):
    """Infinite where nothing but the queue's own room is a limit.

    What is sent with a longer delay than `delay_s` is kept back in another way; what is older than
    `keep_s` is gone; what came to nothing `deliveries` times is set aside.
    """

    lease_s: float = math.inf
    delay_s: float = math.inf
    keep_s: float = math.inf
    deliveries: float = math.inf


DELIVERIES = 100
"""Before a message is set aside: the most that Pub/Sub allows. The other clouds allow more."""

SQS = Limits(lease_s=43_200, delay_s=900, keep_s=1_209_600, deliveries=DELIVERIES)
PUBSUB = Limits(lease_s=600, delay_s=0, keep_s=31 * 86_400, deliveries=DELIVERIES)
SERVICE_BUS = Limits(lease_s=300, deliveries=DELIVERIES)


def span(seconds: float) -> str:
    """So long in words, in the longest unit that it is whole in."""
    if not seconds:
        return "not at all"
    if math.isinf(seconds):
        return "any"
    for unit, unit_s in UNITS:
        if seconds % unit_s == 0:
            return f"{seconds / unit_s:g} {unit}"
    return f"{seconds:g} s"
