"""Lanes as queues of SQS.

A lane is a standard queue, `PREFIX-POOL-PRIORITY`, and the team is a message's group: SQS then
keeps a noisy team from holding up quiet ones. That is its own notion of fairness, not that of
`domain/fairness.py`, and order is "as nearly as it can".

A lease is a receipt handle. SQS may take a handle whose time is over, so the end of each lease is
kept here too (`adapters/handles/`). How long leases, delays and messages may be is in
`domain/queue_limits.py`.

What SQS does not do: a message that is delayed for longer when it is sent says when it may be
received and is hidden again until then; it counts approximately and late, knows no teams' backlogs
and, but for CloudWatch, no ages; and it forgets messages.

A queue that is made here has another beside it for its dead letters, `…-dead`, and the redrive
policy that moves there what was received too often.

Messages are sent without retries by the SDK: of a call whose answer got lost, two messages of one
ticket would be left, and each would pass for the other's lapsed lease. An error leaves the job
accepted instead, and it is sent again under a new ticket (`services/two_step_delivery.py`).
"""

import logging
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

import msgspec
from typing_extensions import override

from headpond.adapters.aws.calls import Answer, Place, Refused, Service, connect, refusal
from headpond.adapters.handles.bodies import Body, encode_body
from headpond.adapters.handles.queue import Catch, Handed, HandleQueue, lane_of
from headpond.domain.bounded import bounded
from headpond.domain.lane import Lane
from headpond.domain.queue_limits import SQS, Limits
from headpond.errors import Unavailable
from headpond.ports.clock import Clock
from headpond.ports.queue import Depth, Lease, Message, Power

log = logging.getLogger(__name__)

BATCH = 10
"""Messages of one call, in either direction."""

MAX_WAIT_S = 20
"""The longest that SQS has."""

READ_S, POLL_READ_S = 5.0, MAX_WAIT_S + 10.0
"""Polls alone may take long: who renews leases comes again before they lapse."""

GROUP_CHARS = 128
NAME_CHARS, DEAD = 80, "-dead"

MAX_LEASE_S = int(SQS.lease_s) - 1
"""A message is never hidden for longer after it was received, however often that is prolonged.

A second less than SQS allows, which counts whole ones.
"""

LOST = frozenset({"ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue"})
"""What SQS says of a handle whose message is gone or is leased no more."""

LOOK_S = 30
"""So long one who looks at dead letters keeps others from them."""

ATTRIBUTES = {
    "MessageRetentionPeriod": str(int(SQS.keep_s)),
    "SqsManagedSseEnabled": "true",
}


def redrive_policy(dead_letters: str) -> dict[str, str]:
    """The attributes of a queue whose dead letters go to the queue with this ARN."""
    policy = {"deadLetterTargetArn": dead_letters, "maxReceiveCount": int(SQS.deliveries)}
    return {"RedrivePolicy": msgspec.json.encode(policy).decode()}


@asynccontextmanager
async def open_queue(place: Place, clock: Clock) -> AsyncGenerator["SqsQueue"]:
    """The queues of a prefix; a lane's is made when it is first used, if need be."""
    async with (
        connect("sqs", place, read_s=READ_S, attempts=1) as service,
        connect("sqs", place, read_s=POLL_READ_S, attempts=1) as polls,
    ):
        queue = SqsQueue(service, polls, place.prefix, clock)
        try:
            yield queue
        finally:
            await queue.close()


