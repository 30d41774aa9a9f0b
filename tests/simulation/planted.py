"""A proof is worth what it catches: each bug planted here breaks a promise in some world.

    python -m tests.simulation.planted

prints the first seed that finds each of them.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache

import pytest

from headpond.testing.simulation import hosts
from headpond.testing.simulation.stores import STORES
from headpond.testing.simulation.world import simulate
from tests.planted_bugs import DELIVERY_BUGS, QUEUE_BUGS, SHARED_BUGS, Plant
from tests.simulation.feature_bugs import FEATURE_BUGS, STORE_BUGS
from tests.simulation.service_bugs import SERVICE_BUGS

MOST_SEEDS = 1_000

ENOUGH_STEPS = 40_000
"""Many times what a world takes; a bug may make it go round in circles."""

UNHARMFUL = {
    "a key never expires",
    "an overdue job is not due",
    "a claim ignores the ticket",  # on SQLite nothing is ever sent twice
    "the newest goes first",
    "the order of sending is forgotten",
    "every receipt has the same token",
    "ack ignores the token",
    "ack ignores the lapse",
    "extend ignores the token",
    "extend ignores the lapse",
    "give_back ignores the token",
    "give_back ignores the lapse",
    "give_back leaves the token",
    "depth takes lapsed leases for leased",
    "send is given up after the first message",
    "a lease lapses a moment late",
    "a delayed message is handed out",
}
"""These break the contract of a port, and the random histories find them. No promise to a client
is broken by one of them alone: the record's version stands behind the lease."""

OUTSIDE = {
    "two retries find one job",
    "a try is taken for its own retry",
    "a retry goes on with any job",
}
"""Simulated clients have keys or nothing: they do not count their tries as an SDK does."""

CRAWLING = {"a leased message is handed out again"}
"""Claims come to nothing again and again, and the world does not get on; the histories find it."""

UNFAIR = {
    "a team's tag is not advanced",
    "weights are ignored",
    "every message costs the same",
    "the lane's virtual time stands still",
    "virtual time is no floor for a team that comes",
    "a team ahead of the others is forgotten",
    "what was dropped or given back is charged",
}
"""Who comes first among teams no simulated client was promised."""

BUGS: dict[str, tuple[str, Plant]] = {
    **{
        bug: ("memory", plant) for bug, plant in (SERVICE_BUGS | FEATURE_BUGS | SHARED_BUGS).items()
    },
    **{
        bug: ("sqlite", plant)
        for bug, plant in (DELIVERY_BUGS | QUEUE_BUGS | STORE_BUGS).items()
        if bug not in UNHARMFUL | OUTSIDE | CRAWLING | UNFAIR
    },
}

RARE = {
    "a cancelled claim is renewed in two steps": 14,
    "the reaper forgets what was not sent": 17,
    "attempts have no bound": 7,
    "a cancel does not look whether it was written": 9,
    "the heart does not beat": 2,
    "work goes on when its claim has fallen": 2,
    "a pause never ends": 4,
    "what a queue lost stays lost": 11,
    "a line that the store refuses is passed over": 59,
    "a batch that ends early forgets what was no job yet": 7,
    "a batch of a dead gateway is left alone": 4,
    "an end is told before it is written": 17,
    "a refusal counts as told": 14,
    "a webhook is tried once": 14,
    "a run that follows another is no restart": 12,
    "whoever ran a job goes on telling": 25,
    "a reader misses what came in between": 3,
    "a result is stored before its last tokens": 4,
    "redrives have no cap": 139,
    "bodies are erased early": 4,
    "lines of open batches are erased": 4,
    "nothing is ever erased": 4,
    "what ended late is not archived": 12,
    "the archive goes on past what could not be written": 50,
    "every claim ignores the ticket": 221,
    "a reissued job keeps its ticket": 11,
    "settle is not fenced": 7,
    "a cancelled claim is renewed": 14,
    "a message is sent for a key that is known": 6,
    "a look at a team's messages begins anew": 7,
    "the limit counts for each lane": 4,
    "a record of a batch is replaced whatever stands": 74,
    "a run without a claim goes on telling": 19,
    "retention passes by what is too new": 4,
}
"""The first seed that found each of these when it was last looked; of the others one of the first
few does."""


def find(bug: str, first: int = 0) -> tuple[int, str] | None:
    """The seed from `first` on in whose world the bug breaks a promise, and which one."""
    store, plant = BUGS[bug]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hosts, "MOST_STEPS", ENOUGH_STEPS)
        for seed in range(first, first + MOST_SEEDS):
            with pytest.MonkeyPatch.context() as planted:
                plant(planted)
                violations = simulate(seed, STORES[store]).violations
            if violations and whole(seed, store):
                return seed, violations[0]
    return None


@cache
def whole(seed: int, store: str) -> bool:
    """A world that is broken without a bug as well has found something else."""
    return not simulate(seed, STORES[store]).violations


def main() -> int:
    """Plant each bug, print what it takes to find it, and then RARE; 1 if one is not found."""
    rare: dict[str, int] = {}
    missed = 0
    with ProcessPoolExecutor() as processes:
        for bug, found in zip(BUGS, processes.map(find, BUGS), strict=True):
            seed, violation = found or (None, "NOT FOUND")
            print(f"{BUGS[bug][0]:8}{seed!s:>5}  {bug:60}{violation[:100]}", flush=True)  # noqa: T201
            missed += seed is None
            if seed is not None and seed > 1:
                rare[bug] = seed
    print(f"RARE = {rare}")  # noqa: T201
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
