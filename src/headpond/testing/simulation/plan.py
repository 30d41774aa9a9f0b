"""What a seed stands for: how large the world is, and which faults strike in it, how often.

A world with every fault in it is not the worst one: what kills often hides what is slow. So each
seed draws some of the faults, and a rate for them.
"""

import random
from enum import StrEnum

import msgspec
from typing_extensions import override

from headpond.domain.retry import RetryPolicy
from headpond.settings import EngineSettings, PoolSettings


class Fault(StrEnum):
    """What can go wrong. Each is a line of the report."""

    WORKER_KILLED = "worker killed"
    WORKER_STOPPED = "worker asked to stop"
    GATEWAY_KILLED = "gateway killed"
    FROZEN = "process frozen"
    ENGINE_DIED = "engine died"
    ENGINE_FAILED = "engine failed"
    ENGINE_HUNG = "engine hung"
    POISON = "poison submitted"
    REFUSED = "store refused"
    CALL_LOST = "call lost"
    ANSWER_LOST = "answer lost"
    SLOW = "store slow"
    DISK_FULL = "disk full"
    DOUBLED = "message doubled"
    RECEIVER_FAILED = "receiver failed"
    RECEIVER_GONE = "receiver gone"
    READER_LEFT = "reader left"
    CLOCK_WRONG = "clock wrong"
    CLOCK_JUMPED = "clock jumped"
    MESSAGE_LOST = "message lost"


AT_WORKERS = frozenset(Fault) - {
    Fault.GATEWAY_KILLED,
    Fault.FROZEN,
    Fault.REFUSED,
    Fault.CALL_LOST,
    Fault.ANSWER_LOST,
    Fault.SLOW,
    Fault.RECEIVER_FAILED,
    Fault.RECEIVER_GONE,
    Fault.READER_LEFT,
}
"""The others strike gateways as well, and there they do workers no harm."""

TEAMS = ("one", "two")
SIZES = (1, 1, 2, 3)
SPARED_SHARE = 0.25
POISONED_SHARE = 0.4
SHARES = (0.1, 0.3, 0.6)
RATES = (0.005, 0.02, 0.06)
LEASES_S = (3.0, 6.0)
HALF = 0.5

KEEP_S = 60.0
"""Longer than the time between a job's end and the moment at which the end is written, however late
that is: the mark of a retention that has passed a moment does not come back to it."""

STREAM_TTL_S = 20.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Drawn from a seed. `rate` is how likely a fault of `faults` strikes where it can.

    `skew_s` is how far the clocks of two processes can be apart. Where workers are spared, nothing
    happens to them or to their engines, but for what requests do to these. Each team makes so many
    `batches`. `webhooks` says whether teams have endpoints and jobs callbacks, `redrives` how often
    an operator looks at the dead letters; bodies are erased after `keep_s`, tokens of streams after
    `stream_ttl_s`. Only where the queue is `lossy` is it asked for the messages that it holds: that
    mends much that must not happen by itself. Where there is an `archive`, gateways write it, and
    bodies are erased once they are in it.
    """

    faults: frozenset[Fault]
    rate: float
    workers_spared: bool
    gateways: int
    workers: int
    clients: int
    orders: int
    shared_engine: bool
    skew_s: float
    batches: int
    streamed_share: float
    webhooks: bool
    redrives: int
    max_redrives: int
    keep_s: float | None
    stream_ttl_s: float
    lossy: bool
    archive: bool
    pool: PoolSettings

    @override
    def __str__(self) -> str:
        facts = {**msgspec.structs.asdict(self), "faults": sorted(self.faults)}
        del facts["pool"]
        engine = f"{self.pool.max_in_flight} at once, leases of {self.pool.lease_s} s"
        return ", ".join(f"{name} {fact}" for name, fact in facts.items()) + f"; {engine}"


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    dice = random.Random(f"plan {seed}")
    share = dice.choice(SHARES)
    faults = frozenset(fault for fault in Fault if dice.random() < share)
    workers_spared = dice.random() < SPARED_SHARE
    if workers_spared:
        faults -= AT_WORKERS
        if dice.random() < POISONED_SHARE:
            faults |= {Fault.POISON}
    lease_s = dice.choice(LEASES_S)
    features = random.Random(f"features {seed}")
    clocks_differ = not faults.isdisjoint({Fault.CLOCK_WRONG, Fault.CLOCK_JUMPED})
    return Plan(
        faults=faults,
        rate=dice.choice(RATES),
        workers_spared=workers_spared,
        gateways=dice.choice(SIZES),
        workers=dice.choice(SIZES),
        clients=dice.randint(1, 4),
        orders=dice.randint(1, 5),
        shared_engine=dice.random() < 0.5,
        skew_s=dice.choice((0.5, lease_s, 2 * lease_s)) if clocks_differ else 0.0,
        batches=features.choice((0, 0, 1, 2)),
        streamed_share=features.choice((0.0, 0.0, 0.5)),
        webhooks=features.random() < HALF,
        redrives=features.choice((0, 0, 1, 3)),
        max_redrives=features.choice((1, 2)),
        keep_s=features.choice((None, KEEP_S)),
        stream_ttl_s=features.choice((STREAM_TTL_S, 10 * STREAM_TTL_S)),
        lossy=features.random() < HALF,
        archive=features.random() < HALF,
        pool=PoolSettings(
            engine=EngineSettings(start_grace_s=10.0),
            models=("model",),
            max_in_flight=dice.choice((1, 2, 8)),
            lease_s=lease_s,
            retry=RetryPolicy(
                max_attempts=dice.choice((1, 2, 3)),
                first_delay_s=0.5,
                max_delay_s=lease_s,
                not_now_s=0.5,
                max_lost_leases=dice.choice((1, 3)),
            ),
        ),
    )
