"""One measurement of one queue: the producer process.

usage: python -m benchmarks.harness.measurement ASSIGNMENT OUTCOME

Three stages, in this order: submit (one at a time, then in batches of 64 where the queue can, no
worker running); drain of that backlog; pick-up of single jobs by an idle worker.
"""

import importlib
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path

from benchmarks.harness.assignment import Assignment
from benchmarks.harness.errors import CannotRunError
from benchmarks.harness.machine import fsync_ms
from benchmarks.harness.percentiles import percentile
from benchmarks.harness.processes import running, tail
from benchmarks.subjects.subject import BATCH, Subject, SubmitsBatches

POLL_S = 0.02
SETTLE_S = 1.0


def load_subject(assignment: Assignment) -> Subject:
    """Build the subject that the assignment names."""
    module_name, _, class_name = assignment.subject.partition(":")
    module = importlib.import_module(f"benchmarks.subjects.{module_name}")
    return getattr(module, class_name)(assignment)


class Measurement:
    """The stages of one measurement, each adding its values."""

    def __init__(self, subject: Subject, assignment_path: Path) -> None:
        """Take a subject whose producer is open."""
        self.subject = subject
        self.assignment = subject.assignment
        self.assignment_path = assignment_path
        self.worker_log = Path(self.assignment.directory) / "worker.log"
        self.values: dict[str, float] = {}
        self.fsyncs_ms: list[float] = []

    def run(self) -> None:
        """Run all stages; raise CannotRunError when the queue does not finish its jobs.

        The disk is timed before, between and after: it may change its mood within seconds.
        """
        self._time_disk()
        backlog = self.submit()
        self._time_disk()
        with self._worker():
            self.drain(backlog)
            self.pick_up()
        self._time_disk()

    def submit(self) -> int:
        """Time submissions with no worker running; return how many jobs wait afterwards."""
        jobs = self.assignment.jobs
        begun_s = time.monotonic()
        self.subject.submit_each(range(jobs))
        self.values["submit_per_s"] = jobs / (time.monotonic() - begun_s)
        if not isinstance(self.subject, SubmitsBatches):
            return jobs
        begun_s = time.monotonic()
        for first in range(jobs, 2 * jobs, BATCH):
            self.subject.submit_batch(range(first, min(first + BATCH, 2 * jobs)))
        self.values["submit_batch_per_s"] = jobs / (time.monotonic() - begun_s)
        return 2 * jobs

    def drain(self, backlog: int) -> None:
        """Time the backlog from the start of its first job: to the start of its last, and on.

        A queue may start jobs sooner than it stores what comes of them; they pile up in its memory.
        So it is also timed to the moment at which every result is seen in the store.
        """
        starts = self._wait_for_starts(0, backlog)
        self.values["drain_per_s"] = (backlog - 1) / (max(starts) - min(starts))
        self._wait_for_results(backlog)
        self.values["stored_per_s"] = backlog / (time.monotonic() - min(starts))

    def pick_up(self) -> None:
        """Time single jobs from just before their submission to their start."""
        time.sleep(SETTLE_S)
        first = 2 * self.assignment.jobs
        end = first + self.assignment.pickups
        submitted: list[float] = []
        self.subject.submit_each(self._paced(first, end, submitted))
        starts = self._wait_for_starts(first, end)
        waits_ms = [
            (start - before) * 1000 for start, before in zip(starts, submitted, strict=True)
        ]
        self.values["pickup_p50_ms"] = percentile(waits_ms, 0.5)
        self.values["pickup_p99_ms"] = percentile(waits_ms, 0.99)

    def _time_disk(self) -> None:
        self.fsyncs_ms.append(fsync_ms(Path(self.assignment.directory)))

    def _paced(self, first: int, end: int, submitted: list[float]) -> Iterator[int]:
        for number in range(first, end):
            before = time.monotonic()
            submitted.append(before)
            yield number
            time.sleep(max(0, before + self.assignment.pickup_gap_s - time.monotonic()))

    def _wait_for_starts(self, first: int, end: int) -> list[float]:
        deadline_s = time.monotonic() + self.assignment.limit_s
        while True:
            starts = self.subject.stamps.read(first, end)
            if all(starts):
                return starts
            if time.monotonic() > deadline_s:
                begun = sum(start > 0 for start in starts)
                message = f"only {begun} of {end - first} jobs began: {self._worker_tail()}"
                raise CannotRunError(message)
            time.sleep(POLL_S)

    def _wait_for_results(self, expected: int) -> None:
        deadline_s = time.monotonic() + self.assignment.limit_s
        while (stored := self.subject.stored_results()) < expected:
            if time.monotonic() > deadline_s:
                message = f"only {stored} of {expected} results stored: {self._worker_tail()}"
                raise CannotRunError(message)
            time.sleep(POLL_S)

    def _worker(self) -> AbstractContextManager[object]:
        if self.subject.worker_in_producer:
            return _thread(self.subject)
        return running(
            [sys.executable, "-m", "benchmarks.harness.worker", self.assignment_path],
            self.worker_log,
            own_group=False,
        )

    def _worker_tail(self) -> str:
        log = self.worker_log.read_text(errors="replace") if self.worker_log.exists() else ""
        return tail(log) or "the worker wrote nothing"


@contextmanager
def _thread(subject: Subject) -> Iterator[None]:
    threading.Thread(target=subject.work, daemon=True).start()
    yield


def main() -> None:
    """Measure, and write the outcome where the harness looks for it."""
    assignment_path, outcome_path = Path(sys.argv[1]), Path(sys.argv[2])
    assignment = Assignment.read(assignment_path)
    outcome: dict[str, object] = {}
    try:
        subject = load_subject(assignment)
        subject.open_producer()
        outcome["facts"] = asdict(subject.facts())
        measurement = Measurement(subject, assignment_path)
        measurement.run()
        outcome["values"] = measurement.values
        outcome["fsync_ms"] = round(statistics.mean(measurement.fsyncs_ms), 3)
    except CannotRunError as error:
        outcome["reason"] = str(error)
    except Exception as error:  # noqa: BLE001 - whatever a peer raises is a reason to report
        outcome["reason"] = f"{type(error).__name__}: {error}"
    outcome_path.write_text(json.dumps(outcome))
    sys.stdout.flush()
    # Clients leave threads and loops behind that would delay or disturb a normal exit.
    os._exit(0)


if __name__ == "__main__":
    main()
