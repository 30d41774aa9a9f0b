"""Lanes as queues of SQS.

A lane is a standard queue, `PREFIX-POOL-PRIORITY`, and the team is a message's group: SQS then
keeps a noisy team from holding up quiet ones. That is its own notion of fairness, not that of
`domain/fairness.py`, and order is "as nearly as it can".

A lease is a receipt handle. SQS may take a handle whose time is over, so the end of each lease is
kept here too (`adapters/aws/leases.py`). No lease lasts longer than twelve hours.

What SQS does not do: a message cannot be delayed for more than fifteen minutes when it is sent, so
it says when it may be received and is hidden again until then; it counts approximately and late,
knows no teams' backlogs and, but for CloudWatch, no ages; and it forgets messages after fourteen
days.

Messages are sent without retries by the SDK: of a call whose answer got lost, two messages of one
ticket would be left, and each would pass for the other's lapsed lease. An error leaves the job
accepted instead, and it is sent again under a new ticket (`services/two_step_delivery.py`).
"""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
from typing_extensions import override

from headpond.adapters.aws.calls import Answer, Place, Refused, Service, connect
from headpond.adapters.aws.leases import MAX_LEASE_S, Leases
from headpond.domain.lane import Lane
from headpond.domain.quote import ANYBODY, Backlog
from headpond.errors import Unavailable
from headpond.ports.clock import Clock
from headpond.ports.queue import Depth, Lease, LeaseToken, Message, Queue

log = logging.getLogger(__name__)

BATCH = 10
"""Messages of one call, in either direction."""

MAX_DELAY_S = 900
MAX_WAIT_S = 20
KEEP_S = 1_209_600
"""The longest that SQS has, each."""

READ_S = MAX_WAIT_S + 10.0
CLOSE_S = 1.5
GROUP_CHARS = 128

TYPICAL_TOKENS = 500.0
"""Work of a message, as long as none was seen here."""

ATTRIBUTES = {
    "MessageRetentionPeriod": str(KEEP_S),
    "SqsManagedSseEnabled": "true",
}

T = TypeVar("T")


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is sent: the message, and when it may be received if that is too far for SQS."""

    message: Message
    not_before: float | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Body).decode


@asynccontextmanager
async def open_queue(place: Place, clock: Clock) -> AsyncGenerator["SqsQueue"]:
    """The queues of a prefix; a lane's is made when it is first used, if need be."""
    async with connect("sqs", place, read_s=READ_S, attempts=1) as service:
        queue = SqsQueue(service, place.prefix, clock)
        try:
            yield queue
        finally:
            await queue.close()


