"""What a worker says of itself."""

from headpond.adapters.memory.roster import MemoryRoster
from headpond.domain.facts import EngineLoad, JobSettled
from headpond.domain.job import Usage
from headpond.domain.throughput import Throughput
from headpond.services.reporting import Reporter
from headpond.testing.clocks import ManualClock
from headpond.testing.records import a_job


def load(in_flight: int, room: int) -> EngineLoad:
    return EngineLoad("engine", None, None, None, in_flight, room)


async def test_only_what_a_full_engine_did_counts_for_its_rate() -> None:
    clock = ManualClock()
    reporter = Reporter(MemoryRoster(), clock, worker="w", pool="default")
    job = a_job(work_tokens=10).enqueued(1.0).claimed("w", 2.0)
    done = JobSettled(job.succeeded(3.0, engine="engine", usage=Usage()), 1.0)
    for in_flight in (1, 8, 8, 1):  # begins idle, is full for two looks, is idle again
        reporter.hear(done)
        reporter.hear(load(in_flight, 8 - in_flight))
        clock.advance(5)
    full = reporter.report().full
    assert full == Throughput(5.0, 1, 10)
