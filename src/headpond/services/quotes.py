"""Quotes: what a client is told of its job's place, end and price when it hands the job in.

A quote is made of a view of the pools that is at most a second or so old, and of what was handed
in here since: to look for each job would cost more than to queue it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from headpond.domain.job import Job
from headpond.domain.lane import Priority, lanes_of
from headpond.domain.pace import Pace, pace_of
from headpond.domain.pricing import TokenPrice
from headpond.domain.quote import Backlog, Quote, ahead, eta, forecast
from headpond.domain.work import Work
from headpond.ports.clock import Clock
from headpond.ports.queue import Queue
from headpond.ports.roster import Roster

EVERY_S = 1.0
BUSY_SHARE = 0.05
"""Looks take at most this share of the time: counting a long backlog is not free."""

FORGET_AFTER_S = 3600.0
KEEP_REPORTS = 8

Waiting = dict[Priority, dict[str, Backlog]]


def _nothing() -> Waiting:
    return {priority: {} for priority in Priority}


@dataclass(slots=True)
class View:
    """A pool as it was last seen, with the jobs that came here since."""

    pace: Pace | None = None
    waiting: Waiting = field(default_factory=_nothing)

    def add(self, job: Job) -> None:
        teams = self.waiting[job.priority]
        teams[job.team] = teams.get(job.team, Backlog()) + Backlog(1, job.work_tokens)


class Quotes:
    """Makes quotes for the pools; `tick` looks at them. `weights` are the teams' shares."""

    def __init__(
        self,
        queue: Queue,
        roster: Roster,
        *,
        prices: Mapping[str, TokenPrice | None],
        weights: Mapping[str, float],
        clock: Clock,
    ) -> None:
        """`prices` names every pool."""
        self._queue = queue
        self._roster = roster
        self._prices = prices
        self._weights = weights
        self._clock = clock
        self._views = {pool: View() for pool in prices}
        self._rest_until = 0.0

    async def tick(self) -> None:
        """Look at the queue and the roster, unless the last look was long and not long ago."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if began < self._rest_until:
            return
        for pool in self._views:
            self._views[pool] = await self._look(pool)
        await self._roster.forget(self._clock.now() - FORGET_AFTER_S, keep=KEEP_REPORTS)
        self._rest_until = loop.time() + (loop.time() - began) / BUSY_SHARE

    def quote(self, pool: str, priority: Priority, team: str, work: Work) -> Quote:
        """What to expect of such a job if it is handed in now."""
        view, price = self._views[pool], self._prices[pool]
        before = ahead(
            view.waiting,
            team=team,
            priority=priority,
            work_tokens=work.tokens,
            weights=self._weights,
        )
        told = Quote(position=before.jobs, price_usd=None if price is None else price.of(work))
        if view.pace is None:
            return told
        raw = forecast(view.pace, before, work_tokens=work.tokens)
        return replace(told, forecast=raw, eta=eta(raw, view.pace, self._clock.now()))

    def note(self, job: Job) -> None:
        """The job was handed in here."""
        self._views[job.pool].add(job)

    async def _look(self, pool: str) -> View:
        waiting = {lane.priority: dict(await self._queue.backlog(lane)) for lane in lanes_of(pool)}
        pace = pace_of(await self._roster.reports(pool), self._clock.now())
        return View(pace, waiting)
