"""The autoscaler: sees how a pool is, decides how many workers it should have, and has them.

Several may run for one pool; one leads, by a lease that its decisions renew. Each decision is first
written under compare-and-set and then carried out, so one that lost the lead does nothing. What
cannot be read is unknown, and what is unknown holds the fleet as it is.
"""

from collections.abc import Awaitable
from typing import TypeVar

from msgspec.structs import replace

from headpond.domain.facts import PoolScaled
from headpond.domain.lane import lanes_of
from headpond.domain.pace import WorkerReport
from headpond.domain.quote import Backlog
from headpond.domain.scaling.decision import Decision, decide
from headpond.domain.scaling.members import (
    Member,
    began_in_s,
    cold_start_of,
    crew_of,
    first_to_go,
    rate_of,
)
from headpond.domain.scaling.observation import Crew, Due, Observation
from headpond.domain.scaling.policies import policy_of
from headpond.domain.scaling.rules import ScalingRules
from headpond.domain.scaling.state import ScalingState, ScalingStep, Spending
from headpond.errors import TryLater
from headpond.ports.clock import Clock
from headpond.ports.events import Listener
from headpond.ports.fleet import Fleet
from headpond.ports.queue import Queue
from headpond.ports.roster import Roster
from headpond.ports.scaling import ScalingStore
from headpond.ports.workload import Workload

T = TypeVar("T")

NOTE_EVERY_S = 60.0
"""A step is kept when the target or the crew changes, and otherwise once in so long."""


class Autoscaler:
    """One for each pool and process; `name` is its own and never used again."""

    def __init__(
        self,
        pool: str,
        rules: ScalingRules,
        *,
        queue: Queue,
        workload: Workload,
        roster: Roster,
        store: ScalingStore,
        fleet: Fleet,
        name: str,
        lease_s: float,
        keep_s: float,
        clock: Clock,
        listener: Listener,
    ) -> None:
        self._pool = pool
        self._rules = rules
        self._policy = policy_of(rules)
        self._queue = queue
        self._workload = workload
        self._roster = roster
        self._store = store
        self._fleet = fleet
        self._name = name
        self._lease_s = lease_s
        self._keep_s = keep_s
        self._clock = clock
        self._listener = listener
        self._noted: ScalingStep | None = None

    async def tick(self) -> Decision | None:
        """Decide and act; None while another scaler leads the pool. Raises Unavailable."""
        state = await self._store.state(self._pool)
        if not state.led_by(self._name, self._clock.now()):
            return None
        members = await self._fleet.members()
        reports = await self._roster.reports(self._pool)
        now = self._clock.now()
        spending = self._spending(state, members, now)
        crew = crew_of(members, reports, now)
        seen = await self._look(state, spending, crew, reports)
        decision = decide(self._policy, self._rules, seen, state.memory, now)
        began = began_in_s(members, reports, frozenset(state.known))
        after = state.decided(
            decision.memory,
            why=decision.why,
            now=now,
            leader=self._name,
            leased_until=now + self._lease_s,
            spending=spending,
            began_in_s=began,
        )
        if not await self._store.swap(after):
            return None
        await self._fleet.scale(decision.target, first_to_go(members, reports))
        await self._tell(state, decision, seen, crew, now)
        return decision

    async def stop(self) -> None:
        """Let others lead at once. Works twice, and before the first tick."""
        state = await self._store.state(self._pool)
        if state.leader == self._name:
            await self._store.swap(state.released())

    async def _look(
        self,
        state: ScalingState,
        spending: Spending | None,
        crew: Crew,
        reports: list[WorkerReport],
    ) -> Observation:
        waiting = await _known(self._waiting())
        arrived = await _known(self._workload.arrived(self._pool))
        return Observation(
            waiting=None if waiting is None else waiting[0],
            running=0 if waiting is None else waiting[1],
            arrived=arrived,
            crew=crew,
            rate=rate_of(reports),
            cold_start=cold_start_of(state.cold_starts),
            due=await self._due(),
            spent=None if spending is None else spending.spent(),
            orders=state.orders,
        )

    async def _waiting(self) -> tuple[Backlog, int]:
        """What is not done, and how many jobs of it are leased; those weigh as much as the rest."""
        waiting, running = Backlog(), 0
        for lane in lanes_of(self._pool):
            for backlog in (await self._queue.backlog(lane)).values():
                waiting += backlog
            running += (await self._queue.depth(lane)).leased
        each = waiting.work_tokens / waiting.jobs if waiting.jobs else 0.0
        return waiting + Backlog(running, running * each), running

    async def _due(self) -> tuple[Due, ...]:
        if self._rules.policy not in {"deadline", "predictive"}:
            return ()
        return tuple(await _known(self._workload.due(self._pool)) or ())

    def _spending(self, state: ScalingState, members: list[Member], now: float) -> Spending | None:
        price = self._rules.usd_per_worker_hour
        if price is None:
            return None
        return (state.spending or Spending(now)).after(price * len(members), now)

    async def _tell(
        self,
        state: ScalingState,
        decision: Decision,
        seen: Observation,
        crew: Crew,
        now: float,
    ) -> None:
        before = state.memory.target
        step = ScalingStep(
            pool=self._pool,
            at=now,
            before=crew.size if before is None else before,
            target=decision.target,
            why=decision.why,
            seen=seen,
        )
        self._listener.hear(PoolScaled(step, changed=step.before != step.target))
        if self._is_news(step):
            self._noted = step
            await self._store.note(step)
            await self._store.forget(now - self._keep_s)

    def _is_news(self, step: ScalingStep) -> bool:
        last = self._noted
        return (
            last is None
            or (step.target, _numbers(step)) != (last.target, _numbers(last))
            or step.at - last.at >= NOTE_EVERY_S
        )


def _numbers(step: ScalingStep) -> Crew | None:
    """The crew, whatever its platform says of it: that may be worded anew at any moment."""
    return step.seen.crew and replace(step.seen.crew, why="")


async def _known(reading: Awaitable[T]) -> T | None:
    """What is read, None where it cannot be read now."""
    try:
        return await reading
    except TryLater:
        return None
