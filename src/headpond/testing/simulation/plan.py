"""What a seed stands for: how large the world is, and which faults strike in it, how often.

A world with every fault in it is not the worst one: what kills often hides what is slow. So each
seed draws some of the faults, and a rate for them.
"""

import random
from enum import StrEnum

import msgspec

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
    CLOCK_WRONG = "clock wrong"
    CLOCK_JUMPED = "clock jumped"


AT_WORKERS = frozenset(Fault) - {
    Fault.GATEWAY_KILLED,
    Fault.FROZEN,
    Fault.REFUSED,
    Fault.CALL_LOST,
    Fault.ANSWER_LOST,
    Fault.SLOW,
}
"""The others strike gateways as well, and there they do workers no harm."""

SIZES = (1, 1, 2, 3)
SPARED_SHARE = 0.25
POISONED_SHARE = 0.4
SHARES = (0.1, 0.3, 0.6)
RATES = (0.005, 0.02, 0.06)
LEASES_S = (3.0, 6.0)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Drawn from a seed. `rate` is how likely a fault of `faults` strikes where it can.

    `skew_s` is how far the clocks of two processes can be apart. Where workers are spared, nothing
    happens to them or to their engines, but for what requests do to these.
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
    pool: PoolSettings


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
