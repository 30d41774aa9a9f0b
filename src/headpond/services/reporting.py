"""What a worker says of itself to the roster: how fast it is, and how right the quotes were."""

from collections import deque

from typing_extensions import override

from headpond.domain.calibration import Calibration
from headpond.domain.facts import EngineHealth, EngineLoad, Fact, JobClaimed, JobSettled
from headpond.domain.job import Job, JobState
from headpond.domain.pace import Regime, WorkerReport
from headpond.domain.throughput import Throughput, is_full
from headpond.ports.clock import Clock
from headpond.ports.events import Listener
from headpond.ports.roster import Roster

EVERY_S = 1.0
WINDOW = 256
"""Runs that the mean is taken of: the latest ones."""


class Reporter(Listener):
    """Hears what its worker does; `tick` writes it down. One for each worker."""

    def __init__(self, roster: Roster, clock: Clock, *, worker: str, pool: str) -> None:
        self._roster = roster
        self._clock = clock
        self._worker = worker
        self._pool = pool
        self._started_at = clock.now()
        self._healthy = False
        self._in_flight = 0
        self._capacity = 1
        self._cold_start_s: float | None = None
        self._runs: deque[tuple[float, int]] = deque(maxlen=WINDOW)
        self._calibrations: dict[Regime, Calibration] = {}
        self._inherited = False
        self._full = Throughput()
        self._full_since: float | None = None
        self._done_full = Throughput()

    @override
    def hear(self, fact: Fact) -> None:
        match fact:
            case JobClaimed():
                self._in_flight += 1
            case JobSettled(job, service_s) if job.state is JobState.SUCCEEDED:
                self._in_flight -= 1
                self._runs.append((service_s, job.work_tokens))
                self._done_full += Throughput(0.0, 1, job.work_tokens)
                self._learn(job)
            case EngineHealth(_, healthy):
                self._healthy = healthy
                if healthy and self._cold_start_s is None:
                    self._cold_start_s = self._clock.now() - self._started_at
            case EngineLoad():
                self._in_flight = fact.in_flight
                self._capacity = max(self._capacity, fact.in_flight + fact.room)
                self._measure(full=is_full(fact.in_flight, fact.room))
            case _:
                pass

    async def tick(self) -> None:
        """Write the report; before the first one, learn what the worker before knew."""
        if not self._inherited:
            for report in (await self._roster.reports(self._pool))[:1]:
                self._calibrations = {**report.calibrations, **self._calibrations}
                self._full = (self._full + report.full).faded()
            self._inherited = True
        await self._roster.report(self.report())

    def report(self) -> WorkerReport:
        """The worker now."""
        run_s = sum(service_s for service_s, _ in self._runs)
        tokens = sum(work_tokens for _, work_tokens in self._runs)
        return WorkerReport(
            worker=self._worker,
            pool=self._pool,
            at=self._clock.now(),
            started_at=self._started_at,
            healthy=self._healthy,
            in_flight=max(0, self._in_flight),
            capacity=self._capacity,
            token_s=run_s / tokens if tokens else None,
            run_s=run_s / len(self._runs) if self._runs else None,
            full=self._full,
            cold_start_s=self._cold_start_s,
            calibrations=dict(self._calibrations),
        )

    def _measure(self, *, full: bool) -> None:
        """Count what was done since the last look, if the engine was full then and still is."""
        now = self._clock.now()
        if full and self._full_since is not None and now > self._full_since:
            span = Throughput(now - self._full_since)
            self._full = (self._full + self._done_full + span).faded()
        self._full_since = now if full else None
        self._done_full = Throughput()

    def _learn(self, job: Job) -> None:
        quote, finished_at = job.quote, job.finished_at
        if quote is None or quote.forecast is None or quote.eta is None or finished_at is None:
            return
        regime = quote.forecast.regime
        self._calibrations[regime] = self._calibrations.get(regime, Calibration()).learned(
            (finished_at - job.accepted_at) / quote.forecast.seconds,
            after_p50=finished_at > quote.eta.p50,
            after_p90=finished_at > quote.eta.p90,
        )
