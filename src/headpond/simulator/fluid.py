"""The fluid simulation: requests flow through a queue, and each machine drains it at its rate.

Time goes in steps of 5 s. In each, machines become ready or are taken away, requests arrive, and
the front of the queue is worked off; the scaler looks as often as it does in life, and what it
sees is what the product would observe. A request's wait is the time until it is taken from the
queue: what it then takes at the engine is not part of it. What the model leaves out is that batches
form and break up: see `engine/` for that.
"""

import math
import random
from collections.abc import Sequence

import msgspec

from headpond.domain.quote import Backlog
from headpond.domain.scaling.observation import ColdStart as SeenColdStart
from headpond.domain.scaling.observation import Crew, Observation, Rate
from headpond.simulator.capacity import Capacity
from headpond.simulator.fleet import Fleet
from headpond.simulator.machines import ColdStart, SpotMarket
from headpond.simulator.result import Decided, Hours, Moment, Result
from headpond.simulator.scalers.scaler import Scaler, Sight
from headpond.simulator.traces.arrivals import Bin, Trace
from headpond.simulator.waits import Line

STEP_S = 5.0
MOMENTS = 1_500
"""Most moments that are noted of one run; no closer than a minute."""

DECISIONS = 2_000
"""Most changes of the fleet that are kept, the first ones; all are counted."""

EPOCH = 1_767_571_200.0
"""Monday, 5 January 2026, 0:00 UTC: a trace's beginning."""

