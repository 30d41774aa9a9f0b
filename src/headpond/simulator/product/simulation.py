"""A trace through the product itself: every request is a job, every iteration of an engine counts.

Requests come to the gateway's submission; machines are workers with modelled engines; the scaler
looks at the real queue. Nothing waits for real time.
"""

import asyncio
import contextlib
import random
from functools import partial

import msgspec
from typing_extensions import override

from headpond.adapters.memory.buckets import MemoryBuckets
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.queue import MemoryQueue
from headpond.adapters.memory.roster import MemoryRoster
from headpond.adapters.memory.scaling import MemoryScalingStore
from headpond.adapters.memory.streams import MemoryTokenStreams
from headpond.adapters.memory.workload import MemoryWorkload
from headpond.domain.catalogue import Catalogue
from headpond.domain.facts import Fact, JobClaimed, JobSettled, PoolScaled
from headpond.domain.identity import Identity, time_ordered_id
from headpond.domain.job import Ticket
from headpond.domain.lane import lanes_of
from headpond.domain.pace import pace_of
from headpond.domain.quote import Backlog
from headpond.domain.scaling.observation import ColdStart as SeenColdStart
from headpond.domain.scaling.observation import Observation, Rate
from headpond.domain.scaling.rules import ScalingRules
from headpond.domain.statistics import percentile
from headpond.domain.work import CHARS_PER_TOKEN
from headpond.ports.events import Listener
from headpond.services.autoscaler import Autoscaler
from headpond.services.duty import Duty
from headpond.services.quotes import EVERY_S as QUOTES_EVERY_S
from headpond.services.quotes import Quotes
from headpond.services.rate_limits import RateLimits
from headpond.services.submission import Order, Submission
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.settings import EngineSettings, LimitSettings, PoolSettings, ScalerSettings
from headpond.simulator.engine.core import Engine as EngineModel
from headpond.simulator.fluid import EPOCH, Setting
from headpond.simulator.product.crew import Machines
from headpond.simulator.product.engine import Prompt
from headpond.simulator.product.fleet import SimulatedFleet
from headpond.simulator.product.machine import POOL, Surroundings
from headpond.simulator.result import Decided, Moment, Result
from headpond.simulator.scalers.scaler import Scaler, Sight
from headpond.simulator.traces.arrivals import Bin
from headpond.testing.virtual_time import LoopClock, run_virtually

TEAM = Identity("team")
SCALER = ScalerSettings()
REAP_EVERY_S = 5.0
LEASE_S = 30.0
MARKET_EVERY_S = 5.0
NOTE_EVERY_S = 60.0
LONGEST_S = 86_400.0
"""After the trace, for the rest of the answers."""


class Heard(Listener):
    """Counts waits and latencies of jobs, and notes what the autoscaler changes."""

    def __init__(self) -> None:
        self.waits: dict[str, float] = {}
        self.latencies: list[float] = []
        self.failed = 0
        self.decisions: list[Decided] = []
        self.all_ended = asyncio.Event()
        self._expected: int | None = None

    def expect(self, jobs: int) -> None:
        """No more than so many will come."""
        self._expected = jobs
        self._count()

    @override
    def hear(self, fact: Fact) -> None:
        """The first claim of a job ends its wait."""
        match fact:
            case JobClaimed(job, waited_s):
                self.waits.setdefault(job.id, waited_s)
            case JobSettled(job) if job.state.terminal:
                self.latencies.append((job.finished_at or 0.0) - job.accepted_at)
                self.failed += job.error is not None
                self._count()
            case PoolScaled(step) if step.before != step.target:
                at_s = asyncio.get_running_loop().time()
                self.decisions.append(Decided(at_s, step.before, step.target, step.why))
            case _:
                pass

    def _count(self) -> None:
        if len(self.latencies) == self._expected:
            self.all_ended.set()


def run_product(
    setting: Setting,
    model: EngineModel,
    scaler: Scaler | ScalingRules,
    policy: str,
    *,
    at_once: int = 16,
) -> Result:
    """Run the trace to its last answer. Rules are carried out by the product's autoscaler."""
    return run_virtually(_Simulation(setting, model, scaler, policy, at_once).run())


