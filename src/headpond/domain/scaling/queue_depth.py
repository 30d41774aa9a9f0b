"""Policy `queue-depth`: a worker for every so many jobs that are not done.

    workers = ceil(backlog / messages_per_worker)

The article's rule, but that its backlog counts what is in flight, too. It is simple and explains
itself, and it keeps late: a queue that is served well is short, so the fleet shrinks until a
backlog stands. `flow` does not have that fault.
"""

import math
from dataclasses import dataclass

from typing_extensions import override

from headpond.domain.scaling.decision import Policy, Wish
from headpond.domain.scaling.memory import Past
from headpond.domain.scaling.observation import Observation


def messages_per_worker(jobs_per_minute: float, latency_s: float) -> int:
    """The most jobs for a worker that a load test of it allows: throughput * latency / 60.

    More of them would take a worker longer than `latency_s` to do.
    """
    return max(1, math.floor(jobs_per_minute * latency_s / 60))


@dataclass(frozen=True)
class QueueDepth(Policy):
    """One worker for each `messages_per_worker` jobs, or part of them."""

    messages_per_worker: int = 50

    @override
    def wish(self, seen: Observation, past: Past | None, now: float) -> Wish:
        if seen.waiting is None:
            return Wish(None, "what waits is not known")
        jobs, each = seen.waiting.jobs, self.messages_per_worker
        return Wish(math.ceil(jobs / each), f"{jobs} jobs are not done, a worker for each {each}")
