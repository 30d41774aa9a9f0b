"""A gateway on memory adapters, a client that speaks ASGI, and a worker at the push of a button."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope
from typing_extensions import override

from headpond.adapters.memory.batches import MemoryBatchLines, MemoryBatchStore
from headpond.adapters.memory.buckets import MemoryBuckets
from headpond.adapters.memory.dead_letters import MemoryDeadLetters
from headpond.adapters.memory.endpoints import MemoryEndpointStore
from headpond.adapters.memory.files import MemoryBlobs, MemoryFileStore
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.keys import MemoryKeyStore
from headpond.adapters.memory.outbox import MemoryOutbox
from headpond.adapters.memory.queue import MemoryQueue
from headpond.adapters.memory.roster import MemoryRoster
from headpond.adapters.memory.streams import MemoryTokenStreams
from headpond.domain.batch import RunnerName
from headpond.domain.catalogue import Catalogue
from headpond.domain.dispatch import Reaction, Replied
from headpond.domain.facts import Fact
from headpond.domain.file import BlobName
from headpond.domain.job import Ticket, Usage
from headpond.domain.lane import Lane, lanes_of
from headpond.domain.outcome import Answered, Outcome, settle
from headpond.domain.public_address import AddressRule
from headpond.domain.retry import RetryPolicy
from headpond.gateway.app import Parts, create_app
from headpond.gateway.batch_lines import BatchLineFormat
from headpond.ports.blobs import Blobs
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim
from headpond.ports.events import Listener
from headpond.ports.jobs import JobQuery, JobStore
from headpond.ports.queue import Depth, Queue
from headpond.ports.receiver import Receiver
from headpond.services.authentication import Authentication
from headpond.services.batch_input import BatchInput
from headpond.services.batch_output import BatchOutput
from headpond.services.batch_runner import BatchRunner
from headpond.services.batches import Batches
from headpond.services.dead_letters import Triage
from headpond.services.desk import Desk
from headpond.services.files import Files
from headpond.services.keys import Keys
from headpond.services.quotes import Quotes
from headpond.services.rate_limits import RateLimits
from headpond.services.submission import Submission
from headpond.services.teller import Teller
from headpond.services.tokens import Tokens
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.services.webhooks import Webhooks
from headpond.settings import BatchSettings, GatewaySettings, LimitSettings, PoolSettings
from headpond.testing.clocks import ManualClock
from headpond.testing.faults import Faults, behind

LANES = lanes_of("default")
MAX_FILE_BYTES = 100_000
MAX_TEAM_BYTES = 4 * MAX_FILE_BYTES


class Recorder(Listener):
    """Keeps every fact."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    @override
    def hear(self, fact: Fact) -> None:
        self.facts.append(fact)


class RecordingReceiver(Receiver):
    """Keeps what was posted, and reacts to it with `reaction`."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, Mapping[str, str], bytes]] = []
        self.reaction: Reaction = Replied(200)

    @override
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reaction:
        self.posts.append((url, headers, body))
        return self.reaction

    @override
    async def close(self) -> None:
        return


@dataclass
class Reply:
    """An answer as it came over the wire."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> Any:
        """The error of an envelope that has all four keys."""
        error = self.json["error"]
        assert {"message", "type", "param", "code"} <= error.keys()
        return error


