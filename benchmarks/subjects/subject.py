"""What every measured queue can do, whatever it is made of.

A subject is built twice: in the producer process (`open_producer`, `submit_each`,
`stored_results`) and in the worker process (`work`).  Its jobs call `run_job`, which notes the
start and returns the result that has to be stored.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, TypedDict, runtime_checkable

from benchmarks.harness.assignment import Assignment
from benchmarks.harness.stamps import Stamps

PROMPT = "x" * 600
BATCH = 64
AT_LEAST_ONCE = "at least once"
AT_MOST_ONCE = "at most once"
BY_THE_QUEUE = "yes, by the queue"
BY_THE_JOB = "yes, by the job itself"


class Result(TypedDict):
    """What a job answers: about what a small classification returns."""

    number: int
    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What a subject promises and how it is set, in words: numbers mean little without them.

    `settings` names what differs from the peer's defaults; changes are only ever in its favour.
    """

    durability: str
    delivery: str
    results: str
    settings: str


class Subject(ABC):
    """A queue under test."""

    # True where the queue's file may be used by one process only: the worker is then a thread.
    worker_in_producer: ClassVar[bool] = False

    def __init__(self, assignment: Assignment) -> None:
        """Take the assignment; open nothing yet."""
        self.assignment = assignment
        self.directory = Path(assignment.directory)
        self.stamps = Stamps(Path(assignment.stamps))

    @abstractmethod
    def facts(self) -> Facts:
        """Say what this queue promises under the settings used here."""

    @abstractmethod
    def open_producer(self) -> None:
        """Empty the store, make what the queue needs, connect."""

    @abstractmethod
    def submit_each(self, numbers: Iterable[int]) -> None:
        """Submit one job for each number, each acknowledged before the next number is drawn.

        The iterator sets the pace: it may sleep.
        """

    @abstractmethod
    def work(self) -> None:
        """Run jobs until the process is ended."""

    @abstractmethod
    def stored_results(self) -> int:
        """Count the results in the store."""

    def run_job(self, number: int) -> Result:
        """Do the job: note its start and return its result."""
        self.stamps.mark(number)
        return {"number": number, "label": "electronics", "confidence": 0.97}


@runtime_checkable
class SubmitsBatches(Protocol):
    """A queue that takes many jobs in one call."""

    def submit_batch(self, numbers: Sequence[int]) -> None:
        """Submit these jobs in one call, acknowledged together."""
        ...


class AsyncSubject(Subject):
    """A queue whose client is asynchronous; the producer is one coroutine on one loop."""

    def __init__(self, assignment: Assignment) -> None:
        """Make the producer's loop."""
        super().__init__(assignment)
        self.runner = asyncio.Runner()

    def open_producer(self) -> None:
        self.runner.run(self.open_producer_async())

    def submit_each(self, numbers: Iterable[int]) -> None:
        self.runner.run(self.submit_each_async(numbers))

    @abstractmethod
    async def open_producer_async(self) -> None:
        """Do what `open_producer` promises."""

    @abstractmethod
    async def submit_each_async(self, numbers: Iterable[int]) -> None:
        """Do what `submit_each` promises."""
