"""Headpond itself: the place for our own queue.

Fill in the four verbs of Subject (and `submit_batch`, if the queue takes many jobs in one call).
The module runs in the environment of requirements-headpond.txt, which installs this project.
"""

from collections.abc import Iterable

from benchmarks.harness.errors import CannotRunError
from benchmarks.subjects.subject import AT_LEAST_ONCE, BY_THE_QUEUE, Facts, Subject

NOT_HERE = "the queue is not in this tree yet"


class Headpond(Subject):
    """Our durable queue on SQLite."""

    def facts(self) -> Facts:
        return Facts(
            durability="SQLite, write-ahead log, synchronous=FULL: survives a power cut",
            delivery=AT_LEAST_ONCE,
            results=BY_THE_QUEUE,
            settings="defaults",
        )

    def open_producer(self) -> None:
        raise CannotRunError(NOT_HERE)

    def submit_each(self, numbers: Iterable[int]) -> None:  # noqa: ARG002 - to be filled in
        raise CannotRunError(NOT_HERE)

    def work(self) -> None:
        raise CannotRunError(NOT_HERE)

    def stored_results(self) -> int:
        raise CannotRunError(NOT_HERE)
