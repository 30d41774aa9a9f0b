"""Quotes look at the pool now and then, and know what was handed in since."""

import asyncio
from collections.abc import Mapping

from typing_extensions import override

from headpond.adapters.memory.queue import MemoryQueue
from headpond.domain.calibration import Calibration
from headpond.domain.facts import EngineHealth, EngineLoad, JobClaimed, JobSettled
from headpond.domain.job import JobState, Usage
from headpond.domain.lane import Lane, Priority, lanes_of
from headpond.domain.pace import Regime
from headpond.domain.pricing import TokenPrice
from headpond.domain.quote import Backlog, Eta, Forecast, Quote
from headpond.domain.work import Work
from headpond.services.quotes import FORGET_AFTER_S, Quotes
from headpond.services.reporting import Reporter
from headpond.testing.records import a_job
from headpond.testing.virtual_time import run_virtually
from tests.unit.domain.test_pace import a_report
from tests.unit.services.pond import Pond

WORK = Work(100, 20)


def quotes_of(pond: Pond, price: TokenPrice | None = None) -> Quotes:
    """Quotes for the pond's pool."""
    return Quotes(pond.queue, pond.roster, prices={"default": price}, weights={}, clock=pond.clock)


def test_without_a_measured_pace_there_is_a_position_and_a_price_but_no_eta() -> None:
    async def experiment() -> None:
        pond = Pond()
        quotes = quotes_of(pond, TokenPrice(input=1.0, output=10.0))
        quotes.note(a_job(work_tokens=5))
        quote = quotes.quote("default", Priority.BATCH, "team", WORK)
        assert (quote.position, quote.eta, quote.forecast) == (1, None, None)
        assert quote.price_usd == (100 * 1.0 + 20 * 10.0) / 1_000_000

    run_virtually(experiment())


def test_what_waits_in_the_queue_and_what_came_since_are_before_the_next_job() -> None:
    # SPEC G8
    async def experiment() -> None:
        pond = Pond()
        quotes = quotes_of(pond)
        now = pond.clock.now()
        await pond.roster.report(a_report(at=now, in_flight=16))
        await pond.submit(a_job(work_tokens=160))
        await quotes.tick()
        job = a_job(work_tokens=160)
        quotes.note(job)
        quote = quotes.quote("default", Priority.BATCH, "team", Work(1, 0))
        assert quote.position == 2
        assert quote.forecast is not None
        assert quote.eta is not None
        assert quote.forecast.seconds == 320 / 1600 + 0.01
        assert now < quote.eta.p50 < quote.eta.p90
        assert quote.price_usd is None

    run_virtually(experiment())


class SlowQueue(MemoryQueue):
    """Takes half a second to count a lane."""

    looks = 0

    @override
    async def backlog(self, lane: Lane) -> Mapping[str, Backlog]:
        self.looks += 1
        await asyncio.sleep(0.5)
        return await super().backlog(lane)


def test_a_look_that_takes_long_is_not_repeated_soon() -> None:
    async def experiment() -> None:
        pond = Pond()
        queue = SlowQueue(pond.clock)
        quotes = Quotes(queue, pond.roster, prices={"default": None}, weights={}, clock=pond.clock)
        for _ in range(15):
            await quotes.tick()
            await asyncio.sleep(1.0)
        assert queue.looks == len(lanes_of("default"))

    run_virtually(experiment())


def test_workers_long_gone_are_forgotten_but_for_the_latest() -> None:
    async def experiment() -> None:
        pond = Pond()
        old = pond.clock.now() - FORGET_AFTER_S - 1
        for number in range(10):
            await pond.roster.report(a_report(worker=f"w{number}", at=old + number / 100))
        await quotes_of(pond).tick()
        assert len(await pond.roster.reports("default")) == 8

    run_virtually(experiment())


def test_a_worker_reports_how_fast_it_is() -> None:
    async def experiment() -> None:
        pond = Pond()
        reporter = Reporter(pond.roster, pond.clock, worker="w", pool="default")
        await asyncio.sleep(20)
        reporter.hear(EngineHealth("e", healthy=False))
        reporter.hear(EngineHealth("e", healthy=True))
        reporter.hear(EngineLoad("e", None, None, None, in_flight=3, room=5))
        reporter.hear(JobClaimed(a_job(), 0.0))
        await reporter.tick()
        (report,) = await pond.roster.reports("default")
        assert (report.in_flight, report.capacity, report.token_s) == (4, 8, None)
        assert (report.healthy, report.cold_start_s) == (True, 20.0)
        assert report.calibrations == {}

    run_virtually(experiment())


def test_a_worker_learns_from_what_came_of_quotes() -> None:
    async def experiment() -> None:
        pond = Pond()
        reporter = Reporter(pond.roster, pond.clock, worker="w", pool="default")
        now = pond.clock.now()
        quote = Quote(
            position=0, forecast=Forecast(Regime.WAIT, 10.0), eta=Eta(now + 10.0, now + 15.0)
        )
        ran = a_job(quote=quote, accepted_at=now, work_tokens=100, state=JobState.RUNNING)
        done = ran.succeeded(now + 12.0, engine="e", usage=Usage())
        reporter.hear(JobSettled(done, service_s=2.0))
        reporter.hear(JobSettled(ran.returned(charged=True), service_s=99.0))
        unquoted = a_job(state=JobState.RUNNING, work_tokens=100)
        reporter.hear(JobSettled(unquoted.succeeded(now, engine="e", usage=Usage()), 4.0))
        report = reporter.report()
        assert report.token_s == 6.0 / 200
        assert report.calibrations[Regime.WAIT].errors == (1.2,)

    run_virtually(experiment())


def test_a_new_worker_goes_on_with_what_the_last_one_learned() -> None:
    async def experiment() -> None:
        pond = Pond()
        learned = {Regime.COLD_START: Calibration((1.1, 1.3), 0.52, 0.95)}
        now = pond.clock.now()
        await pond.roster.report(a_report(worker="older", at=now - 9))
        await pond.roster.report(a_report(worker="last", at=now - 5, calibrations=learned))
        reporter = Reporter(pond.roster, pond.clock, worker="new", pool="default")
        await reporter.tick()
        await reporter.tick()
        assert reporter.report().calibrations == learned

    run_virtually(experiment())