class _Simulation:
    """One run."""

    def __init__(
        self,
        setting: Setting,
        model: EngineModel,
        scaler: Scaler | ScalingRules,
        policy: str,
        at_once: int,
    ) -> None:
        self._setting = setting
        self._scaler = scaler
        self._policy = policy
        dice = random.Random(f"{setting.seed} product")
        self._clock = clock = LoopClock(EPOCH)
        pool = PoolSettings(
            models=("model",), max_in_flight=at_once, lease_s=LEASE_S, engine=EngineSettings()
        )
        self._heard = Heard()
        self._jobs = MemoryJobStore(clock)
        self._queue = MemoryQueue(clock)
        self._roster = MemoryRoster()
        delivery = TwoStepDelivery(
            self._jobs,
            self._queue,
            clock=clock,
            new_ticket=lambda: Ticket(time_ordered_id(clock.now(), dice.getrandbits(74))),
            lease_s=LEASE_S,
            max_lost_leases=pool.retry.max_lost_leases,
        )
        quotes = Quotes(self._queue, self._roster, prices={POOL: None}, weights={}, clock=clock)
        self._quoting = Duty("quotes", quotes.tick, every_s=QUOTES_EVERY_S, listener=self._heard)
        self._submission = Submission(
            delivery,
            jobs=self._jobs,
            pools={POOL: pool},
            catalogue=Catalogue({POOL: ("model",)}),
            limits=RateLimits(LimitSettings(), MemoryBuckets(clock)),
            quotes=quotes,
            weights={},
            clock=clock,
            listener=self._heard,
            idempotency_ttl_s=60.0,
            sdk_retry_window_s=60.0,
            random_bits=dice.getrandbits,
        )
        self._around = Surroundings(
            delivery=delivery,
            streams=MemoryTokenStreams(self._jobs),
            roster=self._roster,
            settings=pool,
            model=model,
            clock=clock,
            listener=self._heard,
            chance=dice.random,
            epoch=EPOCH,
        )
        self._arrived = self._noted = self._tokens = 0
        self._work_s = 0.0
        self._moments: list[Moment] = []

    async def run(self) -> Result:
        setting = self._setting
        self._machines = Machines(
            self._around,
            setting.cold_start,
            dice=random.Random(f"{setting.seed} machines"),
            on_demand=setting.on_demand,
            market=setting.market,
        )
        self._machines.add(setting.warm, warm=True)
        duties = (
            self._quoting,
            self._scaling(),
            Duty("market", self._check, every_s=MARKET_EVERY_S, listener=self._heard),
            Duty("note", self._note, every_s=NOTE_EVERY_S, listener=self._heard),
        )
        for duty in duties:
            duty.start()
        await self._feed()
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, setting.trace.span_s - loop.time()))
        self._heard.expect(self._arrived)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_S):
                await self._heard.all_ended.wait()
        ended_at = loop.time()
        for duty in duties:
            await duty.stop()
        await self._machines.close()
        return self._result(ended_at)

    async def _feed(self) -> None:
        """Hand every request in at its time; those of one moment one after the other."""
        loop = asyncio.get_running_loop()
        encoder = msgspec.json.Encoder()
        for arrival in self._setting.trace.arrivals(self._setting.seed):
            if arrival.at_s > loop.time():
                await asyncio.sleep(arrival.at_s - loop.time())
            self._arrived += 1
            self._tokens += arrival.prompt_tokens + arrival.answer_tokens
            self._work_s += self._setting.capacity.work_s(
                Bin(1, arrival.prompt_tokens, arrival.answer_tokens)
            )
            prompt = Prompt(arrival.prompt_tokens, arrival.answer_tokens)
            order = Order(
                request=encoder.encode(prompt),
                prompt_chars=round(arrival.prompt_tokens * CHARS_PER_TOKEN),
                max_tokens=arrival.answer_tokens,
            )
            await self._submission.submit(order, TEAM)

    def _scaling(self) -> Duty:
        """What moves the fleet: the product's autoscaler, or one of the others."""
        scaler = self._scaler
        if isinstance(scaler, ScalingRules):
            autoscaler = Autoscaler(
                POOL,
                scaler,
                queue=self._queue,
                workload=MemoryWorkload(self._queue, self._jobs),
                roster=self._roster,
                store=MemoryScalingStore(),
                fleet=SimulatedFleet(self._machines),
                name="autoscaler",
                lease_s=SCALER.lease_s,
                keep_s=SCALER.keep_s,
                clock=self._clock,
                listener=self._heard,
            )
            return Duty("scaler", autoscaler.tick, every_s=SCALER.every_s, listener=self._heard)
        look = partial(self._look, scaler)
        return Duty("look", look, every_s=scaler.every_s, listener=self._heard)

    async def _look(self, scaler: Scaler) -> None:
        """What the scaler sees, and what comes of it."""
        machines, size = self._machines, self._machines.size
        change = scaler.look(await self._sight(), self._clock.now())
        machines.resize(change.target)
        if machines.size != size:
            at_s = asyncio.get_running_loop().time()
            self._heard.decisions.append(Decided(at_s, size, machines.size, change.why))

    async def _sight(self) -> Sight:
        depths = [await self._queue.depth(lane) for lane in lanes_of(POOL)]
        visible = sum(depth.ready for depth in depths)
        waiting = sum(depth.ready + depth.leased + depth.delayed for depth in depths)
        mean = self._tokens / self._arrived if self._arrived else 0.0
        cold_start = self._setting.cold_start
        seen = Observation(
            waiting=Backlog(waiting, waiting * mean),
            running=sum(depth.leased for depth in depths),
            arrived=Backlog(self._arrived, self._tokens),
            crew=self._machines.crew(),
            rate=await self._rate(mean),
            cold_start=SeenColdStart(cold_start.median_s, cold_start.percentile_90_s),
        )
        return Sight(seen, visible)

    async def _rate(self, mean_tokens: float) -> Rate | None:
        """Of one worker, from what the workers report of themselves."""
        pace = pace_of(await self._roster.reports(POOL), self._clock.now())
        if pace is None or not mean_tokens:
            return None
        tokens_s = pace.rate / max(1, self._machines.ready)
        return Rate(tokens_s / mean_tokens, tokens_s)

    async def _check(self) -> None:
        self._machines.check_market()

    async def _note(self) -> None:
        depths = [await self._queue.depth(lane) for lane in lanes_of(POOL)]
        machines = self._machines
        came, self._noted = self._arrived - self._noted, self._arrived
        self._moments.append(
            Moment(
                asyncio.get_running_loop().time(),
                came / NOTE_EVERY_S,
                sum(depth.ready for depth in depths),
                machines.ready,
                machines.starting,
            )
        )

    def _result(self, ended_at: float) -> Result:
        setting, machines, heard = self._setting, self._machines, self._heard
        waits = list(heard.waits.values()) or [0.0]
        latencies = heard.latencies or [0.0]
        late = sum(wait > setting.target_wait_s for wait in waits) + heard.failed
        hours, spot_h = machines.hours(ended_at), machines.spot_h(ended_at)
        return Result(
            policy=self._policy,
            trace=setting.trace.name,
            seed=setting.seed,
            requests=self._arrived,
            work_bound_h=self._work_s / 3600,
            hours=hours,
            cost_usd=(hours.total - spot_h) * setting.on_demand_usd + spot_h * setting.spot_usd,
            wait_p50_s=percentile(waits, 0.5),
            wait_p90_s=percentile(waits, 0.9),
            wait_p99_s=percentile(waits, 0.99),
            late_share=late / max(1, self._arrived),
            latency_p50_s=percentile(latencies, 0.5),
            latency_p99_s=percentile(latencies, 0.99),
            errors=heard.failed,
            changes=len(heard.decisions),
            starts=machines.starts,
            stops=machines.stops,
            interruptions=machines.interruptions,
            moments=self._moments,
            decisions=heard.decisions,
        )
