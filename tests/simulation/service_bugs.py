"""Bugs of the services, for the simulation to find. Those of the stores are in `planted_bugs`."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.queue import MemoryQueue
from headpond.domain.job import Job, JobId, JobState
from headpond.domain.lane import Lane
from headpond.domain.outcome import Broke, settle
from headpond.ports.delivery import Claim
from headpond.ports.jobs import Added, Idempotency, NewJob
from headpond.services.desk import Desk
from headpond.services.reaper import Reaper
from headpond.services.submission import Submission
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.services.worker import Worker, gate, worker
from headpond.services.worker.heartbeat import Heartbeat
from tests.planted_bugs import Plant, changing, replacing


async def _swap_whatever_stands(
    self: MemoryJobStore, after: Job, response: bytes | None = None
) -> bool:
    before = self._records[after.id]
    self._records[after.id] = after
    if response is not None:
        self._bodies[after.id] = replace(self._bodies[after.id], response=response)
    return before.version < after.version or True


async def _write_when_there_is_time(self: Any, new: NewJob) -> Added:
    async def later() -> None:
        await asyncio.sleep(0.2)
        await self._jobs.add(new)
        await self._enqueue(new.job)

    self._later = asyncio.create_task(later())
    return Added(new.job)


def _acknowledge_what_is_claimed(claim: Callable[..., Any]) -> Callable[..., Any]:
    async def claim_and_acknowledge(self: Any, *given: Any, **options: Any) -> list[Claim]:
        claims = await claim(self, *given, **options)
        await self._queue.ack([claimed.lease for claimed in claims])
        return claims

    return claim_and_acknowledge


async def _answer_apart_from_the_record(self: Any, claim: Claim, settlement: Any) -> bool:
    written = await self._jobs.swap(settlement.job)
    if written and settlement.response is not None:
        bodies = self._jobs._bodies
        await self._jobs.get(claim.job.id)
        bodies[claim.job.id] = replace(bodies[claim.job.id], response=settlement.response)
    await self._queue.ack([claim.lease])
    return written


async def _whatever_stands(self: Any, job_id: JobId, version: int) -> bool:
    del self, job_id, version
    return True


async def _only_old_keys(self: Any) -> int:
    await self._forget_keys()
    return 0


def _due_without(state: JobState) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def change(due: Callable[..., Any]) -> Callable[..., Any]:
        async def due_but_some(self: Any, **options: Any) -> list[Job]:
            return [job for job in await due(self, **options) if job.state is not state]

        return due_but_some

    return change


def _overdue_early(self: Job, now: float) -> bool:
    return self.deadline is not None and now >= self.deadline - 2 and not self.state.terminal


def _refunded_twice(self: Job, *, charged: bool) -> Job:
    attempts = self.attempts if charged else self.attempts - 2
    return self._next(state=JobState.QUEUED, attempts=attempts, worker=None)


def _charged_always(self: Job, *, charged: bool) -> Job:
    del charged
    return self._next(state=JobState.QUEUED, worker=None)


def _charged_for_the_engine(self: Job) -> Job:
    return self._next(state=JobState.QUEUED, lost_leases=self.lost_leases + 1, worker=None)


def _settle_without_bound(job: Job, outcome: Any, **facts: Any) -> Any:
    if isinstance(outcome, Broke):
        decided = settle(replace(job, max_attempts=1_000), outcome, **facts)
        return replace(decided, job=replace(decided.job, max_attempts=job.max_attempts))
    return settle(job, outcome, **facts)


def _short_memory(_: Any, order: Any, now: float) -> Idempotency | None:
    if order.idempotency_key is None:
        return None
    return Idempotency(order.idempotency_key, order.fingerprint, now + 10.0)


def _forget_too_early(forget: Callable[..., Any]) -> Callable[..., Any]:
    async def forget_soon(self: Any, now: float, *, limit: int) -> int:
        return await forget(self, now + 60, limit=limit)

    return forget_soon


async def _forget_nothing(_: Reaper) -> None:
    return


async def _cancel_whatever_happened(self: Any, job_id: JobId, identity: Any) -> Job:
    job = await self.job(job_id, identity)
    if job.state.terminal:
        return job
    after = job.cancelled(self._clock.now())
    await self._jobs.swap(after)
    return after


async def _no_heartbeat(self: Heartbeat) -> None:
    del self


async def _heartbeat_that_lets_go_on(self: Any) -> None:
    await self._delivery.renew([*self._flight.claims, *self._settling.claims])


async def _stop_without_duties(self: Any, grace_s: float) -> None:
    until = asyncio.get_running_loop().time() + grace_s
    self._alarm.stop()
    if self._working is not None:
        await self._working
    await self._flight.finish_until(until)
    await self._hand_back()
    await self._settling.finish_until(until)


async def _hand_nothing_back(self: Any) -> None:
    del self


async def _pull_until_it_fails(self: Any) -> None:
    while not self._alarm.stopping:
        if wait_s := await self._gate.wait_s():
            await self._alarm.pause(wait_s)
        else:
            await self.pull()


def _for_ever(*_: object) -> float:
    return math.inf


def _batch_first(receive: Callable[..., Any]) -> Callable[..., Any]:
    async def receive_reversed(self: Any, lanes: Sequence[Lane], **options: Any) -> Any:
        return await receive(self, lanes[::-1], **options)

    return receive_reversed


SERVICE_BUGS: dict[str, Plant] = {
    "a record is written whatever stands": replacing(MemoryJobStore, "swap", _swap_whatever_stands),
    "a receipt is given before the record is stored": replacing(
        TwoStepDelivery, "submit", _write_when_there_is_time
    ),
    "a message is acknowledged when it is claimed": changing(
        TwoStepDelivery, "claim", _acknowledge_what_is_claimed
    ),
    "record and response are written one after the other": replacing(
        TwoStepDelivery, "settle", _answer_apart_from_the_record
    ),
    "a cancelled claim is renewed in two steps": replacing(
        TwoStepDelivery, "_stands", _whatever_stands
    ),
    "the reaper does not look": replacing(Reaper, "tick", _only_old_keys),
    "the reaper forgets what was not sent": changing(
        MemoryJobStore, "due", _due_without(JobState.ACCEPTED)
    ),
    "deadlines come early": replacing(Job, "overdue", _overdue_early),
    "an attempt is refunded twice": replacing(Job, "returned", _refunded_twice),
    "an attempt is never refunded": replacing(Job, "returned", _charged_always),
    "the death of an engine is charged": replacing(Job, "interrupted", _charged_for_the_engine),
    "attempts have no bound": replacing(worker, "settle", _settle_without_bound),
    "a key is remembered for too short": replacing(Submission, "_idempotency", _short_memory),
    "a key is forgotten too early": changing(MemoryJobStore, "forget_keys", _forget_too_early),
    "keys are never forgotten": replacing(Reaper, "_forget_keys", _forget_nothing),
    "a cancel does not look whether it was written": replacing(
        Desk, "cancel", _cancel_whatever_happened
    ),
    "the heart does not beat": replacing(Heartbeat, "tick", _no_heartbeat),
    "work goes on when its claim has fallen": replacing(
        Heartbeat, "tick", _heartbeat_that_lets_go_on
    ),
    "a stop leaves the duties running": replacing(Worker, "stop", _stop_without_duties),
    "a stop leaves the work running": replacing(Worker, "_hand_back", _hand_nothing_back),
    "an error of the store ends the pulling": replacing(Worker, "_work", _pull_until_it_fails),
    "a pause never ends": replacing(gate, "pause_s", _for_ever),
    "batch goes first": changing(MemoryQueue, "receive", _batch_first),
}
