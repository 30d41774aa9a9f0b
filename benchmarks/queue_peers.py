"""Durable queues side by side: submissions, drain and pick-up of the same small jobs.

usage: python -m benchmarks.queue_peers [--subjects headpond,bare_sqlite,taskiq] [--jobs 2000]
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, assert_never

from benchmarks.harness import postgres_server as postgres
from benchmarks.harness import redis_server as redis
from benchmarks.harness.assignment import Assignment
from benchmarks.harness.errors import CannotRunError
from benchmarks.harness.machine import describe_machine
from benchmarks.harness.options import add_common_options, chosen, fresh_folder, run_folder
from benchmarks.harness.outcomes import Metric, Outcome
from benchmarks.harness.processes import end_on_signals, run_to_end
from benchmarks.harness.report import Report, choose_reference, publish, summarise
from benchmarks.harness.rounds import interleaved, measure_or_explain
from benchmarks.harness.stamps import Stamps
from benchmarks.subjects.catalogue import QUEUES, REFERENCES, QueueEntry, ServerKind

METRICS: Final = (
    Metric("submit_per_s", "submit/s", more_is_better=True),
    Metric("submit_batch_per_s", "batch of 64/s", more_is_better=True),
    Metric("drain_per_s", "drain/s", more_is_better=True),
    Metric("stored_per_s", "stored/s", more_is_better=True),
    Metric("pickup_p50_ms", "pick-up p50 ms", more_is_better=False),
    Metric("pickup_p99_ms", "pick-up p99 ms", more_is_better=False),
)


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server answers and what it promises; both empty for subjects without one."""

    url: str = ""
    durability: str = ""


class Servers:
    """The servers of this run, each started when the first subject needs it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """Start servers in `folder`; `stack` ends them."""
        self._folder = folder
        self._stack = stack
        self._started: dict[ServerKind, Server | CannotRunError] = {}

    def get(self, kind: ServerKind) -> Server:
        """Return a running server; raise CannotRunError, each time, where it does not start."""
        if kind not in self._started:
            try:
                self._started[kind] = self._start(kind)
            except CannotRunError as error:
                self._started[kind] = error
        server = self._started[kind]
        if isinstance(server, CannotRunError):
            raise server
        return server

    def _start(self, kind: ServerKind) -> Server:
        folder = self._folder / kind
        match kind:
            case "none":
                return Server()
            case "redis-everysec":
                url = self._stack.enter_context(redis.redis_server(folder, "everysec"))
                return Server(url, redis.DURABILITY["everysec"])
            case "redis-always":
                url = self._stack.enter_context(redis.redis_server(folder, "always"))
                return Server(url, redis.DURABILITY["always"])
            case "postgres":
                url = self._stack.enter_context(postgres.postgres_server(folder))
                return Server(url, postgres.DURABILITY)
        assert_never(kind)


@dataclass(frozen=True, slots=True)
class QueueBench:
    """Measures one queue at a time, each time in an empty folder of its own."""

    folder: Path
    servers: Servers
    jobs: int
    pickups: int
    pickup_gap_s: float
    limit_s: float

    def measure(self, entry: QueueEntry, round_number: int) -> Outcome:
        """Measure one queue once; raise CannotRunError where that is not possible."""
        python = entry.environment.python()
        server = self.servers.get(entry.server)
        with fresh_folder(self.folder) as folder, _stamps_file() as stamps:
            assignment = Assignment(
                subject=entry.subject,
                directory=str(folder),
                stamps=str(stamps),
                server_url=server.url,
                server_durability=server.durability,
                jobs=self.jobs,
                pickups=self.pickups,
                pickup_gap_s=self.pickup_gap_s,
                limit_s=self.limit_s,
            )
            Stamps.create(stamps, assignment.stamp_count)
            found = self._run(python, assignment, folder)
        return Outcome(
            subject=entry.name,
            round=round_number,
            values=found.get("values", {}),
            facts=found.get("facts", {}),
            reason=found.get("reason", ""),
            fsync_ms=found.get("fsync_ms", 0.0),
        )

    def _run(self, python: Path, assignment: Assignment, folder: Path) -> dict[str, Any]:
        assignment_path, outcome_path = folder / "assignment.json", folder / "outcome.json"
        assignment.write(assignment_path)
        command = [python, "-m", "benchmarks.harness.measurement", assignment_path, outcome_path]
        pickup_s = self.pickups * self.pickup_gap_s
        # Starts, results and pick-ups may each take limit_s; submissions get as much again.
        run_to_end(command, folder / "producer.log", limit_s=4 * self.limit_s + pickup_s)
        return json.loads(outcome_path.read_text())


@contextmanager
def _stamps_file() -> Iterator[Path]:
    """Make a file in memory where the system offers that: stamps must not wait for the disk."""
    memory = Path("/dev/shm")  # noqa: S108 - the name of the memory file system
    with tempfile.NamedTemporaryFile(dir=memory if memory.is_dir() else None) as file:
        yield Path(file.name)


def main() -> None:
    """Run the comparison and print it."""
    options = _options()
    end_on_signals()
    with run_folder(options.directory) as folder, ExitStack() as stack:
        machine = describe_machine(folder)
        bench = QueueBench(
            folder=folder,
            servers=Servers(folder, stack),
            jobs=options.jobs,
            pickups=options.pickups,
            pickup_gap_s=options.pickup_gap,
            limit_s=options.limit,
        )
        entries = [entry for entry in QUEUES if entry.name in options.names]
        outcomes = [
            measure_or_explain(entry.name, number, lambda e=entry, n=number: bench.measure(e, n))
            for number, entry in interleaved(entries, options.rounds)
        ]
    reference = choose_reference(outcomes, options.reference, REFERENCES)
    report = Report(
        benchmark="queue peers",
        machine=machine,
        settings=_settings(options),
        reference=reference,
        lines=summarise(outcomes, options.names, reference),
        outcomes=outcomes,
    )
    publish(report, METRICS, as_json=options.json)


def _settings(options: argparse.Namespace) -> Mapping[str, object]:
    return {
        "rounds": options.rounds,
        "jobs": options.jobs,
        "pick-ups": options.pickups,
        "pick-up gap s": options.pickup_gap,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.queue_peers", description=__doc__)
    names = [entry.name for entry in QUEUES]
    add_common_options(parser, names)
    parser.add_argument(
        "--jobs", type=int, default=2000, help="jobs in the backlog (default: 2000)"
    )
    parser.add_argument("--pickups", type=int, default=200, help="single jobs (default: 200)")
    parser.add_argument(
        "--pickup-gap", type=float, default=0.05, help="seconds between single jobs"
    )
    parser.add_argument("--limit", type=float, default=120, help="seconds a stage may take")
    options = parser.parse_args()
    options.names = chosen(names, options.subjects, parser)
    return options


if __name__ == "__main__":
    main()