class SqsQueue(HandleQueue):
    """See the module's page."""

    lacks: ClassVar[Mapping[Power, str]] = {
        Power.ORDER: "an effort",
        Power.FAIR: "keeps back teams that are noisy, in its own way",
        Power.TEAMS: "all together",
        Power.AGE: "`ApproximateAgeOfOldestMessage` in CloudWatch",
        Power.CLOCK: "its own",
        Power.LOOKUP: "no",
    }
    limits: ClassVar[Limits] = SQS
    unseen_s: ClassVar[float | None] = SQS.keep_s / 2

    def __init__(self, service: Service, polls: Service, prefix: str, clock: Clock) -> None:
        super().__init__(clock, most=BATCH, max_lease_s=MAX_LEASE_S, max_delay_s=SQS.delay_s)
        self._service = service
        self._polls = polls
        self._prefix = prefix
        self._urls: dict[str, str] = {}

    @override
    async def _send(
        self, lane: Lane, messages: Sequence[Message], delay_s: float, not_before: float | None
    ) -> None:
        entries = [
            _entry(index, message, delay_s, not_before) for index, message in enumerate(messages)
        ]
        answer = await self._batch("SendMessageBatch", lane, entries)
        if failed := answer.get("Failed"):
            message, why = f"SQS did not take {len(failed)} messages.", failed[0].get("Message", "")
            raise Unavailable(message, why=why, code="sqs_unavailable")

    @override
    async def depth(self, lane: Lane) -> Depth:
        counts = await self._counts(lane)
        return Depth(
            ready=counts["ApproximateNumberOfMessages"],
            leased=counts["ApproximateNumberOfMessagesNotVisible"],
            delayed=counts["ApproximateNumberOfMessagesDelayed"],
        )

    @override
    async def _poll(self, lane: Lane, limit: int, lease_s: float, wait_s: float) -> Catch:
        began = self._clock.now()
        answer = await self._call(
            "ReceiveMessage",
            lane,
            by=self._polls,
            MaxNumberOfMessages=limit,
            VisibilityTimeout=_whole(lease_s),
            WaitTimeSeconds=math.ceil(min(wait_s, MAX_WAIT_S)),
        )
        return Catch(_handed(answer), began, began + lease_s)

    @override
    async def _remove(self, leases: Sequence[Lease]) -> None:
        for lane, some in self._calls(leases, lane_of):
            entries = _entries([lease.token for lease in some])
            await self._batch("DeleteMessageBatch", lane, entries)

    @override
    async def _look_aside(self, lane: Lane) -> Sequence[Handed]:
        name = self._dead(lane)
        url = self._urls.get(name) or await self._find(name)
        if url is None:
            return []  # Whoever made the lane's queue beforehand made none for its dead letters.
        answer = await self._call_at(
            name, url, "ReceiveMessage", MaxNumberOfMessages=BATCH, VisibilityTimeout=LOOK_S
        )
        return _handed(answer)

    @override
    async def _remove_aside(self, lane: Lane, handles: Sequence[str]) -> None:
        name = self._dead(lane)
        if url := self._urls.get(name):
            entries = _entries(handles)
            await self._call_at(name, url, "DeleteMessageBatch", Entries=entries)

    @override
    async def _extend(
        self, leases: Sequence[Lease], lease_s: float
    ) -> tuple[list[Lease], list[Lease]]:
        hidden, as_before = await self._change(leases, lease_s)
        if as_before and not hidden:
            raise Unavailable("SQS prolongs no lease for now.", code="sqs_unavailable")
        return hidden, as_before

    @override
    async def _hide(self, leases: Sequence[Lease], for_s: float) -> list[Lease]:
        hidden, _ = await self._change(leases, for_s)
        return hidden

    async def _change(
        self, leases: Sequence[Lease], for_s: float
    ) -> tuple[list[Lease], list[Lease]]:
        """Hide messages for so long; those that were hidden, and those that stay as they were.

        What is in neither is leased no more.
        """
        hidden: list[Lease] = []
        as_before: list[Lease] = []
        # Reckoned before the first call: by the next one, some may be held no more.
        lasting = {lease.token: min(for_s, self._leases.left_s(lease)) for lease in leases}
        for lane, some in self._calls(leases, lane_of):
            entries = [
                entry | {"VisibilityTimeout": _whole(lasting[lease.token])}
                for entry, lease in zip(_entries([each.token for each in some]), some, strict=True)
            ]
            answer = await self._batch("ChangeMessageVisibilityBatch", lane, entries)
            failed = [each for each in answer.get("Failed", ()) if not _is_lost(each["Code"])]
            if failed:
                why = failed[0].get("Message") or failed[0]["Code"]
                log.warning(
                    "%d of %d leases of %s are as they were: %s", len(failed), len(some), lane, why
                )
            hidden += [some[int(entry["Id"])] for entry in answer.get("Successful", ())]
            as_before += [some[int(entry["Id"])] for entry in failed]
        return hidden, as_before

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

    async def _call(
        self, operation: str, lane: Lane, *, by: Service | None = None, **parameters: object
    ) -> Answer:
        name = self._name(lane)
        url = self._urls.get(name) or await self._find(name) or await self._make(lane)
        return await self._call_at(name, url, operation, by=by, **parameters)

    async def _call_at(
        self,
        name: str,
        url: str,
        operation: str,
        *,
        by: Service | None = None,
        **parameters: object,
    ) -> Answer:
        try:
            return await (by or self._service).call(operation, QueueUrl=url, **parameters)
        except Refused as error:
            if _is_missing(error):
                self._urls.pop(name, None)  # The next call looks for it again.
            raise refusal("sqs_unavailable", f"{operation}: {error}") from error

    async def _find(self, name: str) -> str | None:
        """The URL of a queue, if there is one."""
        try:
            found = await self._service.call("GetQueueUrl", QueueName=name)
        except Refused as error:
            if _is_missing(error):
                return None
            raise refusal("sqs_unavailable", f"{name}: {error}") from error
        return self._urls.setdefault(name, found["QueueUrl"])

    async def _make(self, lane: Lane) -> str:
        """A lane's queue, and first of all the one for its dead letters."""
        dead = self._dead(lane)
        url = await self._find(dead) or await self._create(dead, ATTRIBUTES)
        answer = await self._call_at(dead, url, "GetQueueAttributes", AttributeNames=["QueueArn"])
        policy = redrive_policy(answer["Attributes"]["QueueArn"])
        return await self._create(self._name(lane), {**ATTRIBUTES, **policy})

    async def _create(self, name: str, attributes: Mapping[str, str]) -> str:
        try:
            made = await self._service.call("CreateQueue", QueueName=name, Attributes=attributes)
        except Refused as error:
            why = (
                f"there is no queue {name}, and it may not be made: {error}. Make it by hand "
                "or allow sqs:CreateQueue; one that was just deleted can be made after a minute."
            )
            raise refusal("sqs_unavailable", why) from error
        log.info("SQS had no queue %s: it is made", name)
        return self._urls.setdefault(name, made["QueueUrl"])

    def _name(self, lane: Lane) -> str:
        return f"{self._prefix}-{lane.pool}-{lane.priority}"

    def _dead(self, lane: Lane) -> str:
        name = bounded(self._name(lane), NAME_CHARS - len(DEAD), before_digest="-")
        return name + DEAD


