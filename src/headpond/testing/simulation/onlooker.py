"""Looks at the store again and again while a world runs, and for the last time at its end."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from headpond.domain.batch import Batch
from headpond.domain.job import Job
from headpond.domain.lane import lanes_of
from headpond.ports.audit import AuditQuery
from headpond.ports.batches import BatchQuery
from headpond.ports.jobs import JobQuery
from headpond.testing.simulation.archive import check_archive
from headpond.testing.simulation.batch_ledger import BatchLedger
from headpond.testing.simulation.connection import Surroundings
from headpond.testing.simulation.engine import SimulatedEngine
from headpond.testing.simulation.ledger import Ledger
from headpond.testing.simulation.parts import KEY_TTL_S, POOL
from headpond.testing.simulation.plan import TEAMS
from headpond.testing.simulation.population import Population

LOOK_EVERY_S = 1.0
LOOK_AT_REST_EVERY_S = 10.0
ALL = 10_000


class Onlooker:
    """Tells the ledgers what stands. `resting` from the moment that everything has ended."""

    def __init__(self, around: Surroundings, ledger: Ledger, batch_ledger: BatchLedger) -> None:
        self.resting = False
        self._fates = around.fates
        self._clock = around.clock
        self._store = around.store
        self._objects = around.objects
        self._web = around.web
        self._ledger = ledger
        self._batch_ledger = batch_ledger
        self._began_at = self._clock.now()
        self._rested_at = self._began_at

    async def look_on_and_on(self, engines: Sequence[SimulatedEngine]) -> None:
        """Until cancelled."""
        while True:
            await self._look()
            for engine in engines:
                self._ledger.runs(engine.running, self._clock.now())
            await asyncio.sleep(LOOK_AT_REST_EVERY_S if self.resting else LOOK_EVERY_S)

    def rests(self) -> None:
        """Everything has ended."""
        self.resting = True
        self._rested_at = self._clock.now()

    async def unrest(self) -> list[str]:
        """What is not at rest."""
        jobs, batches = await self._records(), await self._batches()
        unrest = [f"{job.id} {job.state}" for job in jobs if not job.state.terminal]
        unrest += [f"{one.id} {one.status}" for one in batches if not one.status.ended]
        if messages := await self._messages():
            unrest.append(f"{messages} messages")
        if pending := (await self._store.outbox.untold()).pending:
            unrest.append(f"{pending} webhooks")
        return unrest

    async def look_for_the_last_time(self, population: Population) -> None:
        """Compare everything that was promised with what became of it."""
        await self._look()
        entries = [entry async for entry in self._store.audit.read(AuditQuery())]
        broke = sum((engine.broke for engine in population.engines), Counter[str]())
        self._ledger.close(entries, broke)
        self._ledger.check_keys({key for client in population.clients for key in client.keyed})
        batches = await self._batches()
        self._ledger.check_retention({batch.id: batch for batch in batches}, self._clock.now())
        await self._batch_ledger.close(self._store, self._ledger.records.values())
        if population.subscribers:
            self._web.check(self._ledger.ends, self._ledger.records, batches)
        if self._fates.plan.archive:
            await check_archive(
                self._store.audit, self._store.jobs, self._objects, self._ledger, self._fates
            )
        await self._look_at_what_is_left(population)

    async def _look(self) -> None:
        self._ledger.looked(await self._records(), self._clock.now())
        self._batch_ledger.looked(await self._batches())
        if self._fates.plan.webhooks:
            await self._web.look()

    async def _look_at_what_is_left(self, population: Population) -> None:
        # If a job was still open when its key expired, that is looked at again much later.
        held_on = self._rested_at > self._began_at + KEY_TTL_S
        later = self._clock.now() + 2 * KEY_TTL_S
        if await self._store.jobs.forget_keys(later, limit=1) and not held_on:
            self._fates.violated("keys are left")
        if messages := await self._messages():
            self._fates.violated(f"{messages} messages are left")
        dead = {
            task
            for host in population.hosts
            for process in host.processes
            for task in process.unfinished()
        }
        left = asyncio.all_tasks() - dead - {asyncio.current_task()}
        if left:
            self._fates.violated(f"{len(left)} tasks are left")

    async def _records(self) -> list[Job]:
        return await self._store.jobs.find(JobQuery(limit=ALL))

    async def _batches(self) -> list[Batch]:
        queries = [BatchQuery(team=team, limit=ALL) for team in TEAMS]
        return [batch for query in queries for batch in await self._store.batches.find(query)]

    async def _messages(self) -> int:
        depths = [await self._store.queue.depth(lane) for lane in lanes_of(POOL)]
        return sum(depth.ready + depth.leased + depth.delayed for depth in depths)
