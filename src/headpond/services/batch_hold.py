"""A batch in the hands of the one process that runs it."""

from collections.abc import Callable

from msgspec.structs import replace

from headpond.domain.batch import Batch, RunnerName
from headpond.ports.batches import BatchStore
from headpond.ports.clock import Clock


class LeaseLost(Exception):
    """Another process runs the batch by now, or it is gone."""


class BatchHold:
    """Changes the record while it is ours, and holds it on with each change.

    Its owner may cancel the batch at any time. So a change is made only where the status is still
    the one that was seen, and whoever made it looks where the batch stands.
    """

    def __init__(
        self, store: BatchStore, batch: Batch, runner: RunnerName, clock: Clock, *, lease_s: float
    ) -> None:
        self.batch = batch
        self._store = store
        self._runner = runner
        self._clock = clock
        self._lease_s = lease_s

    async def take(self) -> None:
        """Begin to hold it. Raises LeaseLost if another process was faster."""
        now = self._clock.now()
        if not (self.batch.free(now) or self.batch.runner == self._runner):
            raise LeaseLost
        after = self.batch.took(self._runner, now + self._lease_s)
        if not await self._store.swap(after):
            raise LeaseLost
        self.batch = after

    async def change(self, verb: Callable[[Batch], Batch]) -> bool:
        """Change the record; False if its status changed meanwhile. Raises LeaseLost."""
        seen = self.batch.status
        while True:
            self.batch = await self._ours()
            if self.batch.status is not seen:
                return False
            after = verb(self.batch)
            if not after.status.ended:
                after = replace(after, leased_until=self._clock.now() + self._lease_s)
            if await self._store.swap(after):
                self.batch = after
                return True

    async def renew(self) -> bool:
        """Hold it on, if half of the lease is over; False if its status changed meanwhile."""
        if self.batch.leased_until - self._clock.now() > self._lease_s / 2:
            return True
        return await self.change(lambda batch: batch.took(self._runner, 0.0))

    async def release(self) -> None:
        """Let go: whoever comes may take it at once."""
        released = (await self._ours()).released()
        await self._store.swap(released)

    async def _ours(self) -> Batch:
        batch = await self._store.get(self.batch.id)
        if batch is None or batch.runner != self._runner:
            raise LeaseLost
        return batch