def _handed(answer: Answer) -> list[Handed]:
    return [(each["ReceiptHandle"], each["Body"]) for each in answer.get("Messages", ())]


def _entries(handles: Sequence[str]) -> list[dict[str, object]]:
    return [{"Id": str(index), "ReceiptHandle": each} for index, each in enumerate(handles)]


def _entry(
    index: int, message: Message, delay_s: float, not_before: float | None
) -> dict[str, object]:
    return {
        "Id": str(index),
        "MessageBody": encode_body(Body(message, not_before)).decode(),
        "MessageGroupId": _group(message.team),
        "DelaySeconds": min(_whole(delay_s), int(SQS.delay_s)),
    }


def _is_missing(error: Refused) -> bool:
    """Whether there is no such queue, in the words of one protocol of SQS or the other."""
    return "NonExistentQueue" in error.code or "QueueDoesNotExist" in error.code


def _is_lost(code: str) -> bool:
    """Whether that is said of a lease that is no more; SQS may put its own name before it."""
    return code.rpartition(".")[2] in LOST


def _group(team: str) -> str:
    """The team as SQS takes it: up to 128 letters, digits and signs of ASCII."""
    return bounded(team, GROUP_CHARS, write=_ascii)


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode().replace(" ", "_")


def _whole(seconds: float) -> int:
    """Whole seconds are all that SQS knows; a lease may last longer, never shorter."""
    return min(math.ceil(seconds), MAX_LEASE_S)
