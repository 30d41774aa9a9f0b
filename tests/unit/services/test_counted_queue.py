"""What is sent to a queue elsewhere is counted beside the records."""

import asyncio

from typing_extensions import override

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.queue import MemoryQueue
from headpond.adapters.memory.workload import MemoryWorkload
from headpond.domain.lane import Lane
from headpond.domain.quote import Backlog
from headpond.errors import Unavailable
from headpond.services.counted_queue import WRITE_AFTER_S, CountedQueue
from headpond.testing.queue_suite import BATCH, INTERACTIVE, message
from headpond.testing.virtual_time import LoopClock, run_virtually


class Counts(MemoryWorkload):
    """Knows what was written, and does not answer while it is `away`."""

    def __init__(self) -> None:
        super().__init__(MemoryQueue(LoopClock()), MemoryJobStore(LoopClock()))
        self.writes: list[tuple[Lane, Backlog]] = []
        self.away = False

    @override
    async def count(self, lane: Lane, sent: Backlog) -> None:
        if self.away:
            raise Unavailable("away", code="store_unavailable")
        self.writes.append((lane, sent))


def test_a_second_of_sending_is_one_write_for_each_lane() -> None:
    async def send() -> list[tuple[Lane, Backlog]]:
        counts = Counts()
        queue = CountedQueue(MemoryQueue(LoopClock()), counts)
        for name in "abc":
            await queue.send([message(name, tokens=5), message(f"{name}2", INTERACTIVE)])
        assert counts.writes == []
        await asyncio.sleep(2 * WRITE_AFTER_S)
        await queue.send([message("d")])
        await asyncio.sleep(2 * WRITE_AFTER_S)
        return counts.writes

    assert run_virtually(send()) == [
        (BATCH, Backlog(3, 15)),
        (INTERACTIVE, Backlog(3, 30)),
        (BATCH, Backlog(1, 10)),
    ]


def test_what_is_sent_while_counts_are_written_is_written_next() -> None:
    async def send() -> list[tuple[Lane, Backlog]]:
        counts = Counts()
        queue = CountedQueue(MemoryQueue(LoopClock()), counts)
        await queue.send([message("a")])
        await asyncio.sleep(WRITE_AFTER_S / 2)
        await queue.send([message("b")])
        await queue.close()
        await queue.close()
        return counts.writes

    assert run_virtually(send()) == [(BATCH, Backlog(2, 20))]


def test_nothing_sent_is_nothing_written() -> None:
    async def send() -> list[tuple[Lane, Backlog]]:
        counts = Counts()
        queue = CountedQueue(MemoryQueue(LoopClock()), counts)
        await queue.send([])
        await asyncio.sleep(2 * WRITE_AFTER_S)
        await queue.close()
        return counts.writes

    assert run_virtually(send()) == []


def test_a_store_that_is_away_costs_counts_and_no_message() -> None:
    async def send() -> tuple[int, list[tuple[Lane, Backlog]]]:
        counts, inner = Counts(), MemoryQueue(LoopClock())
        queue = CountedQueue(inner, counts)
        counts.away = True
        await queue.send([message("a")])
        await asyncio.sleep(2 * WRITE_AFTER_S)
        counts.away = False
        await queue.send([message("b")])
        await queue.close()
        return (await inner.depth(BATCH)).ready, counts.writes

    assert run_virtually(send()) == (2, [(BATCH, Backlog(1, 10))])