MEASURED_REQUESTS = 256
"""A worker's rate is that of so many latest requests."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """All that is the same for every policy of a comparison. Prices are US dollars an hour."""

    trace: Trace
    seed: int = 1
    capacity: Capacity
    cold_start: ColdStart = ColdStart()
    on_demand_usd: float = 1.006
    spot_usd: float = 0.35
    on_demand: int = 0
    market: SpotMarket | None = None
    target_wait_s: float = 60.0
    warm: int = 0


class Demand(msgspec.Struct, frozen=True):
    """What comes in each step, and its work in seconds of a worker."""

    bins: list[Bin]
    work_s: list[float]


def demand_of(setting: Setting) -> Demand:
    """The trace in steps; one for all policies."""
    bins = list(setting.trace.bins(setting.seed, STEP_S))
    return Demand(bins, [setting.capacity.work_s(arrived) for arrived in bins])


class Front:
    """What is before the machines; this one is a queue, which takes everything and loses nothing.

    `errors` are requests that were refused or lost, `crashes` machines that died.
    """

    def __init__(self) -> None:
        self.errors = 0.0
        self.crashes = 0

    def admit(self, line: Line, fleet: Fleet, step: int, requests: float, work_s: float) -> None:
        """Take what comes in a step."""
        del fleet
        line.join(step, requests, work_s)

    def settle(self, line: Line, fleet: Fleet, step: int) -> None:
        """What becomes of too much."""


def flow(
    setting: Setting, demand: Demand, scaler: Scaler, policy: str, front: Front | None = None
) -> Result:
    """Let the requests of the trace flow under one policy."""
    return _Run(setting, demand, scaler, policy, front or Front()).run()


class _Run:
    """The state of one simulation."""

    def __init__(
        self, setting: Setting, demand: Demand, scaler: Scaler, policy: str, front: Front
    ) -> None:
        self._front = front
        self._setting = setting
        self._demand = demand
        self._scaler = scaler
        self._policy = policy
        self._line = Line(STEP_S)
        self._fleet = Fleet(
            setting.cold_start,
            dice=random.Random(f"{setting.seed} machines"),
            warm=setting.warm,
            on_demand=setting.on_demand,
            market=setting.market,
        )
        self._meter = _Meter()
        self._busy_s = self._ready_s = self._starting_s = self._spot_s = 0.0
        self._moments: list[Moment] = []
        self._decisions: list[Decided] = []
        self._changes = 0

    def run(self) -> Result:
        bins, work_s = self._demand.bins, self._demand.work_s
        look_every = max(1, round(self._scaler.every_s / STEP_S))
        moment_every = max(round(60 / STEP_S), math.ceil(len(bins) / MOMENTS))
        arrived = 0.0
        for step, come in enumerate(bins):
            now = step * STEP_S
            self._fleet.advance(now)
            if come.requests:
                self._front.admit(self._line, self._fleet, step, come.requests, work_s[step])
                self._meter.arrived(come)
                arrived += come.requests
            self._front.settle(self._line, self._fleet, step)
            self._work(step)
            if step % look_every == 0:
                self._look(now)
            if (step + 1) % moment_every == 0:
                self._note(now, arrived / (moment_every * STEP_S))
                arrived = 0.0
        return self._result(len(bins))

    def _work(self, step: int) -> None:
        fleet, line = self._fleet, self._line
        could_s = fleet.ready * STEP_S
        did_s = min(could_s, line.work_s)
        if did_s > 0:
            self._meter.served(line.serve(step, did_s), did_s)
        self._meter.passed(did_s, could_s)
        self._busy_s += did_s
        self._ready_s += could_s
        self._starting_s += fleet.starting * STEP_S
        self._spot_s += fleet.spot() * STEP_S

    def _look(self, now: float) -> None:
        size = self._fleet.size
        change = self._scaler.look(self._sight(), EPOCH + now)
        if change.target == size:
            return
        self._fleet.resize(change.target, now)
        if self._fleet.size == size:
            return
        self._changes += 1
        if len(self._decisions) < DECISIONS:
            self._decisions.append(Decided(now, size, self._fleet.size, change.why))

    def _sight(self) -> Sight:
        line, meter, fleet = self._line, self._meter, self._fleet
        leased = meter.busy_share * fleet.ready * self._setting.capacity.concurrency
        waiting = math.ceil(line.requests + leased - 1e-6)
        seen = Observation(
            waiting=Backlog(waiting, waiting * meter.tokens_each),
            running=min(waiting, round(leased)),
            arrived=Backlog(round(meter.requests), meter.tokens),
            crew=Crew(fleet.ready, fleet.asked_for(EPOCH)),
            rate=meter.rate(),
            cold_start=SeenColdStart(
                self._setting.cold_start.median_s, self._setting.cold_start.percentile_90_s
            ),
        )
        return Sight(seen, line.requests, meter.looked())

    def _note(self, now: float, arriving_per_s: float) -> None:
        fleet = self._fleet
        self._moments.append(
            Moment(now, arriving_per_s, self._line.requests, fleet.ready, fleet.starting)
        )

    def _result(self, steps: int) -> Result:
        setting, fleet, front = self._setting, self._fleet, self._front
        self._line.give_up(steps)
        waits = self._line.waits
        paid_s = self._ready_s + self._starting_s
        on_demand_s = paid_s - self._spot_s
        usd_s = on_demand_s * setting.on_demand_usd + self._spot_s * setting.spot_usd
        requests = waits.total + front.errors
        late = waits.later_than(setting.target_wait_s) + front.errors
        return Result(
            policy=self._policy,
            trace=setting.trace.name,
            seed=setting.seed,
            requests=requests,
            work_bound_h=sum(self._demand.work_s) / 3600,
            hours=Hours(
                busy=self._busy_s / 3600,
                idle=(self._ready_s - self._busy_s) / 3600,
                starting=self._starting_s / 3600,
            ),
            cost_usd=usd_s / 3600,
            wait_p50_s=waits.percentile(0.5),
            wait_p90_s=waits.percentile(0.9),
            wait_p99_s=waits.percentile(0.99),
            late_share=late / requests if requests else 0.0,
            errors=front.errors,
            crashes=front.crashes,
            changes=self._changes,
            starts=fleet.starts,
            stops=fleet.stops,
            interruptions=fleet.interruptions,
            given_up=fleet.given_up,
            moments=self._moments,
            decisions=self._decisions,
        )


class _Meter:
    """What the product would measure: counts that rise, and the rate of a busy worker."""

    def __init__(self) -> None:
        self.requests = self.tokens = 0.0
        self.busy_share = 0.0
        self._did_s = self._could_s = 0.0
        self._served = self._served_s = 0.0

    @property
    def tokens_each(self) -> float:
        """Mean tokens of a request, of all so far."""
        return self.tokens / self.requests if self.requests else 0.0

    def arrived(self, come: Bin) -> None:
        self.requests += come.requests
        self.tokens += come.prompt_tokens + come.answer_tokens

    def served(self, requests: float, work_s: float) -> None:
        """Older requests count less: a window without edges."""
        kept = math.exp(-requests / MEASURED_REQUESTS)
        self._served = self._served * kept + requests
        self._served_s = self._served_s * kept + work_s

    def passed(self, did_s: float, could_s: float) -> None:
        self.busy_share = did_s / could_s if could_s else 0.0
        self._did_s += did_s
        self._could_s += could_s

    def rate(self) -> Rate | None:
        """None as long as nothing was served."""
        if self._served_s <= 0:
            return None
        per_s = self._served / self._served_s
        return Rate(per_s, per_s * self.tokens_each)

    def looked(self) -> float:
        """The busy share of serving machines since the last look."""
        share = self._did_s / self._could_s if self._could_s else 0.0
        self._did_s = self._could_s = 0.0
        return share


def warm_start(demand: Sequence[float], *, within_s: float = 600.0, headroom: float = 1.15) -> int:
    """Machines that the first minutes need: a comparison begins with them, for all alike."""
    steps = max(1, round(within_s / STEP_S))
    busy = sum(demand[:steps]) / (steps * STEP_S)
    return math.ceil(busy * headroom)
