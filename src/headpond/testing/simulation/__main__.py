"""Run many seeds and print what struck and what broke; exit with 1 if anything did.

python -m headpond.testing.simulation --seeds 10000
python -m headpond.testing.simulation --store sqlite --replay 4711 --trace
"""

import argparse
import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence

from headpond.testing.simulation.plan import Fault, draw
from headpond.testing.simulation.stores import STORES
from headpond.testing.simulation.world import Run, simulate

TOLD = 10
"""Violations that are printed; each can be seen again by its seed."""


class Report:
    """Sums of many runs."""

    def __init__(self) -> None:
        self.seeds = 0
        self.steps = 0
        self.virtual_s = 0.0
        self.faults: Counter[Fault] = Counter()
        self.violations = 0
        self._began = time.perf_counter()

    def add(self, store: str, run: Run) -> None:
        """Count a run; tell a bad one at once."""
        self.seeds += 1
        self.steps += run.steps
        self.virtual_s += run.virtual_s
        self.faults.update(run.faults)
        if run.violations and self.violations < TOLD:
            print(f"seed {run.seed} on {store}: {run.violations[0]}")
            print(f"  {draw(run.seed)}", flush=True)
        self.violations += bool(run.violations)

    def show(self) -> None:
        """Print the sums."""
        took_s = time.perf_counter() - self._began
        print(f"{'worlds':24}{self.seeds:>12,}")
        print(f"{'steps':24}{self.steps:>12,}   {self.steps / took_s:,.0f} a second")
        print(f"{'virtual time':24}{self.virtual_s / 3600:>12,.1f} h in {took_s:,.1f} s")
        print(f"{'faults':24}{sum(self.faults.values()):>12,}")
        for fault in Fault:
            print(f"  {fault:22}{self.faults[fault]:>12,}")
        print(f"{'worlds with violations':24}{self.violations:>12,}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    given = _parser().parse_args(arguments)
    stores = list(STORES) if given.store == "both" else [given.store]
    if given.replay is not None:
        return max(_replay(given.replay, store, trace=given.trace) for store in stores)
    report = Report()
    for seed in range(given.first, given.first + given.seeds):
        for store in stores:
            report.add(store, simulate(seed, STORES[store]))
    report.show()
    return 1 if report.violations else 0


def _replay(seed: int, store: str, *, trace: bool) -> int:
    run = simulate(seed, STORES[store], keep_trace=trace)
    for line in run.trace:
        print(line)
    if trace or run.violations:
        print(draw(seed))
    print(f"seed {seed} on {store}: {run.steps:,} steps, trace {run.digest}")
    for violation in run.violations:
        print(f"  {violation}")
    return 1 if run.violations else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m headpond.testing.simulation", description="Seeded faults, and what broke."
    )
    parser.add_argument("--seeds", type=int, default=1_000, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--store", choices=[*STORES, "both"], default="both")
    parser.add_argument("--replay", type=int, metavar="SEED", help="run this seed alone")
    parser.add_argument("--trace", action="store_true", help="with --replay: every event")
    return parser


if __name__ == "__main__":
    logging.disable()  # what services say of faults that are meant
    sys.exit(main())
