"""A queue that lies elsewhere, with what is sent to it counted beside the records.

A queue in the store is counted as it is written. Queues of others do not tell what ever came, or
minutes late; so each process counts what it sends and writes the sum once a second, while there is
something to write. What a process that dies had not written is missing from one rate.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence

from typing_extensions import override

from headpond.domain.lane import Lane
from headpond.domain.quote import Backlog
from headpond.errors import TryLater
from headpond.ports.queue import Depth, Lease, Message, Queue
from headpond.ports.workload import Workload

WRITE_AFTER_S = 1.0

log = logging.getLogger(__name__)


class CountedQueue(Queue):
    """See the module's page. `queue` does all the rest."""

    def __init__(self, queue: Queue, workload: Workload) -> None:
        self._queue = queue
        self._workload = workload
        self._unwritten: dict[Lane, Backlog] = {}
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def close(self) -> None:
        """Write what is not written. Works twice, and without a send."""
        self._closing.set()
        if self._writing is not None:
            await self._writing

    @override
    async def send(self, messages: Sequence[Message], *, delay_s: float = 0.0) -> None:
        await self._queue.send(messages, delay_s=delay_s)
        for message in messages:
            self._note(message.lane, Backlog(1, message.work_tokens))
        if self._unwritten and (self._writing is None or self._writing.done()):
            self._writing = asyncio.create_task(self._write_soon(), name="arrivals")

    @override
    async def receive(
        self, lanes: Sequence[Lane], *, limit: int, lease_s: float, wait_s: float = 0.0
    ) -> list[Lease]:
        return await self._queue.receive(lanes, limit=limit, lease_s=lease_s, wait_s=wait_s)

    @override
    async def extend(self, leases: Sequence[Lease], *, lease_s: float) -> list[Lease]:
        return await self._queue.extend(leases, lease_s=lease_s)

    @override
    async def ack(self, leases: Sequence[Lease]) -> None:
        await self._queue.ack(leases)

    @override
    async def drop(self, leases: Sequence[Lease]) -> None:
        await self._queue.drop(leases)

    @override
    async def give_back(self, leases: Sequence[Lease], *, delay_s: float = 0.0) -> None:
        await self._queue.give_back(leases, delay_s=delay_s)

    @override
    async def depth(self, lane: Lane) -> Depth:
        return await self._queue.depth(lane)

    @override
    async def backlog(self, lane: Lane) -> Mapping[str, Backlog]:
        return await self._queue.backlog(lane)

    def _note(self, lane: Lane, sent: Backlog) -> None:
        self._unwritten[lane] = self._unwritten.get(lane, Backlog()) + sent

    async def _write_soon(self) -> None:
        while self._unwritten:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WRITE_AFTER_S):
                    await self._closing.wait()
            sums, self._unwritten = self._unwritten, {}
            for lane, sent in sums.items():
                await self._write(lane, sent)

    async def _write(self, lane: Lane, sent: Backlog) -> None:
        try:
            await self._workload.count(lane, sent)
        except TryLater as error:
            log.warning("what was sent to %s is not counted: %s", lane, error)
