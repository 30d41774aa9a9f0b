"""What a queue must do that can be asked for messages. Give it a `queue` fixture."""

from typing import Protocol

import pytest

from headpond.ports.queue import MessageLookup, Queue
from headpond.testing.clocks import ManualClock
from headpond.testing.queue_suite import OTHER_POOL, message


class SearchableQueue(Queue, MessageLookup, Protocol):
    """A queue with the power."""


class MessageLookupSuite:
    """The contract of `headpond.ports.queue.MessageLookup`."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    async def queue(self, clock: ManualClock) -> SearchableQueue:
        raise NotImplementedError("give the suite a queue on this clock")

    async def test_what_was_never_sent_is_missing(self, queue: SearchableQueue) -> None:
        await queue.send([message("a"), message("b", OTHER_POOL)])
        asked = [message("a"), message("lost"), message("b", OTHER_POOL)]
        assert await queue.missing(asked) == [message("lost")]

    async def test_ready_leased_and_delayed_messages_are_held(self, queue: SearchableQueue) -> None:
        await queue.send([message("leased"), message("ready")])
        await queue.send([message("delayed")], delay_s=60)
        await queue.receive([message("a").lane], limit=1, lease_s=10)
        assert await queue.missing([message(name) for name in ("leased", "ready", "delayed")]) == []

    async def test_a_lapsed_message_is_held(
        self, queue: SearchableQueue, clock: ManualClock
    ) -> None:
        await queue.send([message("a")])
        await queue.receive([message("a").lane], limit=1, lease_s=10)
        clock.advance(20)
        assert await queue.missing([message("a")]) == []

    async def test_what_was_acknowledged_or_dropped_is_missing(
        self, queue: SearchableQueue
    ) -> None:
        await queue.send([message("a"), message("b")])
        first, second = await queue.receive([message("a").lane], limit=2, lease_s=10)
        await queue.ack([first])
        await queue.drop([second])
        assert len(await queue.missing([message("a"), message("b")])) == 2
