"""A proof is worth what it catches: each bug planted here breaks a promise in some world.

    python -m tests.simulation.planted

prints how many seeds each of them needs.
"""

import pytest

from headpond.testing.simulation.stores import STORES
from headpond.testing.simulation.world import simulate
from tests.planted_bugs import DELIVERY_BUGS, QUEUE_BUGS, SHARED_BUGS, Plant
from tests.simulation.service_bugs import SERVICE_BUGS

MOST_SEEDS = 300

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

BUGS: dict[str, tuple[str, Plant]] = {
    **{bug: ("memory", plant) for bug, plant in (SERVICE_BUGS | SHARED_BUGS).items()},
    **{
        bug: ("sqlite", plant)
        for bug, plant in (DELIVERY_BUGS | QUEUE_BUGS).items()
        if bug not in UNHARMFUL | OUTSIDE
    },
}


def seeds_needed(store: str) -> tuple[int, str] | None:
    """How many seeds it takes to break a promise, and which one; None if none of them does."""
    for seed in range(MOST_SEEDS):
        run = simulate(seed, STORES[store])
        if run.violations:
            return seed + 1, run.violations[0]
    return None


def main() -> None:
    """Plant each bug and print what it takes to find it."""
    for bug, (store, plant) in BUGS.items():
        with pytest.MonkeyPatch.context() as patch:
            plant(patch)
            needed = seeds_needed(store)
        seeds, violation = needed or (0, "NOT FOUND")
        print(f"{store:8}{seeds:>5}  {bug:60}{violation[:100]}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