class Stage:
    """One gateway with everything behind it."""

    def __init__(
        self,
        *,
        settings: GatewaySettings | None = None,
        limits: LimitSettings | None = None,
        catalogue: Mapping[str, Sequence[str]] | None = None,
        clock: Clock | None = None,
        tokens: Tokens | None = None,
        blobs: Blobs | None = None,
    ) -> None:
        self.manual = ManualClock()
        self.clock = clock or self.manual
        self.recorder = Recorder()
        self.outbox = MemoryOutbox()
        self.jobs = MemoryJobStore(self.clock, self.outbox)
        self.queue = MemoryQueue(self.clock)
        self.streams = MemoryTokenStreams(self.jobs)
        self.key_store = MemoryKeyStore()
        self.keys = Keys(self.key_store, self.clock)
        self.delivery = self._delivery(self.jobs, self.queue)
        self.receiver = RecordingReceiver()
        self.rule = AddressRule()
        self.endpoints = MemoryEndpointStore(self.outbox)
        self.teller = Teller(self.receiver, self.rule, self.clock)
        self.webhooks = Webhooks(
            self.endpoints, self.outbox, self.teller, rule=self.rule, clock=self.clock
        )
        served = Catalogue({"default": ["model"]} if catalogue is None else catalogue)
        self.roster = MemoryRoster()
        self.quotes = Quotes(
            self.queue,
            self.roster,
            prices=dict.fromkeys(served.pools),
            weights={},
            clock=self.clock,
        )
        self.settings = settings or GatewaySettings()
        self._served = served
        self._limits = limits or LimitSettings()
        self.submission = self._submission(self.jobs, self.queue)
        self.batch_store = MemoryBatchStore(self.outbox)
        self.batch_lines = MemoryBatchLines(self.jobs)
        self.file_store = MemoryFileStore()
        self._blob_numbers = count()
        self.blobs: Blobs = blobs or MemoryBlobs(self.clock)
        self.files = Files(
            self.file_store,
            self.blobs,
            self.batch_store,
            self.clock,
            max_team_bytes=MAX_TEAM_BYTES,
        )
        self.parts = Parts(
            settings=self.settings,
            submission=self.submission,
            files=self.files,
            batches=Batches(self.batch_store, self.files, self.clock, self.recorder, max_open=3),
            max_file_bytes=MAX_FILE_BYTES,
            desk=Desk(self.jobs, self.clock),
            triage=Triage(
                MemoryDeadLetters(self.jobs),
                self.jobs,
                self.batch_store,
                self.delivery,
                self.clock,
                max_redrives=2,
                per_second=10,
            ),
            authentication=Authentication(self.key_store, tokens, self.clock),
            catalogue=served,
            webhooks=self.webhooks,
            outbox=self.outbox,
            queue=self.queue,
            streams=self.streams,
            lanes=LANES,
            clock=self.clock,
            listener=self.recorder,
            render_metrics=lambda: b"# TYPE up gauge\nup 1\n",
        )
        self.app = create_app(self.parts)

    def runner(
        self,
        name: str = "runner",
        settings: BatchSettings | None = None,
        faults: Faults | None = None,
    ) -> BatchRunner:
        """A process that runs batches, with what it touches behind faults."""
        faults = faults or Faults()
        jobs, queue = behind(self.jobs, faults), behind(self.queue, faults)
        files, blobs = behind(self.file_store, faults), behind(self.blobs, faults)
        lines = behind(self.batch_lines, faults)
        submission = self._submission(jobs, queue)
        form = BatchLineFormat(self.settings)
        source = BatchInput(
            files,
            blobs,
            submission,
            form=form,
            clock=self.clock,
            max_line_bytes=self.settings.max_body_bytes,
        )
        output = BatchOutput(
            source,
            lines,
            files,
            blobs,
            form=form,
            clock=self.clock,
            new_name=lambda: BlobName(f"{name}-{next(self._blob_numbers)}"),
        )
        return BatchRunner(
            behind(self.batch_store, faults),
            lines,
            jobs,
            source=source,
            output=output,
            submission=submission,
            name=RunnerName(name),
            clock=self.clock,
            listener=self.recorder,
            settings=settings or BatchSettings(every_s=0.01),
        )

    def _delivery(self, jobs: JobStore, queue: Queue) -> TwoStepDelivery:
        return TwoStepDelivery(
            jobs,
            queue,
            clock=self.clock,
            new_ticket=lambda: Ticket("again"),
            lease_s=30.0,
            max_lost_leases=5,
        )

    def _submission(self, jobs: JobStore, queue: Queue) -> Submission:
        return Submission(
            self._delivery(jobs, queue),
            jobs=jobs,
            pools={pool: PoolSettings() for pool in self._served.pools},
            catalogue=self._served,
            limits=RateLimits(self._limits, MemoryBuckets(self.clock)),
            quotes=self.quotes,
            weights={"heavy": 3.0},
            clock=self.clock,
            listener=self.recorder,
            idempotency_ttl_s=86_400,
            sdk_retry_window_s=1_260,
        )

    async def request(
        self,
        method: str,
        url: str,
        json: object = None,
        *,
        body: bytes | Sequence[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        receive: Receive | None = None,
    ) -> Reply:
        """Send a request; a sequence of bytes is a body in chunks without a length.

        With `receive` the test is the network.
        """
        if json is not None:
            body = msgspec.json.encode(json)
        given = {"content-type": "application/json", **(headers or {})}
        if isinstance(body, bytes):
            given = {"content-length": str(len(body)), **given}
        chunks = [body] if isinstance(body, bytes) else list(body or [b""])
        return await send(self.app, method, url, given, receive or receive_from(chunks))

    async def get(self, url: str, **headers: str) -> Reply:
        return await self.request("GET", url, headers=_dashed(headers))

    async def post(self, url: str, json: object = None, **headers: str) -> Reply:
        return await self.request("POST", url, json, headers=_dashed(headers))

    async def depths(self) -> list[Depth]:
        return [await self.queue.depth(lane) for lane in LANES]

    async def empty(self) -> bool:
        """True when nothing was left behind: no record, no message."""
        return not await self.jobs.find(JobQuery(limit=1000)) and all(
            depth.ready == depth.leased == depth.delayed == 0 for depth in await self.depths()
        )

    async def claim(self, lanes: Sequence[Lane] = LANES) -> Claim:
        """Take the next job, waiting for it if need be."""
        while True:
            claims = await self.delivery.claim(lanes, worker="w", limit=1, wait_s=1.0)
            if claims:
                return claims[0]

    async def settle(self, claim: Claim, outcome: Outcome) -> None:
        settlement = settle(
            claim.job,
            outcome,
            engine="e",
            model_version="v1",
            now=self.clock.now(),
            policy=RetryPolicy(),
            chance=0.5,
        )
        await self.delivery.settle(claim, settlement)

    async def work(self, outcome: Outcome | None = None) -> Claim:
        """Run the next job to this outcome, an answer if none is given."""
        claim = await self.claim()
        await self.settle(claim, outcome or answered())
        return claim


def answered(content: str | None = "hi", **message: object) -> Answered:
    """An engine's answer, with a finish_reason among `message` if it is not `stop`."""
    reason = message.pop("finish_reason", "stop")
    completion = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_000_000,
        "model": "model",
        "choices": [
            {
                "index": 0,
                "finish_reason": reason,
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    return Answered(response=msgspec.json.encode(completion), usage=Usage(3, 2), confidence=0.9)


def receive_from(chunks: Sequence[bytes]) -> Receive:
    """A body in these chunks, then silence."""
    waiting = list(chunks)

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        chunk = waiting.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    return receive


async def send(
    app: ASGIApp, method: str, url: str, headers: Mapping[str, str], receive: Receive
) -> Reply:
    """One request through ASGI, its answer collected."""
    path, _, query = url.partition("?")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
    }
    reply = Reply()

    async def collect(message: Message) -> None:
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            reply.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            reply.body += message["body"]

    await app(scope, receive, collect)
    return reply


def _dashed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