class SqsQueue(Queue):
    """See the module's page. Leases hold in the process that received them."""

    def __init__(self, service: Service, prefix: str, clock: Clock) -> None:
        self._service = service
        self._prefix = prefix
        self._clock = clock
        self._urls: dict[Lane, str] = {}
        self._leases = Leases(clock)
        self._strays: set[asyncio.Task[None]] = set()
        self._typical_tokens = TYPICAL_TOKENS

    async def close(self) -> None:
        """Let polls that nobody waits for give back what they catch, for a moment."""
        if self._strays:
            await asyncio.wait(self._strays, timeout=CLOSE_S)
        for stray in self._strays:
            stray.cancel()

    @override
    async def send(self, messages: Sequence[Message], *, delay_s: float = 0.0) -> None:
        not_before = self._clock.now() + delay_s if delay_s > MAX_DELAY_S else None
        by_lane: dict[Lane, list[Message]] = {}
        for message in messages:
            by_lane.setdefault(message.lane, []).append(message)
            self._note_work(message)
        entries = [
            (lane, [_entry(index, each, delay_s, not_before) for index, each in enumerate(some)])
            for lane, of_lane in by_lane.items()
            for some in _pieces(of_lane)
        ]
        await asyncio.gather(*(self._send(lane, some) for lane, some in entries))

    @override
    async def receive(
        self, lanes: Sequence[Lane], *, limit: int, lease_s: float, wait_s: float = 0.0
    ) -> list[Lease]:
        leases: list[Lease] = []
        for lane in lanes:
            while len(leases) < limit:
                asked = min(BATCH, limit - len(leases))
                received = await self._receive(lane, asked, lease_s, 0)
                leases += received
                if len(received) < asked:
                    break
        if leases or wait_s <= 0:
            return leases
        return await self._wait(lanes, limit=limit, lease_s=lease_s, wait_s=wait_s)

    @override
    async def extend(self, leases: Sequence[Lease], *, lease_s: float) -> list[Lease]:
        # Held when asked and held still when answered: SQS may have taken it in between.
        until = self._clock.now() + lease_s
        taken = await self._hide(self._leases.held(leases), lease_s)
        held = self._leases.held(taken)
        for lease in held:
            self._leases.prolong(lease, until)
        return held

    @override
    async def ack(self, leases: Sequence[Lease]) -> None:
        held = self._leases.held(leases)
        for some in _pieces(held):
            entries = [
                {"Id": str(index), "ReceiptHandle": lease.token} for index, lease in enumerate(some)
            ]
            await self._batch("DeleteMessageBatch", some[0].message.lane, entries)
        self._leases.forget(held)

    @override
    async def drop(self, leases: Sequence[Lease]) -> None:
        await self.ack(leases)

    @override
    async def give_back(self, leases: Sequence[Lease], *, delay_s: float = 0.0) -> None:
        held = self._leases.held(leases)
        await self._hide(held, delay_s)
        self._leases.forget(held)

    @override
    async def depth(self, lane: Lane) -> Depth:
        counts = await self._counts(lane)
        return Depth(
            ready=counts["ApproximateNumberOfMessages"],
            leased=counts["ApproximateNumberOfMessagesNotVisible"],
            delayed=counts["ApproximateNumberOfMessagesDelayed"],
        )

    @override
    async def backlog(self, lane: Lane) -> Mapping[str, Backlog]:
        counts = await self._counts(lane)
        jobs = counts["ApproximateNumberOfMessages"] + counts["ApproximateNumberOfMessagesDelayed"]
        return {ANYBODY: Backlog(jobs, jobs * self._typical_tokens)} if jobs else {}

    async def _wait(
        self, lanes: Sequence[Lane], *, limit: int, lease_s: float, wait_s: float
    ) -> list[Lease]:
        """Poll all lanes at once until one has something."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        while (left_s := until - loop.time()) > 0:
            slice_s = math.ceil(min(left_s, MAX_WAIT_S))
            polls = [
                asyncio.create_task(self._receive(lane, min(BATCH, limit), lease_s, slice_s))
                for lane in lanes
            ]
            try:
                leases = await _first(polls, left_s)
            except BaseException:
                for poll in polls:
                    self._let_go(poll)
                raise
            for poll in polls:
                if not poll.done():
                    self._let_go(poll)
            if leases:
                await self.give_back(leases[limit:])
                return leases[:limit]
        return []

    def _let_go(self, poll: "asyncio.Task[list[Lease]]") -> None:
        """To cut a poll off could leave a message leased to nobody: it gives back what it gets."""

        async def give_back() -> None:
            try:
                await self.give_back(await poll)
            except Unavailable as error:
                log.warning("a message may wait for its lease to lapse: %s", error)

        stray = asyncio.create_task(give_back())
        self._strays.add(stray)
        stray.add_done_callback(self._strays.discard)

    async def _receive(self, lane: Lane, limit: int, lease_s: float, wait_s: int) -> list[Lease]:
        began = self._clock.now()
        answer = await self._call(
            "ReceiveMessage",
            lane,
            MaxNumberOfMessages=limit,
            VisibilityTimeout=_whole(lease_s),
            WaitTimeSeconds=wait_s,
        )
        leases: list[Lease] = []
        early: list[tuple[Lease, float]] = []
        for received in answer.get("Messages", ()):
            token = LeaseToken(received["ReceiptHandle"])
            try:
                body = _decode(received["Body"])
            except msgspec.MsgspecError:
                # It comes again when its lease lapses, and may be for a newer release.
                log.exception("a message in %s cannot be read: %s", lane, received["Body"][:200])
                continue
            lease = Lease(body.message, token)
            self._leases.begin(lease, began, began + min(lease_s, MAX_LEASE_S))
            if body.not_before is None or body.not_before <= self._clock.now():
                self._note_work(body.message)
                leases.append(lease)
            else:
                early.append((lease, body.not_before - self._clock.now()))
        for lease, left_s in early:
            await self.give_back([lease], delay_s=left_s)
        return leases

    async def _hide(self, leases: Sequence[Lease], for_s: float) -> list[Lease]:
        """Hide messages for so long, but no longer than a lease may last; those that were."""
        hidden: list[Lease] = []
        for some in _pieces(leases):
            entries = [
                {
                    "Id": str(index),
                    "ReceiptHandle": lease.token,
                    "VisibilityTimeout": _whole(min(for_s, self._leases.left_s(lease))),
                }
                for index, lease in enumerate(some)
            ]
            lane = some[0].message.lane
            answer = await self._batch("ChangeMessageVisibilityBatch", lane, entries)
            hidden += [some[int(entry["Id"])] for entry in answer.get("Successful", ())]
        return hidden

    async def _send(self, lane: Lane, entries: list[dict[str, object]]) -> None:
        answer = await self._batch("SendMessageBatch", lane, entries)
        if failed := answer.get("Failed"):
            message = f"SQS did not take {len(failed)} messages: {failed[0].get('Message')}"
            raise Unavailable(message, code="sqs_unavailable")

    async def _batch(self, operation: str, lane: Lane, entries: Sequence[object]) -> Answer:
        return await self._call(operation, lane, Entries=entries)

    async def _counts(self, lane: Lane) -> dict[str, int]:
        names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ]
        answer = await self._call("GetQueueAttributes", lane, AttributeNames=names)
        return {name: int(answer["Attributes"][name]) for name in names}

    async def _call(self, operation: str, lane: Lane, **parameters: object) -> Answer:
        url = self._urls.get(lane) or await self._find_or_make(lane)
        try:
            return await self._service.call(operation, QueueUrl=url, **parameters)
        except Refused as error:
            raise Unavailable(f"SQS {operation}: {error}", code="sqs_unavailable") from error

    async def _find_or_make(self, lane: Lane) -> str:
        name = f"{self._prefix}-{lane.pool}-{lane.priority}"
        try:
            found = await self._service.call("GetQueueUrl", QueueName=name)
        except Refused as error:
            if "NonExistentQueue" not in error.code and "QueueDoesNotExist" not in error.code:
                raise Unavailable(f"SQS, {name}: {error}", code="sqs_unavailable") from error
            found = await self._service.call("CreateQueue", QueueName=name, Attributes=ATTRIBUTES)
        return self._urls.setdefault(lane, found["QueueUrl"])

    def _note_work(self, message: Message) -> None:
        self._typical_tokens += (message.work_tokens - self._typical_tokens) / 64


def _entry(
    index: int, message: Message, delay_s: float, not_before: float | None
) -> dict[str, object]:
    return {
        "Id": str(index),
        "MessageBody": _encode(Body(message, not_before)).decode(),
        "MessageGroupId": _group(message.team),
        "DelaySeconds": min(_whole(delay_s), MAX_DELAY_S),
    }


def _group(team: str) -> str:
    """The team as SQS takes it: up to 128 letters, digits and signs of ASCII."""
    return team.encode("ascii", "backslashreplace").decode().replace(" ", "_")[:GROUP_CHARS]


def _whole(seconds: float) -> int:
    """Whole seconds are all that SQS knows; a lease may last longer, never shorter."""
    return min(math.ceil(seconds), MAX_LEASE_S)


def _pieces(things: Sequence[T]) -> list[Sequence[T]]:
    return [things[begin : begin + BATCH] for begin in range(0, len(things), BATCH)]


async def _first(polls: Sequence["asyncio.Task[list[Lease]]"], timeout_s: float) -> list[Lease]:
    """What those polls have that were done when the first had something; in their order."""
    loop = asyncio.get_running_loop()
    until, waiting = loop.time() + timeout_s, set(polls)
    while waiting and (left_s := until - loop.time()) > 0:
        done, waiting = await asyncio.wait(
            waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED
        )
        if any(poll.result() for poll in done):
            break
    return [lease for poll in polls if poll.done() for lease in poll.result()]
