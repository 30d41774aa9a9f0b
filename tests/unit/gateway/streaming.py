"""A gateway whose worker is the test: it says tokens when it likes."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.types import Message

from headpond.domain.deltas import as_piece
from headpond.domain.facts import StreamClosed, StreamOpened
from headpond.domain.job import Job, JobError
from headpond.domain.outcome import Answered, Settlement
from headpond.ports.delivery import Claim
from headpond.ports.streams import Entry
from tests.stages import Stage, answered, send


@dataclass(frozen=True)
class Event:
    """An event as it came over the wire."""

    kind: str
    id: str
    data: Any


def events(body: bytes | bytearray) -> list[Event]:
    """The events; raises on anything that is neither an event nor a keep-alive."""
    found: list[Event] = []
    for block in body.decode().split("\n\n")[:-1]:
        if block == ": keep-alive":
            continue
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        data = fields["data"]
        decoded = data if data == "[DONE]" else msgspec.json.decode(data)
        found.append(Event(fields.get("event", ""), fields.get("id", ""), decoded))
    return found


class Speaking(Stage):
    """A stage with a worker that speaks."""

    async def run(self) -> Claim:
        """Take the next job and begin its stream."""
        claim = await self.claim()
        await self.streams.begin(claim.job.id, claim.job.version)
        return claim

    async def take_over(self, claim: Claim) -> Claim:
        """The job in the hands of another worker."""
        job = claim.job.claimed("other", self.clock.now())
        assert await self.jobs.swap(job)
        await self.streams.begin(job.id, job.version)
        return Claim(job, claim.request, claim.lease)

    async def die_and_be_redriven(self, claim: Claim, *, forget: bool = False) -> None:
        """The job fails for good and is put back; its tokens were forgotten if time passed."""
        died = claim.job.buried(self.clock.now(), JobError("engine_error", "It broke."))
        assert await self.delivery.settle(claim, Settlement(job=died))
        if forget:
            await self.streams.forget(self.clock.now() + 1)
        assert await self.delivery.redrive(died)

    async def say(self, job: Job, *pieces: object) -> None:
        """Texts, or deltas."""
        for piece in pieces:
            delta = {"content": piece} if isinstance(piece, str) else piece
            await self.say_choices(job, [{"index": 0, "delta": delta}])

    async def say_choices(self, job: Job, choices: object) -> None:
        """A piece as an engine sends it."""
        last = len(await self.streams.read(job.id, after=0, limit=1000))
        entry = Entry(last + 1, job.version, msgspec.json.encode(choices))
        assert await self.streams.append(job.id, entry)

    async def answer(self, claim: Claim, outcome: Answered | None = None) -> None:
        """Say all of the answer, then settle."""
        outcome = outcome or answered()
        choices = msgspec.json.decode(outcome.response)["choices"]
        await self.say(claim.job, as_piece(choices)[0]["delta"])
        await self.settle(claim, outcome)

    @property
    def readers(self) -> int:
        """How many streams are open."""
        opened = sum(isinstance(fact, StreamOpened) for fact in self.recorder.facts)
        return opened - sum(isinstance(fact, StreamClosed) for fact in self.recorder.facts)


class Visit:
    """A reader that may leave in the middle; `body` is what it has got so far."""

    def __init__(
        self,
        stage: Stage,
        method: str,
        url: str,
        json: object = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.body = bytearray()
        self.status = 0
        self.left = asyncio.Event()
        self._request = msgspec.json.encode(json)
        self._asked = False
        given = {"content-type": "application/json", **(headers or {})}

        async def app(scope: Any, receive: Any, collect: Any) -> None:
            async def watch(message: Message) -> None:
                self.status = message.get("status", self.status)
                self.body += message.get("body", b"")
                await collect(message)

            await stage.app(scope, receive, watch)

        self.task = asyncio.create_task(send(app, method, url, given, self._receive))

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._request, "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def got(self, text: bytes) -> None:
        """Wait until it has this text."""
        async with asyncio.timeout(10):
            while text not in self.body:  # noqa: ASYNC110 - only the wire tells
                await asyncio.sleep(0)

    async def leave(self) -> None:
        """Hang up, and wait until the gateway has noticed."""
        self.left.set()
        await self.task
