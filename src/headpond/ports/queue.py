"""The queue: holds work durably until a worker is ready, and hands it out again if that fails.

A message says "somebody should look at job X"; what is true stands in the job's record. A queue
therefore may deliver twice, and need not look up, list or delete by id. It must not lose what it
acknowledged, nor hand one message to two receivers while the first one's lease holds.

Of one lane, a team's messages are handed out in the order of sending. Whose turn it is among the
teams depends on the queue. A fair one shares the lane's work as `domain/fairness.py` says, and
proves it by the `FairQueueSuite`: the queues in memory and on SQLite do. One that is not fair hands
out what was sent first, of whatever team, as nearly as it can.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from enum import StrEnum
from typing import ClassVar, NewType, Protocol

import msgspec

from headpond.domain.job import Job, JobId, Ticket
from headpond.domain.lane import Lane
from headpond.domain.queue_limits import Limits
from headpond.domain.quote import Backlog

LeaseToken = NewType("LeaseToken", str)


class Message(msgspec.Struct, frozen=True):
    """Job id and routing facts; prompts do not travel in the queue.

    `work_tokens` over `weight` is what a fair queue charges the team for the message.
    """

    job_id: JobId
    ticket: Ticket
    lane: Lane
    team: str
    work_tokens: int
    weight: float = 1.0


def message_of(job: Job) -> Message:
    """The message that stands for a job under its present ticket."""
    return Message(job.id, job.ticket, job.lane, job.team, job.work_tokens, job.weight)


class Lease(msgspec.Struct, frozen=True):
    """A message in somebody's hands. `token` is new with each receipt."""

    message: Message
    token: LeaseToken


class Depth(msgspec.Struct, frozen=True):
    """What a lane holds. `oldest_age_s` is the age of the ready message that was sent first.

    It is None where nothing is ready, and where the queue does not know.
    """

    ready: int
    leased: int
    delayed: int
    oldest_age_s: float | None = None


class Power(StrEnum):
    """What not every queue can do."""

    PRIORITY = "hands out interactive work before batch work, by a lane for each"
    ORDER = "hands out what a team sent first"
    FAIR = "shares a lane between teams by weight and work"
    TEAMS = "counts what waits by team"
    COUNTS = "counts apart what is ready, leased and delayed"
    AGE = "knows how long the first has been ready"
    CLOCK = "goes by Headpond's clock"
    LOOKUP = "can be asked whether it holds a message"


class Queue(Protocol):
    """Lanes of leased messages. Every verb takes effect durably before it returns.

    A lease need not survive what its holder does not survive: the loss of power on one machine.
    What a queue `lacks` it says with what there is instead, and what it takes in `limits`;
    docs/backends.md has both in a table. Attempts are counted in the jobs' records. One that may
    lose a message and cannot be asked for it (`MessageLookup`) says in `unseen_s` how long nobody
    may have received one before it is sent again.
    """

    lacks: ClassVar[Mapping[Power, str]] = {}
    limits: ClassVar[Limits] = Limits()
    unseen_s: ClassVar[float | None] = None

    async def send(self, messages: Sequence[Message], *, delay_s: float = 0.0) -> None:
        """Put the messages in their lanes; they can be received once `delay_s` has passed."""
        ...

    async def receive(
        self, lanes: Sequence[Lane], *, limit: int, lease_s: float, wait_s: float = 0.0
    ) -> list[Lease]:
        """Lease up to `limit` ready messages, those of earlier lanes first.

        The module's page says which of a lane are chosen; the answer may hold them in any order.
        With nothing ready, waits up to `wait_s` seconds for the first. A message whose lease
        lapsed, or whose delay has passed, is ready in its place in the order of sending. Once a
        receive has come upon that it stays so, and ready is ready, even if the clock jumps back.
        """
        ...

    async def extend(self, leases: Sequence[Lease], *, lease_s: float) -> list[Lease]:
        """Hold each lease for `lease_s` from now, iff it is still held; returns those.

        A lease with which the queue had trouble is among them, and holds for as long as before.
        """
        ...

    async def ack(self, leases: Sequence[Lease]) -> None:
        """Remove each message iff its lease is still held; a lapsed lease changes nothing."""
        ...

    async def drop(self, leases: Sequence[Lease]) -> None:
        """Remove messages that came to nothing, as `ack`: their teams are not charged for them."""
        ...

    async def give_back(self, leases: Sequence[Lease], *, delay_s: float = 0.0) -> None:
        """Make each message ready after `delay_s`, iff its lease is still held; not charged.

        Without a delay it is ready in its old place, before all that its team sent after it.
        """
        ...

    async def depth(self, lane: Lane) -> Depth:
        """Count the messages of a lane.

        A cloud's queue counts approximately and some seconds late. Raises Unavailable where it
        cannot be counted: unknown is not zero.
        """
        ...

    async def backlog(self, lane: Lane) -> Mapping[str, Backlog]:
        """What waits in a lane by team, ready or delayed; teams with nothing are left out.

        A queue that cannot tell teams apart says `ANYBODY` and reckons the work, from what it saw.
        """
        ...


class MessageLookup(Protocol):
    """A power of queues that may lose what they acknowledged, so that it can be sent again."""

    async def missing(self, messages: Sequence[Message]) -> list[Message]:
        """Those that the queue does not hold, neither ready nor leased nor delayed."""
        ...


class DeadLetterQueue(Protocol):
    """A power of queues that set aside, beside each lane, what came to nothing too often.

    That counts receipts (`Limits.deliveries`), and a receipt is no attempt: what lies there may be
    the message of a job that is well. Jobs that are dead are records (`ports/dead_letters.py`).
    """

    def undelivered(self, lane: Lane) -> AsyncGenerator[Sequence[Lease]]:
        """What was set aside, page by page; for a while nobody else comes upon it.

        What cannot be read is told in the log, and stays.
        """
        ...

    async def discard(self, lane: Lane, leases: Sequence[Lease]) -> None:
        """Remove what `undelivered` gave of this lane; what somebody else removed is gone too."""
        ...
