"""Settling: writes what became of jobs, beside whatever else the worker does.

A job that is being settled takes no place at the engine, so the next one need not wait for the
disk. A result that cost GPU time is kept until the store takes it, or until the worker ends: then
each is tried once more, and if the store is still away, the lease lapses and the job runs again.
One that the store will never have room for ends the job instead.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from headpond.domain.facts import ClaimLost, JobSettled
from headpond.domain.job import JobError
from headpond.domain.outcome import Settlement
from headpond.errors import TooLarge, TryLater
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim, Delivery
from headpond.ports.events import Listener
from headpond.ports.queue import LeaseToken
from headpond.services.complaints import failure

AGAIN_S = 0.5


class Settling:
    """What one worker has yet to write. `settled` is called after each."""

    def __init__(
        self,
        delivery: Delivery,
        *,
        clock: Clock,
        listener: Listener,
        settled: Callable[[], None],
    ) -> None:
        self._delivery = delivery
        self._clock = clock
        self._listener = listener
        self._settled = settled
        self._pending: dict[LeaseToken, Claim] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._ending = asyncio.Event()

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def claims(self) -> Sequence[Claim]:
        """Those that are not written yet."""
        return [*self._pending.values()]

    async def write(self, claim: Claim, settlement: Settlement) -> None:
        """Return when it is written, or cannot be: the lease lapses then."""
        self._enter(claim)
        try:
            await self._insist(claim, settlement)
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker goes on
            self._listener.hear(failure("settle", error))
        finally:
            self._leave(claim)

    def write_soon(self, settlements: Sequence[tuple[Claim, Settlement]]) -> None:
        """As `write` for each, without waiting."""
        for claim, settlement in settlements:
            self._enter(claim)
            task = asyncio.create_task(self.write(claim, settlement), name=claim.job.id)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def finish_until(self, until: float) -> None:
        """Wait until all is written; from the loop's time `until` on, nothing is tried twice."""
        try:
            async with asyncio.timeout_at(until):
                await self._idle.wait()
        except TimeoutError:
            self._ending.set()
            await self._idle.wait()

    def _enter(self, claim: Claim) -> None:
        self._pending[claim.lease.token] = claim
        self._idle.clear()

    def _leave(self, claim: Claim) -> None:
        del self._pending[claim.lease.token]
        if not self._pending:
            self._idle.set()
        self._settled()

    async def _insist(self, claim: Claim, settlement: Settlement) -> None:
        while True:
            try:
                written = await self._delivery.settle(claim, settlement)
            except TryLater:
                if self._ending.is_set():
                    raise
                await self._pause()
            except TooLarge as error:
                settlement = self._without_response(claim, settlement, error)
            else:
                self._tell(claim, settlement, written=written)
                return

    def _without_response(self, claim: Claim, settlement: Settlement, why: TooLarge) -> Settlement:
        """Run again, it would say as much."""
        error = JobError(why.code, why.message)
        failed = claim.job.failed(
            self._clock.now(),
            error,
            engine=settlement.job.engine,
            model_version=settlement.job.model_version,
        )
        return Settlement(job=failed)

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AGAIN_S):
                await self._ending.wait()

    def _tell(self, claim: Claim, settlement: Settlement, *, written: bool) -> None:
        if written:
            service_s = self._clock.now() - (claim.job.started_at or 0.0)
            self._listener.hear(JobSettled(settlement.job, service_s))
        else:
            self._listener.hear(ClaimLost(claim.job.id))
