"""Queues of Azure Service Bus, without any protocol: what a namespace keeps and does with it.

Follows "Message transfers, locks, and settlement", "Overview of Service Bus dead-letter queues" and
"Message sequencing and timestamps" of Microsoft Learn: a message is locked when it is handed out; a
lock that passed, or is abandoned, makes it ready again and counts a delivery; after too many it is
a dead letter. What is scheduled is counted apart, and gets a new number when its time has come.
Sessions, deferral, time to live and detection of duplicates are not here, for nobody uses them.
"""

import itertools
import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from headpond.ports.clock import Clock

DEAD_LETTERS = "/$deadletterqueue"
NO_LIMIT = 2**31 - 1


@dataclass(slots=True)
class Kept:
    """A message as its queue keeps it. `deliveries` are those that came to nothing."""

    message: Any
    number: int
    enqueued: float
    deliveries: int = 0


@dataclass(slots=True)
class Lock:
    """Somebody has this message until then."""

    kept: Kept
    until: float


@dataclass(slots=True)
class Queue:
    """`ready` and `scheduled` are by number, `locks` by token."""

    name: str
    lock_s: float = 60.0
    max_deliveries: int = 10
    ready: dict[int, Kept] = field(default_factory=dict[int, Kept])
    scheduled: dict[int, tuple[float, Kept]] = field(default_factory=dict[int, tuple[float, Kept]])
    locks: dict[uuid.UUID, Lock] = field(default_factory=dict[uuid.UUID, Lock])


class Broker:
    """The queues of a namespace, by names in lower case. Its time is that of `clock`.

    It is called from two threads, the protocols'; each holds `mutex` meanwhile.
    """

    def __init__(self, clock: Clock) -> None:
        self.mutex = threading.RLock()
        self.calls = Counter[str]()
        self.queues: dict[str, Queue] = {}
        self._clock = clock
        self._numbers = itertools.count(1)

    def make(self, queue: Queue) -> None:
        """A queue and its dead letters. Case makes no difference to names."""
        self.queues[queue.name.lower()] = queue
        dead_letters = Queue(queue.name + DEAD_LETTERS, queue.lock_s, NO_LIMIT)
        self.queues[dead_letters.name.lower()] = dead_letters

    def remove(self, name: str) -> None:
        """The queue with its dead letters."""
        for each in (name.lower(), name.lower() + DEAD_LETTERS):
            del self.queues[each]

    def send(self, queue: Queue, message: Any, due: float | None = None) -> int:
        """Keep a message, to be handed out once it is due; its number."""
        kept = Kept(message, next(self._numbers), self._clock.now())
        if due is None or due <= kept.enqueued:
            queue.ready[kept.number] = kept
        else:
            queue.scheduled[kept.number] = (due, kept)
        return kept.number

    def unschedule(self, queue: Queue, number: int) -> bool:
        """Take back what was scheduled; False if it is not there any more."""
        return queue.scheduled.pop(number, None) is not None

    def receive(self, queue: Queue) -> tuple[uuid.UUID, Lock] | None:
        """Lock the ready message with the lowest number."""
        self.look(queue)
        if not queue.ready:
            return None
        kept = queue.ready.pop(min(queue.ready))
        token = uuid.uuid4()
        lock = queue.locks[token] = Lock(kept, self._clock.now() + queue.lock_s)
        return token, lock

    def renew(self, queue: Queue, token: uuid.UUID) -> float | None:
        """The lock's new end, None if it is lost."""
        self.look(queue)
        lock = queue.locks.get(token)
        if lock is None:
            return None
        lock.until = self._clock.now() + queue.lock_s
        return lock.until

    def complete(self, queue: Queue, token: uuid.UUID) -> bool:
        """Remove the message; False if the lock is lost, as of all that settle."""
        return self._unlocked(queue, token) is not None

    def abandon(self, queue: Queue, token: uuid.UUID) -> bool:
        """Make the message ready; the delivery counts."""
        kept = self._unlocked(queue, token)
        if kept is not None:
            self._back(queue, kept)
        return kept is not None

    def release(self, queue: Queue, token: uuid.UUID) -> bool:
        """Make the message ready, as if it had not been handed out."""
        kept = self._unlocked(queue, token)
        if kept is not None:
            queue.ready[kept.number] = kept
        return kept is not None

    def bury(self, queue: Queue, token: uuid.UUID, reason: str, description: str) -> bool:
        """Make the message a dead letter."""
        kept = self._unlocked(queue, token)
        if kept is not None:
            self._bury(queue, kept, reason, description)
        return kept is not None

    def peek(self, queue: Queue, first: int, most: int) -> list[Kept]:
        """What is kept from this number on, whoever has it."""
        self.look(queue)
        locked = (lock.kept for lock in queue.locks.values())
        scheduled = (kept for _, kept in queue.scheduled.values())
        kept = [*queue.ready.values(), *locked, *scheduled]
        return sorted((k for k in kept if k.number >= first), key=lambda k: k.number)[:most]

    def look(self, queue: Queue) -> None:
        """Let happen what time has brought."""
        now = self._clock.now()
        for number, (due, kept) in sorted(queue.scheduled.items()):
            if due <= now:
                del queue.scheduled[number]
                kept.number, kept.enqueued = next(self._numbers), now
                queue.ready[kept.number] = kept
        for token, lock in list(queue.locks.items()):
            if lock.until <= now:
                del queue.locks[token]
                self._back(queue, lock.kept)

    def _unlocked(self, queue: Queue, token: uuid.UUID) -> Kept | None:
        self.look(queue)
        lock = queue.locks.pop(token, None)
        return lock.kept if lock is not None else None

    def _back(self, queue: Queue, kept: Kept) -> None:
        kept.deliveries += 1
        if kept.deliveries >= queue.max_deliveries:
            words = f"Message could not be consumed after {kept.deliveries} delivery attempts."
            self._bury(queue, kept, "MaxDeliveryCountExceeded", words)
        else:
            queue.ready[kept.number] = kept

    def _bury(self, queue: Queue, kept: Kept, reason: str, description: str) -> None:
        said = {"DeadLetterReason": reason, "DeadLetterErrorDescription": description}
        kept.message.properties = {**(kept.message.properties or {}), **said}
        self.queues[queue.name.lower() + DEAD_LETTERS].ready[kept.number] = kept
